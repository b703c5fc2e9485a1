"""``coachline learner``: who is coached, all that is kept of one, and forgetting one."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.console import Console

from coachline.cli import erasures
from coachline.cli.support import WRONG_USE, emit, fail, open_services, run
from coachline.foundation.errors import InvalidInput
from coachline.foundation.ids import LearnerId

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.conversation import Everything
    from coachline.learners import ErasureRecord

app = typer.Typer(no_args_is_help=True, help="List, show, export, erase learners.")
app.add_typer(erasures.app, name="erasures")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Which = Annotated[UUID, typer.Argument(metavar="ID", help="The learner.")]

_PAGE = 200
_LOOK_SECONDS = 0.5


class FileExists(InvalidInput):
    """There is a file of this name already."""

    code = "file_exists"


@app.command(name="list")
def list_all(
    tenant: TenantName,
    name: Annotated[str | None, typer.Option(help="Only with this in their name.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the learners of a tenant, newest first."""

    async def work() -> None:
        from coachline.learners import LearnerFilter

        rows: list[dict[str, Any]] = []
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            before: LearnerId | None = None
            while page := await services.learners.list(
                found.id, LearnerFilter(name=name), before=before, limit=_PAGE
            ):
                rows += [
                    {
                        "learner_id": str(one.id),
                        "name": one.name,
                        "language": one.language,
                        "time_zone": one.time_zone,
                        "created_at": one.created_at.isoformat(),
                    }
                    for one in page
                ]
                before = page[-1].id
        emit(rows, as_json)

    run(work)


@app.command()
def show(learner_id: Which, tenant: TenantName, as_json: AsJson = False) -> None:
    """Say who a learner is, and how much is kept of them in which table."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            learner = await services.learners.get(owner.id, LearnerId(learner_id))
            rows = await services.export.count(owner.id, LearnerId(learner_id))
        told = {
            "learner_id": str(learner.id),
            "name": learner.name,
            "language": learner.language,
            "time_zone": learner.time_zone,
            "created_at": learner.created_at.isoformat(),
        }
        if as_json:
            emit({**told, "rows": rows}, as_json)
            return
        emit(told, as_json)
        emit([{"table": name, "rows": number} for name, number in rows.items()], as_json)

    run(work)


@app.command()
def export(
    learner_id: Which,
    tenant: TenantName,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write; else it is printed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hand over everything that is kept of a learner, as one JSON document."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            everything = await services.export.read(
                owner.id, LearnerId(learner_id), now=services.clock.now()
            )
        if to is None:
            emit(asdict(everything), as_json=True)
            return
        _write(to, json.dumps(asdict(everything), default=str, ensure_ascii=False, indent=1))
        rows = {table: len(found) for table, found in everything.tables.items()}
        emit({"file": str(to), "messages": _messages(everything), "rows": rows}, as_json)

    run(work)


@app.command()
def erase(
    learner_id: Which,
    tenant: TenantName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until a worker has overwritten all.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Forget a learner for good and print the proof. There is no way back.

    Their next message begins a new learner. What is still under way is waited for, an hour at
    most. Asked again, the erasure that there is is shown.
    """
    if not yes:
        if as_json:
            fail("With --json nobody is asked: say --yes too.", code=WRONG_USE)
        typer.confirm("Forget this learner and all that was said, for good?", abort=True)

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            found = await services.erasure.ask(owner.id, LearnerId(learner_id), actor="cli")
            found = await _wait(services, found, seconds=wait)
        erasures.print_erasure(found, as_json)
        if found.state == "asked" and not as_json:
            Console(stderr=True, soft_wrap=True).print(
                "A worker overwrites the rest when nothing is under way: look again with "
                f"`coachline learner erasures show {found.id} --tenant {tenant}`."
            )

    run(work)


async def _wait(services: Services, found: ErasureRecord, *, seconds: float) -> ErasureRecord:
    """The erasure when all is overwritten and looked for elsewhere, or when the time is over."""
    until = services.clock.monotonic() + seconds
    while "vectors" not in found.report and services.clock.monotonic() < until:
        await asyncio.sleep(_LOOK_SECONDS)
        found = await services.erasure.get(found.tenant_id, found.id)
    return found


def _messages(everything: Everything) -> int:
    return sum(len(talk.messages) for talk in everything.talks)


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read, and that was not there before.

    Raises:
        FileExists: it was.
        InvalidInput: the folder does not take it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        raise FileExists(f"{path} exists. Choose another name.") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}.") from error
