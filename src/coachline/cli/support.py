"""What every command shares: settings, services, output, and exit codes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coachline.foundation.errors import CoachlineError, SettingsInvalid
from coachline.foundation.settings import Settings, load_settings

if TYPE_CHECKING:
    from coachline.bootstrap import Services

DONE, FAILED, WRONG_USE = 0, 1, 2
_UNBOUNDED = 100_000
_SECRET_FIELDS = frozenset(
    {"database_url", "worker_database_url", "owner_database_url", "redis_url", "master_keys"}
)


def complete(settings: Settings) -> Settings:
    """Fill what is unset with what a running ``coachline up`` offers on this data folder."""
    from coachline.local import Home

    if not settings.home.exists():
        return settings
    offered = Home(settings.home).read_runtime() or {}
    given = settings.database_url
    is_another = given is not None and given.get_secret_value() != offered.get("database_url")
    if not offered or is_another:
        return settings
    return with_values(settings, {n: v for n, v in offered.items() if not _is_set(settings, n)})


def told(settings: Settings) -> dict[str, str]:
    """What :func:`complete` offers to other processes: every value that somebody chose."""
    chosen = {name: getattr(settings, name) for name in settings.model_fields_set - {"home"}}
    return {name: _as_text(value) for name, value in chosen.items() if value is not None}


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _is_set(settings: Settings, name: str) -> bool:
    return name in settings.model_fields_set


def with_values(settings: Settings, values: Mapping[str, str]) -> Settings:
    """The settings with some values replaced, checked like any others."""
    given = {
        name: SecretStr(value) if name in _SECRET_FIELDS else value
        for name, value in values.items()
    }
    kept = {name: getattr(settings, name) for name in settings.model_fields_set}
    return Settings.model_validate(kept | given)


@asynccontextmanager
async def open_services() -> AsyncIterator[Services]:
    """The services of a short-lived command, on external servers or on those of ``up``.

    Raises:
        SettingsInvalid: neither is there.
    """
    # Imported here: a command that only prints its help should not load the whole gateway.
    from coachline import bootstrap

    settings = complete(load_settings())
    if settings.database_url is None:
        raise SettingsInvalid(
            f"No `coachline up` runs on {settings.home}. Start it in another terminal, or set "
            "COACHLINE_DATABASE_URL and the other addresses of your own servers "
            "(docs/how-to/real-servers.md)."
        )
    async with bootstrap.open_services(settings) as services:
        yield services


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a command; a known error becomes one line on stderr and exit code 1."""
    from coachline.foundation.logs import configure_logs

    try:
        configure_logs("warning", "text")
        asyncio.run(_as_coroutine(work))
    except SettingsInvalid as error:
        fail(error.message, code=WRONG_USE)
    except CoachlineError as error:
        fail(error.message)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        raise typer.Exit(FAILED) from None


async def _as_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def fail(message: str, code: int = FAILED) -> None:
    """Say what is wrong and end.

    Raises:
        typer.Exit: always.
    """
    Console(stderr=True, soft_wrap=True).print(
        f"[bold red]coachline:[/] {escape(message)}", highlight=False
    )
    raise typer.Exit(code)


def emit(data: Mapping[str, Any] | Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print a result: one JSON document, or lines and tables for a person."""
    if as_json:
        sys.stdout.write(json.dumps(data, default=str, ensure_ascii=False) + "\n")
        return
    console = Console(highlight=False, soft_wrap=True)
    if isinstance(data, Mapping):
        _print_fields(console, data)
    elif not data:
        console.print("[dim]none[/]")
    else:
        _print_rows(console, data)


def _print_fields(console: Console, data: Mapping[str, Any]) -> None:
    width = max((len(name) for name in data), default=0)
    for name, value in data.items():
        console.print(f"[dim]{name:<{width}}[/]  {_show(value)}", markup=True)


def _print_rows(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table; what is too wide for the terminal is told field by field, so that ids stay whole."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in rows[0]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(_show(value) for value in row.values()))
    # With a height as well: rich takes a dumb terminal for one of 80 columns otherwise.
    wide = Console(width=_UNBOUNDED, height=25, highlight=False)
    wide.width = wide.measure(table).maximum
    if console.is_terminal and wide.width > console.width:
        for number, row in enumerate(rows):
            if number:
                console.print()
            _print_fields(console, row)
    else:
        wide.print(table)


def _show(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, (list, tuple, dict)):
        return escape(json.dumps(value, default=str, ensure_ascii=False))
    return escape(str(value))
