"""``coachline channel``: what is installed, and a skeleton for a new one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from coachline.cli.support import WRONG_USE, emit, fail

app = typer.Typer(no_args_is_help=True, help="List channels, start a new one.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command(name="list")
def list_all(as_json: AsJson = False) -> None:
    """List the installed channels."""
    from coachline.foundation.logs import configure_logs
    from coachline.messaging import Registry, UnknownChannel

    # What cannot be imported is told on stderr; the others are still listed.
    configure_logs("warning", "text")
    registry = Registry.installed()
    rows = []
    for name in registry.list():
        with suppress(UnknownChannel):
            rows.append({"channel": name, **registry.get(name).capabilities.model_dump()})
    emit(rows, as_json)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Lower-case name, e.g. matrix.")],
    folder: Annotated[Path, typer.Option(help="Where the package goes.")] = Path("channels"),
    as_json: AsJson = False,
) -> None:
    """Write a working channel package that passes the conformance suite."""
    from channel_kit.scaffold import write_skeleton

    try:
        made = write_skeleton(name, folder)
    except (ValueError, FileExistsError) as error:
        fail(str(error), code=WRONG_USE)
    except OSError as error:
        fail(f"The package cannot be written: {error}.")
    else:
        emit({"channel": name, "folder": str(made)}, as_json)
