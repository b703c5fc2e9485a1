"""What commands that erase ask before they do, and the list beside the backups."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coachline.bootstrap import ErasureList, write_list
from coachline.cli import app
from coachline.foundation import logs
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.schema import migrate
from coachline.local import ensure_database
from coachline.tenancy import Keys, Tenants
from conftest import ROLES, Servers
from fixtures.house import make_master_key

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A data folder that nothing runs on."""
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    monkeypatch.setenv("COACHLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COACHLINE_MASTER_KEYS", make_master_key())
    monkeypatch.chdir(tmp_path)


async def call(*words: str, answer: str = "") -> tuple[int, str]:
    """Exit code and everything that was said."""
    found = await asyncio.to_thread(CliRunner().invoke, app, [*words], answer)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.output
    return found.exit_code, found.output


@pytest.mark.parametrize(
    ("words", "answer", "code", "said"),
    [
        (("tenant", "erase", "acme"), "n\n", 1, "Remove acme"),
        (("tenant", "erase", "acme"), "y\nacne\n", 2, "nothing was done"),
        (("tenant", "erase", "acme", "--yes", "acne"), "", 2, "nothing was done"),
        (("tenant", "erase", "acme", "--json"), "", 2, "say --yes NAME too"),
        (("learner", "erase", str(new_id()), "-t", "acme"), "n\n", 1, "Forget this learner"),
        (("learner", "erase", str(new_id()), "-t", "acme", "--json"), "", 2, "say --yes too"),
    ],
)
async def test_nothing_is_erased_without_a_clear_yes(
    words: tuple[str, ...], answer: str, code: int, said: str
) -> None:
    found = await call(*words, answer=answer)
    assert (found[0], said in found[1]) == (code, True), found[1]


async def test_a_restore_erases_again_what_a_list_names(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"erased_{new_id().hex}"
    await ensure_database(servers.postgres, database=name, roles=ROLES)
    url = servers.url("coachline_owner", name)
    await migrate(url)
    monkeypatch.setenv("COACHLINE_OWNER_DATABASE_URL", url)
    database, clock = Database(url, url, pool_size=1), SystemClock()
    tenants = Tenants(database, Keys(database, clock), clock)
    made = [await tenants.create(f"{word}-{new_id()}") for word in ("a", "b")]
    await database.close()
    assert "Who is erased from now on is still in it" in (await call("backup", "all"))[1]
    told = ErasureList(tenants=(TenantId(made[0].tenant_id),))
    text = write_list(told, made_at=clock.now())
    await asyncio.to_thread((tmp_path / "list").write_text, text)
    code, said = await call("restore", "all", "--replace", "--yes", "--erasures", "list", "--json")
    assert code == 0, said
    done = json.loads(said)
    assert (done["tenants"], done["tenants_erased_again"]) == (1, 1)
    code, said = await call("learner", "erasures", "redo", "list", "--json")
    assert (code, json.loads(said)) == (
        0,
        {"learners_erased_again": 0, "tenants_erased_again": 0},
    )
