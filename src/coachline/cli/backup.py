"""``coachline backup`` and ``coachline restore``: everything in one file, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from coachline.cli.support import WRONG_USE, complete, emit, fail, run, with_values
from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.settings import PREFIX, Settings, load_settings

if TYPE_CHECKING:
    from coachline.bootstrap import Restoration
    from coachline.foundation.dump import Manifest

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    force: Annotated[bool, typer.Option(help="Replace the file if there is one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write all that PostgreSQL holds into one file; the gateway may go on working.

    The file holds what learners wrote. It does not hold the master keys, without which the
    credentials of connections in it cannot be used: keep those elsewhere.
    """

    async def work() -> None:
        from coachline.bootstrap import Backups

        async with open_database(is_new=False) as settings:
            manifest = await Backups(owner_url(settings)).write(file, may_replace=force)
        emit({"file": str(file), **_shown(manifest)}, as_json)
        if not as_json:
            Console(stderr=True).print(
                f"The master keys are not in it: keep {PREFIX}MASTER_KEYS, or the file "
                "secrets.json of the data folder, elsewhere.\n"
                "Who is erased from now on is still in it: `coachline learner erasures export` "
                "writes the list that a restore erases again by."
            )

    run(work)


def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The backup.")
    ],
    replace: Annotated[
        bool, typer.Option(help="Drop what the database holds, if it holds anything.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before dropping it.")] = False,
    erasures: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST",
            exists=True,
            dir_okay=False,
            help="Whom to erase again: what `coachline learner erasures export` wrote.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the database what a backup says. Replies of the backup wait for `coachline reply`.

    Whoever was erased since is erased again, as far as the list or the database that is replaced
    tells. Stop the gateway first. Messages that were not answered in the backup are answered when
    it starts again; vectors are made anew by its worker.
    """
    if replace and not yes:
        if as_json:
            fail("With --json nobody is asked: say --yes too.", code=WRONG_USE)
        typer.confirm("Drop everything that the database holds now?", abort=True)

    async def work() -> None:
        from coachline.bootstrap import Backups, read_list
        from coachline.foundation.seal import parse_master_keys

        told = None if erasures is None else read_list(erasures.read_text(encoding="utf-8"))
        async with open_database(is_new=True) as settings:
            keys = settings.master_keys
            if keys is None:
                raise SettingsInvalid(f"{PREFIX}MASTER_KEYS is not set.")
            seal = parse_master_keys(keys.get_secret_value())
            done = await Backups(owner_url(settings)).restore(
                file, seal, may_replace=replace, erasures=told
            )
        emit(_told(done), as_json)
        if not as_json:
            _advise(done)

    run(work)


def _advise(done: Restoration) -> None:
    """Say what is left to a person."""
    console = Console(stderr=True, soft_wrap=True)
    if not done.is_erasure_known:
        console.print(
            f"Whoever was erased after {done.manifest.taken_at:%Y-%m-%d %H:%M} UTC is back, "
            "since nothing told of it: `coachline learner erasures redo LIST`."
        )
    if done.under_way.replies:
        console.print(
            f"{done.under_way.replies} replies were not yet sent in the backup. They may have "
            "been since, so none is sent by itself: `coachline reply list --tenant NAME`."
        )


@asynccontextmanager
async def open_database(*, is_new: bool) -> AsyncIterator[Settings]:
    """Settings that lead to PostgreSQL: one that runs, or that of this home, for as long.

    Args:
        is_new: whether a database may be made where there is none.
    """
    from coachline.local import Home, Supervisor

    settings = complete(load_settings())
    if settings.owner_database_url is not None or settings.database_url is not None:
        yield settings
        return
    if not is_new and not (settings.home / "postgres").exists():
        raise SettingsInvalid(
            f"{settings.home} holds no database. Set COACHLINE_HOME to the folder that does, or "
            f"{PREFIX}OWNER_DATABASE_URL to your own server."
        )
    home = Home(settings.home)
    with home.lock():
        supervisor = Supervisor(home, settings, lambda _part, _state: None)
        try:
            yield with_values(settings, await supervisor.start_database())
        finally:
            await supervisor.stop()


def owner_url(settings: Settings) -> str:
    """The address of PostgreSQL as the owner of the schema.

    Raises:
        SettingsInvalid: it is not set.
    """
    if settings.owner_database_url is None:
        raise SettingsInvalid(f"{PREFIX}OWNER_DATABASE_URL is not set.")
    return settings.owner_database_url.get_secret_value()


def _shown(manifest: Manifest) -> dict[str, Any]:
    return {
        "taken_at": manifest.taken_at.isoformat(),
        "version": manifest.version,
        "revision": manifest.revision,
        "tables": len(manifest.tables),
        "rows": manifest.rows,
    }


def _told(done: Restoration) -> dict[str, Any]:
    return {
        **_shown(done.manifest),
        "tenants": done.tenants,
        "replies_held": done.under_way.replies,
        "messages_to_answer": done.under_way.events,
        "learners_erased_again": done.redone.learners,
        "tenants_erased_again": done.redone.tenants,
    }
