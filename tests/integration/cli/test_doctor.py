"""What `coachline doctor` says is so, of every part, and it never ends in a traceback."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coachline.cli import app
from coachline.foundation import logs
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from conftest import Servers
from fixtures.scripted_accounts import build_office
from lab.scripted_ollama import ScriptedOllama

Told = dict[str, dict[str, str]]
KEYS = "test:" + base64.b64encode(bytes(32)).decode()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Sets COACHLINE_… names; everything else of this machine stays out."""
    # The runner's output ends with the command; logs of later tests must not go there.
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    monkeypatch.setenv("COACHLINE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"COACHLINE_{name.upper()}", value)

    return put


async def doctor() -> tuple[int, Told]:
    """Exit code, and the rows by part."""
    result = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, {row["part"]: row for row in json.loads(result.stdout)}


async def test_where_nothing_runs_every_part_is_missing_with_its_remedy(
    environment: Callable[..., None],
) -> None:
    code, told = await doctor()
    assert code == 1
    assert {row["state"] for row in told.values()} == {"missing"}
    assert {row["origin"] for row in told.values()} == {"not running"}
    assert all("coachline up" in row["details"] for row in told.values())


async def test_external_parts_that_answer_are_ok_and_a_missing_model_is_not(
    environment: Callable[..., None], servers: Servers
) -> None:
    async with ScriptedOllama() as ollama:
        environment(
            database_url=servers.app_url,
            worker_database_url=servers.worker_url,
            redis_url=servers.redis_url,
            ollama_url=ollama.url,
            embed_model="not-there",
            master_keys=KEYS,
        )
        code, told = await doctor()
    assert code == 1
    states = {part: row["state"] for part, row in told.items()}
    assert states["PostgreSQL"] == states["Valkey"] == states["Master keys"] == "ok"
    assert told["PostgreSQL"]["origin"] == "external"
    assert states["Embeddings"] == "wrong"
    assert "COACHLINE_EMBED_MODEL" in told["Embeddings"]["details"]
    assert states["ChromaDB"] == "missing"


async def test_parts_that_refuse_are_wrong_and_no_secret_is_shown(
    environment: Callable[..., None], servers: Servers
) -> None:
    environment(
        database_url=servers.app_url.replace("app-password", "s3cret"),
        worker_database_url=servers.worker_url,
        redis_url="redis://:s3cret@127.0.0.1:1",
        chroma_url="http://127.0.0.1:1",
        ollama_url="http://127.0.0.1:1",
        master_keys="s3cret",
    )
    code, told = await doctor()
    assert code == 1
    assert {row["state"] for row in told.values()} == {"wrong"}
    assert "s3cret" not in str(told)


@pytest.mark.parametrize("url", ["nonsense", "mysql://s3cret@h/d", "postgresql://u:s3cret@h:x/d"])
async def test_a_url_that_is_none_is_wrong_use_and_not_shown(
    environment: Callable[..., None], url: str
) -> None:
    environment(database_url=url)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["doctor"])
    assert result.exit_code == 2
    assert "COACHLINE_DATABASE_URL" in result.output
    assert "s3cret" not in result.output


async def test_a_connection_that_hears_nothing_is_named_and_a_closed_one_with_its_reason(
    environment: Callable[..., None],
    servers: Servers,
    database: Database,
    tenants: tuple[TenantId, TenantId],
) -> None:
    office = build_office(database, SystemClock())
    deaf = await office.connect(tenants[0], f"acc-{new_id()}", name="deaf one")
    lost = await office.connect(tenants[1], f"acc-{new_id()}", name="closed one")
    await office.connections.note_health(tenants[0], deaf.id, "deaf", None, "no word")
    await office.connections.set_state(
        tenants[1], lost.id, "disabled", actor="gateway", problem="token revoked"
    )
    environment(
        database_url=servers.app_url,
        worker_database_url=servers.worker_url,
        redis_url=servers.redis_url,
        ollama_url="http://127.0.0.1:1",
        master_keys=KEYS,
    )
    code, told = await doctor()
    row = told["Connections"]
    assert (code, row["state"]) == (1, "wrong")
    assert "/deaf one is deaf (no word)" in row["details"]
    assert "/closed one is closed (token revoked)" in row["details"]
