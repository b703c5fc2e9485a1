"""Everything but the listener through Debian's PgBouncer in transaction mode."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from conftest import ROLES, MakeDesk, Servers
from fixtures.cancel_storms import storm_database
from fixtures.pgbouncer import MISSING, PROGRAM, open_pgbouncer
from fixtures.scripted_channel import event

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def pooled(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The app role's URL through a transaction pooler with two server connections."""
    if PROGRAM is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("bouncer")
    async with open_pgbouncer(folder, servers.app_url, ROLES) as url:
        yield url


@pytest.fixture
async def pooled_database(pooled: str, servers: Servers) -> AsyncIterator[Database]:
    """Both roles, the app's through the pooler."""
    database = Database(pooled, servers.worker_url, pool_size=10, pooler=True)
    yield database
    await database.close()


async def test_a_storm_of_cancelled_reads_never_shows_another_tenants_row(
    pooled_database: Database, tenants: tuple[TenantId, TenantId]
) -> None:
    storm = await storm_database(pooled_database, tenants, reads=300, seed=7)
    assert storm.wrong == []
    assert storm.reads >= 300
    assert storm.cancels


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
