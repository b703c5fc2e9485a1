"""``coachline backup`` and ``restore`` as an operator types them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coachline.cli import app
from coachline.foundation import logs
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import new_id
from coachline.foundation.schema import migrate
from coachline.local import Home, ensure_database
from coachline.tenancy import Keys, Tenants
from conftest import ROLES, Servers
from fixtures.house import make_master_key

pytestmark = pytest.mark.integration


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data folder that nothing runs on; everything else of this machine stays out."""
    # The runner's output ends with the command; logs of later tests must not go there.
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    monkeypatch.setenv("COACHLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COACHLINE_MASTER_KEYS", make_master_key())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
async def external(servers: Servers) -> str:
    """The owner's URL of a database with two tenants."""
    name = f"backup_{new_id().hex}"
    await ensure_database(servers.postgres, database=name, roles=ROLES)
    url = servers.url("coachline_owner", name)
    await migrate(url)
    database, clock = Database(url, url, pool_size=1), SystemClock()
    try:
        for word in ("a", "b"):
            await Tenants(database, Keys(database, clock), clock).create(f"{word}-{new_id()}")
    finally:
        await database.close()
    return url


def is_there(path: Path) -> bool:
    return path.exists()


async def call(*words: str, answer: str = "") -> tuple[int, str]:
    """Exit code and everything that was said."""
    found = await asyncio.to_thread(CliRunner().invoke, app, [*words], answer)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.output
    return found.exit_code, found.output


async def ask(*words: str) -> dict[str, Any]:
    """What a command that must succeed answers."""
    found = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--json"])
    assert found.exit_code == 0, found.output
    told: dict[str, Any] = json.loads(found.stdout)
    return told


async def test_a_backup_moves_an_installation_into_an_embedded_server(
    home: Path, external: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COACHLINE_OWNER_DATABASE_URL", external)
    written = await ask("backup", "moved.backup")
    monkeypatch.delenv("COACHLINE_OWNER_DATABASE_URL")
    done = await ask("restore", "moved.backup")
    assert (done["tenants"], done["rows"]) == (2, written["rows"])
    assert (done["replies_held"], done["messages_to_answer"]) == (0, 0)
    again = await ask("backup", "again.backup")
    # Two lines in each tenant's audit log are new: the restore, and that vectors are made anew.
    assert again["rows"] == written["rows"] + 4
    assert not Home(home).is_locked(), "what a command started ends with it"
    code, said = await call("restore", "moved.backup")
    assert (code, "--replace" in said) == (1, True)
    code, said = await call("restore", "moved.backup", "--replace", answer="n\n")
    assert (code, "Drop everything" in said) == (1, True)
    assert (await ask("restore", "moved.backup", "--replace", "--yes"))["tenants"] == 2


async def test_a_backup_says_what_is_not_in_it(
    home: Path, external: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COACHLINE_OWNER_DATABASE_URL", external)
    code, said = await call("backup", "all.backup")
    assert (code, "master keys are not in it" in said) == (0, True)
    code, said = await call("backup", "all.backup")
    assert (code, "--force" in said) == (1, True)
    assert (await call("backup", "all.backup", "--force"))[0] == 0
    assert not is_there(home), "an external server needs no data folder"


async def test_without_a_database_there_is_nothing_to_back_up(home: Path) -> None:
    code, said = await call("backup", "all.backup")
    assert (code, "holds no database" in said) == (2, True)
    assert not is_there(home)


async def test_the_app_s_url_alone_is_not_enough(
    home: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COACHLINE_DATABASE_URL", servers.app_url)
    code, said = await call("backup", "all.backup")
    assert (code, "COACHLINE_OWNER_DATABASE_URL is not set" in said) == (2, True)
    assert not is_there(home)


async def test_with_json_nobody_is_asked(home: Path) -> None:
    home.with_name("some.backup").write_bytes(b"")
    code, said = await call("restore", "some.backup", "--replace", "--json")
    assert (code, "--yes" in said) == (2, True)
