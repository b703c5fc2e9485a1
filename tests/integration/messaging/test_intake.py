"""Taking events in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import TenantId
from coachline.learners import Identities, Identity, LinkCodes
from coachline.messaging import DraftReply, LiveConnection, QueueRules
from coachline.messaging.repository import ArrivalRepository
from conftest import MakeDesk
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import event

Pair = tuple[TenantId, TenantId]


async def count_bells(desk: Desk, live: LiveConnection) -> int:
    async with desk.database.system() as session:
        found: int = (
            await session.execute(
                text(
                    "select count(*) from pgqueuer where status = 'queued' and "
                    "convert_from(payload, 'utf8')::jsonb ->> 'tenant_id' = :t"
                ),
                {"t": str(live.tenant_id)},
            )
        ).scalar_one()
    return found


async def test_a_redelivered_event_changes_nothing(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    first = await desk.intake.accept(live, [event("e1", "ann", "hello")])
    again = await desk.intake.accept(live, [event("e1", "ann", "hello")])
    assert (len(first.events), first.duplicates) == (1, 0)
    assert (len(again.events), again.duplicates) == (0, 1)
    assert (await desk.row(live))["last_seq"] == 1
    assert await count_bells(desk, live) == 1


async def test_before_each_step_it_is_asked_whether_somebody_goes_first(
    desk: Desk, tenants: Pair
) -> None:
    asked: list[str] = []

    async def give_way() -> None:
        asked.append("may I?")

    live = await desk.connect(tenants[0])
    await desk.intake.accept(live, [event("e1", "ann", "hello")], give_way=give_way)
    # The stranger, their conversation, the event, the bell, the commit.
    assert len(asked) == 5


async def test_what_names_nobody_is_kept_only_where_its_sender_talks_with_us(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    overheard = event("e1", "ann", "lunch?").model_copy(update={"is_addressed": False})
    dropped = await desk.intake.accept(live, [overheard])
    assert (dropped.events, dropped.duplicates, dropped.dropped) == ((), 0, 1)
    async with desk.database.tenant(tenants[0]) as session:
        for table in ("learner", "identity", "conversation", "inbox_event"):
            found = await session.execute(text(f"select count(*) from {table}"))  # noqa: S608 - our words
            assert found.scalar_one() == 0
    await desk.intake.accept(live, [event("e2", "ann", "hello")])
    elsewhere = overheard.model_copy(update={"external_id": "e3", "thread": "elsewhere"})
    assert (await desk.intake.accept(live, [elsewhere])).dropped == 1
    goes_on = overheard.model_copy(update={"external_id": "e4"})
    assert len((await desk.intake.accept(live, [goes_on])).events) == 1
    assert await count_bells(desk, live) >= 1
    assert (await desk.row(live))["last_seq"] == 2


async def test_a_thread_in_which_others_were_seen_is_never_private_again(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    alone = event("e1", "ann", "hello")
    await desk.intake.accept(live, [alone])
    assert (await desk.row(live))["is_private"]
    for number, is_private in (("e2", False), ("e3", True)):
        seen = alone.model_copy(update={"external_id": number, "is_private": is_private})
        await desk.intake.accept(live, [seen])
        assert not (await desk.row(live))["is_private"]


async def test_equal_ids_of_two_tenants_suppress_nothing(desk: Desk, tenants: Pair) -> None:
    for tenant_id in tenants:
        live = await desk.connect(tenant_id)
        accepted = await desk.intake.accept(live, [event("same", "same", "hello")])
        assert len(accepted.events) == 1
        assert await desk.states(live, "inbox_event") == ["new"]


async def test_simultaneous_redeliveries_store_one_event(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    results = await asyncio.gather(
        *(desk.intake.accept(live, [event("e1", "ann", "hello")]) for _ in range(8))
    )
    assert sum(len(result.events) for result in results) == 1


async def test_simultaneous_first_messages_make_one_conversation_in_commit_order(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await asyncio.gather(
        *(desk.intake.accept(live, [event(f"e{n}", "ann", str(n))]) for n in range(8))
    )
    row = await desk.row(live)
    assert row["last_seq"] == 8
    assert await count_bells(desk, live) == 1


async def test_a_burst_rings_once_and_pushes_the_due_time_to_its_cap(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "settling")
    await desk.receive(live, "one")
    first = await desk.row(live)
    await desk.receive(live, "two", "three", sender="ann")
    later = await desk.row(live)
    assert later["due_at"] > first["due_at"]  # type: ignore[operator]  # timestamps
    assert later["burst_at"] == first["burst_at"]
    await desk.run_sql(
        live,
        "update conversation set burst_at = now() - interval '9 s', due_at = now() "
        "where connection_id = :c",
    )
    await desk.receive(live, "four")
    capped = await desk.row(live)
    waited = capped["due_at"] - capped["burst_at"]  # type: ignore[operator]  # timestamps
    assert waited.total_seconds() == 10
    assert await count_bells(desk, live) == 1


async def test_a_tenant_over_its_credit_waits_and_is_admitted_on_release(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(QueueRules(max_turns=1))
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello", sender="ann")
    lease = await desk.claim(live)
    await desk.receive(live, "hello", sender="bob")
    async with desk.database.tenant(live.tenant_id) as session:
        states = (await session.scalars(text("select state from conversation order by id"))).all()
    assert states == ["running", "waiting"]
    turn = await desk.ledger.begin(lease)
    assert turn is not None
    await desk.ledger.save(turn, [DraftReply("answer")], TRACE)
    await desk.delivery.settle(lease)
    await desk.queue.release(lease)
    async with desk.database.tenant(live.tenant_id) as session:
        states = (await session.scalars(text("select state from conversation order by id"))).all()
    assert states == ["idle", "rung"]


async def test_one_tenants_credit_does_not_touch_another(
    make_desk: MakeDesk, tenants: Pair
) -> None:
    desk = make_desk(QueueRules(max_turns=1))
    busy, quiet = [await desk.connect(tenant_id) for tenant_id in tenants]
    await desk.receive(busy, "hello", sender="ann")
    await desk.receive(busy, "hello", sender="bob")
    await desk.receive(quiet, "hello")
    assert (await desk.row(quiet))["state"] == "rung"


async def test_nothing_is_looked_for_that_a_stranger_cannot_have(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0])
    asked: list[str] = []
    for room, name in ((ArrivalRepository, "store"), (Identities, "hold")):
        real = getattr(room, name)

        async def count(*given: Any, name: str = name, real: Any = real, **named: Any) -> object:
            asked.append(name)
            return await real(*given, **named)

        monkeypatch.setattr(room, name, count)
    await desk.intake.accept(live, [event("1", "ann", "hello", thread="first")])
    assert asked == ["store"]
    # Somebody known has none in a thread that is new.
    await desk.intake.accept(live, [event("2", "ann", "hello", thread="second")])
    assert asked[1:] == ["store", "hold", "store"]


async def test_a_conversation_that_begins_while_its_sender_is_linked_is_not_left_behind(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello", sender="host")
    await desk.receive(live, "hello")
    resolve = Identities.resolve

    async def resolve_too_early(
        self: Identities, session: TenantSession, **sender: Any
    ) -> Identity:
        found = await resolve(self, session, **sender)
        codes = LinkCodes(SystemClock(), desk.consent)
        async with desk.database.tenant(live.tenant_id) as other:
            host = await self.find(other, live.id, "host")
            assert host is not None
            code = await codes.make(other, host.identity_id)
            await codes.redeem(other, code, found.identity_id)
            await other.execute(
                text("update conversation set learner_id = :l where identity_id = :i"),
                {"l": host.learner_id, "i": found.identity_id},
            )
        return found

    monkeypatch.setattr(Identities, "resolve", resolve_too_early)
    await desk.intake.accept(live, [event("e2", "ann", "here", thread="another")])
    async with desk.database.tenant(live.tenant_id) as session:
        owners = set(await session.scalars(text("select learner_id from conversation")))
    assert len(owners) == 1
