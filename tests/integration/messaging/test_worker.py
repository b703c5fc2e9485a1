"""What the worker does with a conversation when something goes wrong in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from channel_kit import EventKind, InboundEvent, OutcomeUnknown, Reply
from coachline.bootstrap import Services
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database, DatabaseUnavailable, TenantSession
from coachline.foundation.engine import RetryLater
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import TenantId
from coachline.foundation.metrics import Metrics
from coachline.local.postgres import SOCKET_PORT
from coachline.messaging import DraftReply, Lease, LiveConnection, QueueRules, Turn, TurnTrace
from coachline.worker import Worker
from conftest import MakeDesk, Servers
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import event
from fixtures.waiting import until
from lab.fault_proxy import FaultProxy, Mode

Pair = tuple[TenantId, TenantId]
Answer = Callable[[Turn], Awaitable[None]]


def make_worker(desk: Desk, answer: Answer, **given: float) -> Worker:
    """A worker whose orchestrator does what the test says."""
    services = SimpleNamespace(
        clock=SystemClock(),
        metrics=Metrics(),
        queue=desk.queue,
        ledger=desk.ledger,
        delivery=desk.delivery,
        orchestrator=SimpleNamespace(answer=answer),
    )
    return Worker(cast("Services", services), **given)


async def payload(desk: Desk, live: LiveConnection) -> dict[str, str]:
    row = await desk.row(live)
    return {
        "tenant_id": str(live.tenant_id),
        "conversation_id": str(row["id"]),
        "bell": str(row["bell"]),
    }


async def turns(desk: Desk, live: LiveConnection) -> list[str]:
    async with desk.database.tenant(live.tenant_id) as session:
        states = await session.scalars(text("select state from turn order by id"))
        return [str(state) for state in states]


async def attempts(desk: Desk, live: LiveConnection) -> list[int]:
    async with desk.database.tenant(live.tenant_id) as session:
        return list(await session.scalars(text("select attempts from inbox_event order by seq")))


async def test_a_bell_is_answered_and_the_conversation_let_go(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")

    async def answer(turn: Turn) -> None:
        await desk.ledger.save(turn, [DraftReply("hi")], TRACE)

    rung = await payload(desk, live)
    await make_worker(desk, answer).on_bell(rung)
    await make_worker(desk, answer).on_bell(rung)
    assert [reply.text for reply in desk.platform.accepted] == ["hi"]
    assert (await desk.row(live))["state"] == "idle"


async def test_a_turn_cancelled_in_the_middle_is_abandoned_and_not_charged(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    begun = asyncio.Event()

    async def think_for_ever(_turn: Turn) -> None:
        begun.set()
        await asyncio.Event().wait()

    working = asyncio.create_task(
        make_worker(desk, think_for_ever).on_bell(await payload(desk, live))
    )
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await turns(desk, live) == ["abandoned"]
    assert await attempts(desk, live) == [0]
    assert (await desk.row(live))["state"] == "rung"


async def test_a_turn_that_hangs_has_failed_and_is_charged_until_it_is_parked(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")

    async def think_for_ever(_turn: Turn) -> None:
        await asyncio.Event().wait()

    worker = make_worker(desk, think_for_ever, turn_seconds=1.5)
    for number in range(1, 4):
        await desk.run_sql(live, "update conversation set due_at = now() where connection_id = :c")
        async with asyncio.timeout(30):
            await worker.on_bell(await payload(desk, live))
        assert await attempts(desk, live) == [number]
    assert await turns(desk, live) == ["failed", "failed", "saved"]
    assert (await desk.row(live))["state"] == "idle"


async def test_a_job_that_hangs_outside_of_its_turn_is_given_back(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")

    async def answer(turn: Turn) -> None:
        await desk.ledger.save(turn, [DraftReply("hi")], TRACE)

    async def hang(_lease: Lease) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(desk.ledger, "begin", hang)
        async with asyncio.timeout(10):
            await make_worker(desk, answer, turn_seconds=0.2).on_bell(await payload(desk, live))
    row = await desk.row(live)
    assert (row["state"], row["failures"], row["lease_until"]) == ("rung", 1, None)
    await desk.run_sql(live, "update conversation set due_at = now() where connection_id = :c")
    await make_worker(desk, answer).on_bell(await payload(desk, live))
    assert [reply.text for reply in desk.platform.accepted] == ["hi"]


async def test_a_turn_that_the_database_cut_off_is_not_charged(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")

    async def lose_the_database(_turn: Turn) -> None:
        raise DatabaseUnavailable("away")

    with pytest.raises(DatabaseUnavailable):
        await make_worker(desk, lose_the_database).on_bell(await payload(desk, live))
    assert await turns(desk, live) == ["abandoned"]
    assert await attempts(desk, live) == [0]


async def test_a_turn_that_raises_is_failed_and_tried_later(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")

    async def raise_error(_turn: Turn) -> None:
        raise ValueError("a bug")

    await make_worker(desk, raise_error).on_bell(await payload(desk, live))
    row = await desk.row(live)
    assert await turns(desk, live) == ["failed"]
    assert (row["state"], row["failures"]) == ("rung", 1)
    assert row["due_at"] > row["updated_at"]  # type: ignore[operator]  # timestamps


async def test_an_event_tried_too_often_is_parked_with_one_apology(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "poison")
    seen = []

    async def apologise_at_last(turn: Turn) -> None:
        seen.append(turn.exhausted)
        if not turn.exhausted:
            raise ValueError("always")
        await desk.ledger.save(turn, [DraftReply("sorry")], TurnTrace("parked", "test"))

    worker = make_worker(desk, apologise_at_last)
    for _ in range(3):
        await desk.run_sql(live, "update conversation set due_at = now() where connection_id = :c")
        await worker.on_bell(await payload(desk, live))
    assert seen == [False, False, True]
    assert await desk.states(live, "inbox_event") == ["parked"]
    assert [reply.text for reply in desk.platform.accepted] == ["sorry"]
    assert (await desk.row(live))["state"] == "idle"


async def test_an_event_whose_apology_fails_too_is_parked_without_one(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "poison")

    async def raise_error(_turn: Turn) -> None:
        raise ValueError("always")

    worker = make_worker(desk, raise_error)
    for _ in range(3):
        await desk.run_sql(live, "update conversation set due_at = now() where connection_id = :c")
        await worker.on_bell(await payload(desk, live))
    assert await desk.states(live, "inbox_event") == ["parked"]
    assert desk.platform.accepted == []


@pytest.mark.parametrize("tries", [1, 3], ids=["at the first try", "at the last try"])
async def test_a_process_that_has_nothing_left_says_so_and_decides_about_no_event(
    desk: Desk, tenants: Pair, tries: int
) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")

    async def find_no_memory(_turn: Turn) -> None:
        raise MemoryError

    async def apologise(turn: Turn) -> None:
        await desk.ledger.save(turn, [DraftReply("sorry" if turn.exhausted else "hi")], TRACE)

    spent = make_worker(desk, find_no_memory)
    for number in range(1, tries + 1):
        await desk.run_sql(live, "update conversation set due_at = now() where connection_id = :c")
        with pytest.raises(MemoryError):
            await spent.on_bell(await payload(desk, live))
        assert await attempts(desk, live) == [number], "as after a crash"
        assert await desk.states(live, "inbox_event") == ["new"]
        assert (await desk.row(live))["state"] == "rung", "for another process, after a pause"
    await desk.run_sql(live, "update conversation set due_at = now() where connection_id = :c")
    await make_worker(desk, apologise).on_bell(await payload(desk, live))
    assert [reply.text for reply in desk.platform.accepted] == ["hi" if tries == 1 else "sorry"]


async def test_a_lost_lease_is_looked_at_again(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")

    async def be_too_late(_turn: Turn) -> None:
        raise LeaseLost("the lease ended before the reply was sent")

    rung = await payload(desk, live)
    worker = make_worker(desk, be_too_late)
    with pytest.raises(RetryLater) as later:
        await worker.on_bell(rung)
    assert later.value.seconds < 5
    with pytest.raises(RetryLater):
        await worker.on_bell(rung)


async def test_a_turn_whose_message_was_changed_is_begun_again_at_once(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    await desk.receive(live, "hello")
    seen = []

    async def answer(turn: Turn) -> None:
        seen.append([found.text for found in turn.events])
        if len(seen) == 1:
            await desk.intake.accept(live, [change("hello there", 1)])
        await desk.ledger.save(turn, [DraftReply(f"answer {len(seen)}")], TRACE)

    await make_worker(desk, answer).on_bell(await payload(desk, live))
    assert seen == [["hello"], ["hello", "hello there"]]
    assert [reply.text for reply in desk.platform.accepted] == ["answer 2"]
    assert sorted(await turns(desk, live)) == ["abandoned", "saved"]
    assert await attempts(desk, live) == [1, 1]
    assert (await desk.row(live))["state"] == "idle"


async def test_who_changes_a_message_again_and_again_is_answered_later(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "fillable")
    await desk.receive(live, "hello")
    count = 0

    async def answer(turn: Turn) -> None:
        nonlocal count
        count += 1
        if count <= 6:
            await desk.intake.accept(live, [change(f"hello {count}", count)])
        await desk.ledger.save(turn, [DraftReply("hi")], TRACE)

    worker = make_worker(desk, answer)
    await worker.on_bell(await payload(desk, live))
    row = await desk.row(live)
    assert (count, row["state"], row["failures"]) == (5, "rung", 0)
    await worker.on_bell(await payload(desk, live))
    assert [reply.text for reply in desk.platform.accepted] == ["hi"]
    assert set(await desk.states(live, "inbox_event")) == {"answered"}


def change(words: str, number: int) -> InboundEvent:
    return event(f"edit:{number}", "ann", words, kind=EventKind.EDIT, reply_to="ann-0-hello")


async def test_a_turn_whose_process_died_is_closed_by_the_next(desk: Desk, tenants: Pair) -> None:
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")
    await desk.begin(live)
    await desk.run_sql(
        live,
        "update conversation set lease_until = now() - interval '1 s' where connection_id = :c",
    )
    await desk.begin(live)
    assert sorted(await turns(desk, live)) == ["failed", "running"]


class CountedDatabase(Database):
    """Counts the transactions of tenants."""

    count = 0

    @asynccontextmanager
    async def tenant(self, tenant_id: TenantId) -> AsyncIterator[TenantSession]:
        """As it is, counted."""
        self.count += 1
        async with super().tenant(tenant_id) as session:
            yield session


async def test_a_turn_opens_six_transactions(
    servers: Servers, make_desk: MakeDesk, tenants: Pair
) -> None:
    database = CountedDatabase(servers.app_url, servers.worker_url, pool_size=2)
    desk = make_desk(database=database)
    live = await desk.connect(tenants[0])
    await desk.receive(live, "hello")

    async def answer(turn: Turn) -> None:
        await desk.ledger.save(turn, [DraftReply("hi")], TRACE)

    rung = await payload(desk, live)
    database.count = 0
    await make_worker(desk, answer).on_bell(rung)
    await database.close()
    assert [reply.text for reply in desk.platform.accepted] == ["hi"]
    # The claim, the turn's beginning and end, the reply's beginning and end, the release.
    assert database.count == 6


@asynccontextmanager
async def proxied(servers: Servers, folder: Path) -> AsyncIterator[tuple[Database, FaultProxy]]:
    """A database behind a proxy that breaks on command."""
    query = parse_qs(urlsplit(servers.app_url).query)
    port = query.get("port", [str(SOCKET_PORT)])[0]
    socket = Path(query["host"][0]) / f".s.PGSQL.{port}"
    async with FaultProxy(socket, listen=folder / socket.name) as proxy:
        app_url, worker_url = (
            url.replace(urlsplit(url).query, f"host={folder}&port={port}")
            for url in (servers.app_url, servers.worker_url)
        )
        database = Database(app_url, worker_url)
        try:
            yield database, proxy
        finally:
            await proxy.switch(Mode.PASS)
            await database.close()


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.BLACK_HOLE])
async def test_a_lease_ends_here_while_the_database_is_away(
    servers: Servers, make_desk: MakeDesk, tenants: Pair, tmp_path: Path, mode: Mode
) -> None:
    async with proxied(servers, tmp_path) as (database, proxy):
        desk = make_desk(QueueRules(lease_seconds=1.0), database=database)
        live = await desk.connect(tenants[0])
        await desk.receive(live, "hello")
        lease = await desk.claim(live)

        async def hold() -> None:
            async with desk.queue.kept(lease):
                await proxy.switch(mode)
                await asyncio.Event().wait()

        clock = asyncio.get_running_loop()
        begun = clock.time()
        with pytest.raises(LeaseLost):
            await hold()
        assert clock.time() - begun < 4


async def test_a_lease_outlives_an_outage_shorter_than_itself(
    servers: Servers,
    make_desk: MakeDesk,
    tenants: Pair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed: list[DatabaseUnavailable] = []

    async def renew_and_note(lease: Lease) -> None:
        try:
            await renew(lease)
        except DatabaseUnavailable as error:
            failed.append(error)
            raise

    async with proxied(servers, tmp_path) as (database, proxy):
        desk = make_desk(QueueRules(lease_seconds=3.0), database=database)
        renew = desk.queue.renew
        monkeypatch.setattr(desk.queue, "renew", renew_and_note)
        live = await desk.connect(tenants[0])
        await desk.receive(live, "hello")
        lease = await desk.claim(live)
        first = lease.deadline
        async with desk.queue.kept(lease):
            await proxy.switch(Mode.REFUSE)
            await until(lambda: bool(failed))
            await proxy.switch(Mode.PASS)
            await until(lambda: lease.deadline > first)
        assert (await desk.row(live))["epoch"] == lease.epoch


@pytest.mark.parametrize("channel", ["scripted", "forgetful"])
async def test_an_outcome_is_kept_though_the_database_was_away_after_the_call(
    servers: Servers, make_desk: MakeDesk, tenants: Pair, tmp_path: Path, channel: str
) -> None:
    async with proxied(servers, tmp_path) as (database, proxy):
        desk = make_desk(database=database)
        live = await desk.connect(tenants[0], channel)
        await desk.receive(live, "hello")
        turn = await desk.answer(live, "one")

        async def lose_the_database(_reply: Reply) -> None:
            await proxy.switch(Mode.REFUSE)
            asyncio.get_running_loop().call_later(
                0.5, lambda: back.append(asyncio.create_task(proxy.switch(Mode.PASS)))
            )

        back: list[asyncio.Task[None]] = []
        desk.platform.faults = [lose_the_database]
        assert await desk.delivery.settle(turn.lease)
        assert await desk.states(live, "outbox_reply") == ["sent"]
        assert len(desk.platform.calls) == 1


async def test_an_outcome_is_kept_though_the_worker_was_cancelled_after_the_call(
    desk: Desk, tenants: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    await desk.receive(live, "hello")
    turn = await desk.answer(live, "one")
    outbox = desk.delivery._outbox
    decide, deciding = outbox.decide, asyncio.Event()

    async def decide_slowly(*args: Any) -> bool:
        deciding.set()
        await asyncio.sleep(0)
        return await decide(*args)

    monkeypatch.setattr(outbox, "decide", decide_slowly)
    settling = asyncio.create_task(desk.delivery.settle(turn.lease))
    await deciding.wait()
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    assert await desk.states(live, "outbox_reply") == ["sent"]


async def test_an_unclear_outcome_on_a_forgetful_platform_is_never_sent_again(
    desk: Desk, tenants: Pair
) -> None:
    live = await desk.connect(tenants[0], "forgetful")
    await desk.receive(live, "hello")
    turn = await desk.answer(live, "one")
    desk.platform.faults = [OutcomeUnknown("cut")]
    assert await desk.delivery.settle(turn.lease)
    assert await desk.delivery.settle(turn.lease)
    assert len(desk.platform.calls) == 1
