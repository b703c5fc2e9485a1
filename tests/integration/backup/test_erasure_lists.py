"""Who was erased after a backup does not come back with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Text, cast, func, select, text
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table

from coachline.bootstrap import (
    Backups,
    ErasureLists,
    ErasureListUnreadable,
    Redone,
    read_list,
    remove_tenant,
    write_list,
)
from coachline.conversation import Overwriting
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.ids import LearnerId, TenantId, new_id
from coachline.foundation.schema import migrate
from coachline.learners import Consent, ErasureLedger, LearnerRights, LinkCodes
from coachline.local import ensure_database
from coachline.messaging import Belonging, LiveConnection
from coachline.tenancy import ErasedTenants, Keys, Tenants
from conftest import ROLES, MakeDesk, Servers
from fixtures.desk import Desk
from fixtures.scripted_channel import event
from fixtures.seals import make_seal

pytestmark = pytest.mark.integration

CANARY = "zanzibar"


@dataclass
class Place:
    """A database of its own with two tenants, and what a gateway does there."""

    name: str
    owner_url: str
    owner: Database
    runtime: Database
    desk: Desk
    tenants: tuple[TenantId, TenantId]

    async def count(self, tenant_id: TenantId, canary: str) -> int:
        """Rows of a tenant that hold the canary."""
        found = 0
        async with self.owner.tenant(tenant_id) as session:
            tables = await session.scalars(
                text("select relname from pg_class where relrowsecurity order by relname")
            )
            for name in tables.all():
                held = (
                    select(func.count())
                    .select_from(sql_table(name))
                    .where(cast(sql_column(name), Text).icontains(canary, autoescape=True))
                )
                found += await session.scalar(held) or 0
        return found

    async def learner_of(self, tenant_id: TenantId, sender: str) -> LearnerId:
        """Who a sender is."""
        async with self.owner.tenant(tenant_id) as session:
            query = text("select learner_id from identity where sender = :s")
            return LearnerId(await session.scalar(query, {"s": sender}))

    async def erase(self, tenant_id: TenantId, learner_id: LearnerId) -> None:
        """Erase a learner at once."""
        ledger, clock = ErasureLedger(), SystemClock()
        consent, belonging = Consent(clock), Belonging(make_seal())
        rights = LearnerRights(clock, consent, LinkCodes(clock, consent), make_seal())
        async with self.runtime.tenant(tenant_id) as session:
            now = datetime.now(UTC)
            erasure_id = await ledger.add(session, learner_id, actor="cli", asked_at=now)
            assert erasure_id is not None
            heard = await belonging.list_heard(session, learner_id)
            gone = await rights.forget(session, learner_id, heard=heard)
            await ledger.note_person(session, learner_id, gone.learners, gone.identities)
            await ledger.bury(session, erasure_id, gone.tombstones)
            record = await ledger.find(session, learner_id)
            assert record is not None
            await Overwriting(belonging).look(session, record, now=now, is_final=True)


@pytest.fixture
async def place(servers: Servers, make_desk: MakeDesk) -> AsyncIterator[Place]:
    name = f"erased_{new_id().hex}"
    await ensure_database(servers.postgres, database=name, roles=ROLES)
    owner_url = servers.url("coachline_owner", name)
    await migrate(owner_url)
    owner = Database(owner_url, owner_url, pool_size=2)
    runtime = Database(
        servers.url("coachline_app", name), servers.url("coachline_worker", name), pool_size=2
    )
    clock = SystemClock()
    service = Tenants(runtime, Keys(runtime, clock), clock)
    made = [(await service.create(f"{word}-{new_id()}")).tenant_id for word in ("a", "b")]
    yield Place(name, owner_url, owner, runtime, make_desk(database=runtime), (made[0], made[1]))
    await runtime.close()
    await owner.close()


async def said_by(place: Place, live: LiveConnection, *senders: str) -> None:
    """Have each say something that holds the canary."""
    for sender in senders:
        await place.desk.intake.accept(live, [event(f"{sender}-1", sender, f"{CANARY} {sender}")])


async def restore(place: Place, file: Path, told: str | None = None) -> Redone:
    """Restore as a command does, with no gateway connected."""
    await place.runtime.close()
    erasures = None if told is None else read_list(told)
    done = await Backups(place.owner_url).restore(
        file, make_seal(), may_replace=True, erasures=erasures
    )
    assert done.is_erasure_known
    return done.redone


async def export(place: Place) -> str:
    """The list, as it is written."""
    found = await ErasureLists(place.runtime, make_seal()).read()
    return write_list(found, made_at=datetime.now(UTC))


async def test_who_was_erased_after_a_backup_is_erased_again_by_the_database_that_it_replaces(
    place: Place, tmp_path: Path
) -> None:
    tenant, other = place.tenants
    live, foreign = [await place.desk.connect(one) for one in place.tenants]
    await said_by(place, live, "ann", "bob")
    await said_by(place, foreign, "ann")
    await Backups(place.owner_url).write(tmp_path / "b")
    await place.erase(tenant, await place.learner_of(tenant, "ann"))
    assert await place.count(tenant, f"{CANARY} ann") == 0
    assert await restore(place, tmp_path / "b") == Redone(learners=1)
    assert await place.count(tenant, f"{CANARY} ann") == 0
    assert await place.count(tenant, f"{CANARY} bob") == 1
    assert await place.count(other, f"{CANARY} ann") == 1


async def test_a_list_beside_the_backup_tells_where_the_database_is_lost(
    place: Place, tmp_path: Path
) -> None:
    tenant, other = place.tenants
    live, foreign = [await place.desk.connect(one) for one in place.tenants]
    await said_by(place, live, "ann", "bob")
    await said_by(place, foreign, "ann")
    await Backups(place.owner_url).write(tmp_path / "b")
    ann = await place.learner_of(tenant, "ann")
    await place.erase(tenant, ann)
    await remove_tenant(place.owner, Engine(), other, actor="cli")
    told = await export(place)
    assert CANARY not in told
    assert '"ann"' not in told
    await place.runtime.close()
    done = await Backups(place.owner_url).restore(tmp_path / "b", make_seal(), may_replace=True)
    assert done.is_erasure_known
    assert done.tenants == 1
    lists = ErasureLists(place.owner, make_seal())
    assert await lists.redo(read_list(told)) == Redone(), "doing it again changes nothing"
    assert await place.count(tenant, f"{CANARY} ann") == 0
    assert await place.count(tenant, f"{CANARY} bob") == 1
    assert [one.id for one in await ErasedTenants(place.owner).list()] == [other]


async def test_a_restore_into_nothing_says_that_nobody_told_of_erasures(
    place: Place, servers: Servers, tmp_path: Path
) -> None:
    tenant = place.tenants[0]
    live = await place.desk.connect(tenant)
    await said_by(place, live, "ann")
    await Backups(place.owner_url).write(tmp_path / "b")
    await place.erase(tenant, await place.learner_of(tenant, "ann"))
    told = await export(place)
    name = f"erased_{new_id().hex}"
    await ensure_database(servers.postgres, database=name, roles=ROLES)
    url = servers.url("coachline_owner", name)
    done = await Backups(url).restore(tmp_path / "b", make_seal())
    assert (done.is_erasure_known, done.redone) == (False, Redone())
    database = Database(url, url, pool_size=2)
    try:
        again = Place(name, url, database, database, place.desk, place.tenants)
        assert await again.count(tenant, f"{CANARY} ann") > 0, "they are back"
        lists = ErasureLists(database, make_seal())
        assert await lists.redo(read_list(told)) == Redone(learners=1)
        assert await again.count(tenant, f"{CANARY} ann") == 0
    finally:
        await database.close()


async def test_a_person_whom_the_backup_knows_as_two_is_erased_as_both(
    place: Place, tmp_path: Path
) -> None:
    tenant = place.tenants[0]
    live = await place.desk.connect(tenant)
    await said_by(place, live, "ann", "ann-too")
    await Backups(place.owner_url).write(tmp_path / "b")
    host, guest = [await place.learner_of(tenant, who) for who in ("ann", "ann-too")]
    async with place.runtime.tenant(tenant) as session:
        for table in ("identity", "conversation"):
            await session.execute(
                text(f"update {table} set learner_id = :h where learner_id = :g"),  # noqa: S608 (two names)
                {"h": host, "g": guest},
            )
        await session.execute(
            text("update identity set home_learner_id = :g where sender = 'ann-too'"), {"g": guest}
        )
    await place.erase(tenant, host)
    told = await export(place)
    assert await restore(place, tmp_path / "b", told) == Redone(learners=1)
    assert await place.count(tenant, CANARY) == 0
    assert await place.count(tenant, "ann-too") == 0


async def test_what_a_platform_delivers_again_after_the_restore_is_not_taken_in(
    place: Place, servers: Servers, make_desk: MakeDesk, tmp_path: Path
) -> None:
    tenant = place.tenants[0]
    live = await place.desk.connect(tenant)
    await Backups(place.owner_url).write(tmp_path / "b")
    first = event("after-the-backup", "ann", f"{CANARY} ann")
    await place.desk.intake.accept(live, [first])
    later = first.model_copy(
        update={"external_id": "last", "occurred_at": first.occurred_at + timedelta(seconds=1)}
    )
    await place.desk.intake.accept(live, [later])
    await place.erase(tenant, await place.learner_of(tenant, "ann"))
    told = await export(place)
    await restore(place, tmp_path / "b", told)
    runtime = Database(
        servers.url("coachline_app", place.name),
        servers.url("coachline_worker", place.name),
        pool_size=2,
    )
    try:
        desk = make_desk(database=runtime)
        again = await desk.connections.live(tenant, live.id)
        accepted = await desk.intake.accept(again, [first])
        assert (accepted.events, accepted.dropped) == ((), 1)
        fresh = first.model_copy(
            update={"external_id": "new", "occurred_at": later.occurred_at + timedelta(seconds=1)}
        )
        assert len((await desk.intake.accept(again, [fresh])).events) == 1
    finally:
        await runtime.close()


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "learners": 3}'])
def test_a_file_that_is_no_list_is_refused(told: str) -> None:
    with pytest.raises(ErasureListUnreadable):
        read_list(told)
