"""Everything but the listener through Debian's PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from coachline.local.process import ChildProcess
from conftest import ROLES, MakeDesk, Servers
from fixtures.ports import free_port
from fixtures.scripted_channel import event

pytestmark = pytest.mark.integration
PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")


@pytest.fixture(scope="module")
async def pooled(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The app role's URL through a transaction pooler with two server connections."""
    if PROGRAM is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    folder = tmp_path_factory.mktemp("bouncer")
    port = free_port()
    socket = parse_qs(urlsplit(servers.app_url).query)["host"][0]
    (folder / "users.txt").write_text(
        "".join(f'"{role}" "{password}"\n' for role, password in ROLES.items())
    )
    (folder / "pgbouncer.ini").write_text(
        f"""
[databases]
coachline = host={socket} dbname=coachline
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder / "users.txt"}
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""
    )
    child = ChildProcess(
        "PgBouncer",
        [PROGRAM, str(folder / "pgbouncer.ini")],
        log=folder / "pgbouncer.log",
        unprivileged=folder,
    )
    url = f"postgresql://coachline_app:{ROLES['coachline_app']}@127.0.0.1:{port}/coachline"

    async def answers() -> bool:
        try:
            connection = await asyncpg.connect(url, statement_cache_size=0, timeout=2)
        except (TimeoutError, OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    await child.start()
    await child.wait_ready(answers, 15)
    yield url
    await child.stop()


@pytest.fixture
async def pooled_database(pooled: str, servers: Servers) -> AsyncIterator[Database]:
    """Both roles, the app's through the pooler."""
    database = Database(pooled, servers.worker_url, pool_size=10, pooler=True)
    yield database
    await database.close()


async def test_a_storm_of_cancelled_reads_never_shows_another_tenants_row(
    pooled_database: Database, tenants: tuple[TenantId, TenantId]
) -> None:
    wrong: list[object] = []
    reads = 0

    async def read(tenant_id: TenantId) -> None:
        nonlocal reads
        async with pooled_database.tenant(tenant_id) as session:
            await session.execute(text("select pg_sleep(0.001)"))
            found = (await session.scalars(text("select tenant_id from tenant_profile"))).all()
        reads += 1
        if found != [tenant_id]:
            wrong.append(found)

    chance = random.Random(7)
    async with asyncio.timeout(60):
        for _ in range(30):
            tasks = [asyncio.create_task(read(tenants[n % 2])) for n in range(20)]
            await asyncio.sleep(chance.uniform(0.001, 0.02))
            for task in tasks:
                if chance.random() < 0.3:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert wrong == []
    assert reads > 200


async def test_a_message_is_taken_answered_and_sent_through_the_pooler(
    pooled_database: Database, make_desk: MakeDesk, tenants: tuple[TenantId, TenantId]
) -> None:
    desk = make_desk(database=pooled_database)
    for tenant_id in tenants:
        live = await desk.connect(tenant_id)
        await desk.intake.accept(live, [event("e1", "ann", "hello")])
        turn = await desk.answer(live, f"hello {tenant_id}")
        assert await desk.delivery.settle(turn.lease)
        await desk.queue.release(turn.lease)
        assert (await desk.row(live))["state"] == "idle"
        assert [reply.text for reply in desk.platform.accepted][-1] == f"hello {tenant_id}"
