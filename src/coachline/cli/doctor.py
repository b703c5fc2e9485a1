"""``coachline doctor``: what is embedded, what is external, and what is wrong with each part."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from coachline.cli.examinations import PARTS, Examination, PartMissing
from coachline.cli.support import FAILED, complete, emit, run
from coachline.foundation.errors import CoachlineError
from coachline.foundation.settings import Settings, load_settings


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False) -> None:
    """Say of every part where it comes from, whether it answers, and what is wrong inside."""

    async def work() -> None:
        given = load_settings()
        settings = complete(given)
        rows = [await _examine(part, given, settings) for part in PARTS]
        emit(rows, as_json)
        if any(row["state"] != "ok" for row in rows):
            raise typer.Exit(FAILED)

    run(work)


def _origin(part: Examination, given: Settings, settings: Settings) -> str:
    from coachline.local import Home

    if part.field is None:
        return "this machine"
    field = "ollama_url" if part.field == "embed_url" and not settings.embed_url else part.field
    if getattr(given, field) is not None:
        return "external"
    if settings is given:
        return "not running"
    # A running `up` has completed the settings, and tells which of them it runs itself.
    return "embedded" if field in Home(settings.home).read_embedded() else "external"


async def _examine(part: Examination, given: Settings, settings: Settings) -> dict[str, str]:
    origin = _origin(part, given, settings)
    try:
        if origin == "not running":
            raise PartMissing("no URL")
        async with asyncio.timeout(part.seconds):
            details, state = await part.check(settings), "ok"
    except PartMissing:
        details, state = "set it, or start `coachline up`", "missing"
    except CoachlineError as error:
        details, state = error.message, "wrong"
    except TimeoutError:
        details, state = f"no answer in {part.seconds:.0f} s", "wrong"
    return {"part": part.name, "origin": origin, "state": state, "details": details}
