"""``coachline learner erasures``: who was erased, the proof, and erasing again after a restore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from coachline.cli.backup import open_database, owner_url
from coachline.cli.support import emit, open_services, run
from coachline.foundation.errors import InvalidInput, SettingsInvalid
from coachline.foundation.settings import PREFIX

if TYPE_CHECKING:
    from coachline.learners import ErasureRecord

app = typer.Typer(no_args_is_help=True, help="Show erasures, export them, do them again.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]

_OUTSIDE = ("jobs", "caches", "vectors", "logs")


@app.command()
def show(
    erasure_id: Annotated[UUID, typer.Argument(metavar="ID", help="The erasure.")],
    tenant: TenantName,
    as_json: AsJson = False,
) -> None:
    """Print how far an erasure is, and its proof: what was found where, and what became of it."""

    async def work() -> None:
        async with open_services() as services:
            owner = await services.tenants.get_by_name(tenant)
            found = await services.erasure.get(owner.id, erasure_id)
        print_erasure(found, as_json)

    run(work)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, or replace.")],
    as_json: AsJson = False,
) -> None:
    """Write who was erased, of all tenants, to be kept beside the backups.

    The file holds ids and keyed marks, nothing that says who somebody was.
    """

    async def work() -> None:
        from coachline.bootstrap import write_list

        async with open_services() as services:
            found = await services.erasing.lists.read()
            text = write_list(found, made_at=services.clock.now())
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{file}: {error.strerror or error}.") from error
        emit(
            {"file": str(file), "learners": len(found.learners), "tenants": len(found.tenants)},
            as_json,
        )

    run(work)


@app.command()
def redo(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The list.")
    ],
    as_json: AsJson = False,
) -> None:
    """Erase again whom a list names and a restore brought back. Doing it twice changes nothing."""

    async def work() -> None:
        from coachline.bootstrap import ErasureLists, read_list
        from coachline.foundation.database import Database
        from coachline.foundation.seal import parse_master_keys

        told = read_list(file.read_text(encoding="utf-8"))
        async with open_database(is_new=False) as settings:
            if settings.master_keys is None:
                raise SettingsInvalid(f"{PREFIX}MASTER_KEYS is not set.")
            seal = parse_master_keys(settings.master_keys.get_secret_value())
            url = owner_url(settings)
            database = Database(url, url, pool_size=2)
            try:
                done = await ErasureLists(database, seal).redo(told)
            finally:
                await database.close()
        emit(
            {"learners_erased_again": done.learners, "tenants_erased_again": done.tenants}, as_json
        )

    run(work)


def print_erasure(found: ErasureRecord, as_json: bool) -> None:
    """Print an erasure and its proof, line by line for a person."""
    told: dict[str, Any] = {
        "erasure_id": str(found.id),
        "learner_id": str(found.learner_id),
        "asked_by": found.actor,
        "state": found.state,
        **{
            name: moment and moment.isoformat()
            for name, moment in (
                ("asked_at", found.asked_at),
                ("started_at", found.started_at),
                ("erased_at", found.erased_at),
                ("proven_at", found.proven_at),
            )
        },
    }
    if as_json:
        emit({**told, "report": dict(found.report)}, as_json)
        return
    emit(told, as_json)
    emit(found.report.get("tables", []), as_json)
    emit({name: found.report[name] for name in _OUTSIDE if name in found.report}, as_json)
