"""What `coachline doctor` says is so, of every part, and it never ends in a traceback."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import MagicMock

import asyncpg
import pytest
from typer.testing import CliRunner

from coachline.cli import app
from coachline.foundation import logs
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database, driver_connection
from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.schema import migrate
from coachline.local import Disk, Home, ensure_database
from coachline.messaging import DraftReply
from coachline.tenancy import Keys, Tenants
from conftest import ROLES, MakeDesk, Servers
from fixtures.desk import TRACE
from fixtures.scripted_accounts import build_office
from lab.scripted_ollama import ScriptedOllama

Told = dict[str, dict[str, str]]
NAME = "coachline_doctor"
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


@pytest.fixture(scope="module")
async def own_database(servers: Servers) -> AsyncIterator[Database]:
    """A database of its own: what other tests left lying about is none of ours."""
    await ensure_database(servers.postgres, database=NAME, roles=ROLES)
    await migrate(servers.url("coachline_owner", NAME))
    database = Database(
        servers.url("coachline_app", NAME), servers.url("coachline_worker", NAME), pool_size=4
    )
    yield database
    await database.close()


@pytest.fixture
async def pair(own_database: Database) -> AsyncIterator[tuple[TenantId, TenantId]]:
    """Two tenants, suspended afterwards: the doctor looks at active ones."""
    clock = SystemClock()
    service = Tenants(own_database, Keys(own_database, clock), clock)
    made = [await service.create(f"{word}-{new_id()}") for word in ("left", "right")]
    yield made[0].tenant_id, made[1].tenant_id
    for tenant in made:
        await service.suspend(tenant.name)


@pytest.fixture
def on_own_database(
    environment: Callable[..., None], servers: Servers, own_database: Database
) -> Callable[..., None]:
    """Sets what leads there, and to a model server that is not."""
    environment(
        database_url=servers.url("coachline_app", NAME),
        worker_database_url=servers.url("coachline_worker", NAME),
        redis_url=servers.redis_url,
        ollama_url="http://127.0.0.1:1",
        master_keys=KEYS,
    )
    return environment


async def test_where_nothing_runs_every_part_is_missing_with_its_remedy(
    environment: Callable[..., None],
) -> None:
    code, told = await doctor()
    assert code == 1
    assert told.pop("Disk")["origin"] == "this machine"
    assert {row["state"] for row in told.values()} == {"missing"}
    assert {row["origin"] for row in told.values()} == {"not running"}
    assert all("coachline up" in row["details"] for row in told.values())


async def test_external_parts_that_answer_are_ok_and_a_missing_model_is_not(
    on_own_database: Callable[..., None],
) -> None:
    async with ScriptedOllama() as ollama:
        on_own_database(ollama_url=ollama.url, embed_model="not-there")
        code, told = await doctor()
    assert code == 1
    states = {part: row["state"] for part, row in told.items()}
    answering = ("PostgreSQL", "Isolation", "Valkey", "Master keys", "Clocks", "Queue")
    assert {part: states[part] for part in answering} == dict.fromkeys(answering, "ok")
    assert told["PostgreSQL"]["origin"] == "external"
    assert states["Embeddings"] == "wrong"
    assert "COACHLINE_EMBED_MODEL" in told["Embeddings"]["details"]
    assert states["ChromaDB"] == "missing"


async def test_parts_that_refuse_are_wrong_and_no_secret_is_shown(
    environment: Callable[..., None], servers: Servers
) -> None:
    environment(
        database_url=servers.app_url.replace("app-password", "s3cret"),
        worker_database_url=servers.worker_url.replace("worker-password", "s3cret"),
        redis_url="redis://:s3cret@127.0.0.1:1",
        chroma_url="http://127.0.0.1:1",
        ollama_url="http://127.0.0.1:1",
        master_keys="s3cret",
    )
    code, told = await doctor()
    assert code == 1
    assert told.pop("Disk")["origin"] == "this machine"
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
    on_own_database: Callable[..., None],
    own_database: Database,
    pair: tuple[TenantId, TenantId],
) -> None:
    office, tenants = build_office(own_database, SystemClock()), pair
    deaf = await office.connect(tenants[0], f"acc-{new_id()}", name="deaf one")
    lost = await office.connect(tenants[1], f"acc-{new_id()}", name="closed one")
    await office.connections.note_health(tenants[0], deaf.id, "deaf", None, "no word")
    await office.connections.set_state(
        tenants[1], lost.id, "disabled", actor="gateway", problem="token revoked"
    )
    code, told = await doctor()
    row = told["Connections"]
    assert (code, row["state"]) == (1, "wrong")
    assert "/deaf one is deaf (no word)" in row["details"]
    assert "/closed one is closed (token revoked)" in row["details"]


@pytest.mark.parametrize(
    ("damage", "repair", "words"),
    [
        (
            "alter table turn no force row level security",
            "alter table turn force row level security",
            "turn: row-level security is not forced",
        ),
        (
            "drop policy tenant_isolation on turn",
            (
                "create policy tenant_isolation on turn using (tenant_id = app_tenant())"
                " with check (tenant_id = app_tenant())"
            ),
            "turn: has not exactly one policy",
        ),
        (
            "grant delete on inbox_event to coachline_worker",
            "revoke delete on inbox_event from coachline_worker",
            "inbox_event: the worker may touch a tenant's own rows",
        ),
    ],
)
async def test_a_policy_that_was_taken_away_and_a_right_too_many_are_told(
    on_own_database: Callable[..., None], servers: Servers, damage: str, repair: str, words: str
) -> None:
    owner = await asyncpg.connect(servers.url("coachline_owner", NAME))
    try:
        await owner.execute(damage)
        code, told = await doctor()
    finally:
        await owner.execute(repair)
        await owner.close()
    assert (code, told["Isolation"]["state"]) == (1, "wrong")
    assert words in told["Isolation"]["details"]
    assert (await doctor())[1]["Isolation"]["state"] == "ok"


async def test_a_lease_that_nobody_takes_up_and_a_job_that_nobody_takes_are_told(
    on_own_database: Callable[..., None],
    own_database: Database,
    make_desk: MakeDesk,
    pair: tuple[TenantId, TenantId],
) -> None:
    desk = make_desk(database=own_database)
    live = await desk.connect(pair[0])
    await desk.receive(live, "hello")
    await desk.begin(live)
    await desk.run_sql(
        live, "update conversation set lease_until = clock_timestamp() - interval '1 hour'"
    )
    await desk.run_sql(live, "update inbox_event set created_at = now() - interval '20 min'")
    async with own_database.system() as session:
        driver = await driver_connection(session)
        await driver.execute("update pgqueuer set execute_after = now() - interval '5 min'")
    code, told = await doctor()
    assert (code, told["Queue"]["state"]) == (1, "wrong")
    assert "1 conversations are stuck" in told["Queue"]["details"]
    assert "a message waits for 20 min" in told["Queue"]["details"]
    assert "1 jobs that nobody takes" in told["Queue"]["details"]
    async with own_database.system() as session:
        await (await driver_connection(session)).execute("delete from pgqueuer")


async def test_replies_that_wait_for_a_decision_are_told_by_tenant(
    on_own_database: Callable[..., None],
    own_database: Database,
    make_desk: MakeDesk,
    pair: tuple[TenantId, TenantId],
) -> None:
    desk = make_desk(database=own_database)
    for tenant_id, state in zip(pair, ("unknown", "suppressed"), strict=True):
        live = await desk.connect(tenant_id)
        await desk.receive(live, "hello")
        turn = await desk.begin(live)
        await desk.ledger.save(turn, [DraftReply("one")], TRACE)
        await desk.run_sql(live, f"update outbox_reply set state = '{state}'")  # noqa: S608 - a word of ours
        await desk.queue.release(turn.lease)
    async with own_database.system() as session:
        await (await driver_connection(session)).execute("delete from pgqueuer")
    _, told = await doctor()
    assert told["Queue"]["details"].count("coachline reply list") == 1
    assert "replies 1 unknown" in told["Queue"]["details"]


async def test_clocks_that_are_apart_are_told_with_how_far(
    on_own_database: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = MagicMock(return_value=datetime.now(UTC) - timedelta(minutes=10))
    monkeypatch.setattr(SystemClock, "now", late)
    _, told = await doctor()
    assert told["Clocks"]["state"] == "wrong"
    assert "PostgreSQL +60" in told["Clocks"]["details"]
    assert "Valkey +60" in told["Clocks"]["details"]


async def test_a_disk_that_is_nearly_full_is_told(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "coachline.local.look_at_disk", lambda folder: Disk(folder, free=2**30, total=2**40)
    )
    _, told = await doctor()
    assert told["Disk"]["state"] == "wrong"
    assert "nearly full" in told["Disk"]["details"]


async def test_what_up_was_told_is_external_also_from_another_terminal(
    environment: Callable[..., None], servers: Servers, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    async with ScriptedOllama() as ollama:
        with home.lock():
            home.write_runtime(
                {
                    "database_url": servers.app_url,
                    "worker_database_url": servers.worker_url,
                    "ollama_url": ollama.url,
                },
                embedded=["database_url", "chroma_url"],
            )
            _, told = await doctor()
    origins = {part: row["origin"] for part, row in told.items()}
    assert origins["PostgreSQL"] == origins["ChromaDB"] == "embedded"
    assert origins["Models"] == origins["Embeddings"] == "external"
    assert str(tmp_path / "postgres") in told["Disk"]["details"]
