"""Who has read up to a position has missed nothing below it, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import TenantId, new_id
from coachline.monitoring import Feed
from fixtures.waiting import until
from integration.monitoring.conftest import MakeDispatcher, Noted

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
WRITERS = 6
EACH = 25


async def write(session: TenantSession) -> str:
    """Have something happen; the id of what it happened to."""
    learner = new_id()
    await session.execute(
        text(
            "insert into learner (tenant_id, id, time_zone, language) "
            "values (app_tenant(), :id, 'UTC', 'en')"
        ),
        {"id": learner},
    )
    return str(learner)


# Whoever catches up looks at the tenants of all tests before.
SECONDS = 60.0


async def test_no_reader_misses_what_is_committed_late(
    database: Database, tenants: Pair, feed: Feed, make_dispatcher: MakeDispatcher
) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    written: set[str] = set()
    is_done = False

    async def write_slowly() -> None:
        for _ in range(EACH):
            async with database.tenant(tenants[0]) as session:
                made = [await write(session) for _ in range(chance.randrange(1, 4))]
                # Long enough for others to write and commit in between.
                await asyncio.sleep(chance.random() * 0.01)
            written.update(made)

    async def dispatch() -> None:
        dispatcher = make_dispatcher()
        while not is_done:
            await dispatcher.dispatch(tenants[0])
        await dispatcher.dispatch(tenants[0])

    async def read() -> list[str]:
        seen: list[str] = []
        after = 0
        while True:
            was_done = is_done
            found = await feed.list(tenants[0], after=after, limit=7)
            seen += [str(one.subject_id) for one in found]
            after = found[-1].position if found else after
            if was_done and not found and await feed.position(tenants[0]) == after:
                return seen

    dispatching = [asyncio.create_task(dispatch()) for _ in range(2)]
    reading = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.gather(*(write_slowly() for _ in range(WRITERS)))
    is_done = True
    await asyncio.gather(*dispatching)
    for seen in await asyncio.gather(*reading):
        assert len(seen) == len(set(seen)), seed
        assert set(seen) == written, seed
    positions = [one.position for one in await feed.list(tenants[0], limit=10_000)]
    assert positions == list(range(1, len(written) + 1))


async def test_a_reader_never_sees_a_row_appear_below_what_it_has_read(
    database: Database, tenants: Pair, feed: Feed, make_dispatcher: MakeDispatcher
) -> None:
    dispatcher = make_dispatcher()
    async with database.tenant(tenants[0]) as early:
        first = await write(early)
        async with database.tenant(tenants[0]) as late:
            second = await write(late)
        await dispatcher.dispatch(tenants[0])
        (seen,) = await feed.list(tenants[0])
        assert (str(seen.subject_id), seen.position) == (second, 1)
    await dispatcher.dispatch(tenants[0])
    found = await feed.list(tenants[0], after=seen.position)
    assert [str(one.subject_id) for one in found] == [first]


async def test_each_event_is_handed_over_once_however_many_dispatch(
    database: Database, tenants: Pair, make_dispatcher: MakeDispatcher
) -> None:
    async with database.tenant(tenants[0]) as session:
        for _ in range(30):
            await write(session)
    noted = [Noted(), Noted()]
    await asyncio.gather(*(make_dispatcher(one).dispatch(tenants[0]) for one in noted))
    taken = sorted(event.position for one in noted for event in one.taken)
    assert taken == list(range(1, 31))


async def test_a_consumer_that_fails_takes_the_positions_back(
    database: Database, tenants: Pair, feed: Feed, make_dispatcher: MakeDispatcher
) -> None:
    class Broken:
        async def take(self, session: object, events: object) -> None:
            raise RuntimeError("no")

    async with database.tenant(tenants[0]) as session:
        await write(session)
    with pytest.raises(RuntimeError):
        await make_dispatcher(Broken()).dispatch(tenants[0])
    assert await feed.list(tenants[0]) == []
    noted = Noted()
    assert await make_dispatcher(noted).dispatch(tenants[0]) == 1
    assert len(noted.taken) == 1


async def test_what_happens_is_dispatched_by_itself_and_what_was_not_heard_too(
    database: Database, tenants: Pair, feed: Feed, make_dispatcher: MakeDispatcher
) -> None:
    async with database.tenant(tenants[1]) as session:
        await write(session)
    dispatchers = [make_dispatcher(), make_dispatcher()]
    running = [asyncio.create_task(one.run()) for one in dispatchers]

    async def is_numbered(tenant_id: TenantId, count: int) -> None:
        async def is_so() -> bool:
            return await feed.position(tenant_id) == count

        await until(is_so, seconds=SECONDS)

    try:
        await is_numbered(tenants[1], 1)
        for number in range(1, 4):
            async with database.tenant(tenants[0]) as session:
                await write(session)
            await is_numbered(tenants[0], number)
    finally:
        for one in dispatchers:
            one.stop()
        await asyncio.gather(*running)
    async with database.tenant(tenants[0]) as session:
        await write(session)
    lonely = make_dispatcher()

    async def is_swept() -> bool:
        await lonely.sweep()
        return await feed.position(tenants[0]) == 4

    await until(is_swept, seconds=SECONDS)
    assert len(await feed.list(tenants[0])) == 4


async def test_what_is_told_within_a_tenth_of_a_second_is_numbered_together(
    database: Database, tenants: Pair, make_dispatcher: MakeDispatcher
) -> None:
    rounds: list[int] = []

    class Counting:
        async def take(self, session: object, events: Sequence[object]) -> None:
            rounds.append(len(events))

    dispatcher = make_dispatcher(Counting())
    # Catching up would look at the tenants of all tests before, this one among them.
    dispatcher._catch_up = asyncio.Event().wait  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(dispatcher.run())
    loop = asyncio.get_running_loop()
    told = 0

    async def is_heard() -> bool:
        nonlocal told
        told += 1
        async with database.tenant(tenants[0]) as session:
            await write(session)
        return bool(rounds)

    try:
        await until(is_heard, seconds=SECONDS)
        begun, told_before = loop.time(), told
        for _ in range(60):
            async with database.tenant(tenants[0]) as session:
                await write(session)
        seconds = loop.time() - begun
        await until(lambda: sum(rounds) == told_before + 60, seconds=SECONDS)
    finally:
        dispatcher.stop()
        await running
    # One that had begun, one at the end, and what a tenth of a second lies between.
    assert len(rounds) <= 3 + seconds / 0.1
    assert max(rounds) > 1


async def test_a_batch_larger_than_one_round_is_dispatched_in_order(
    database: Database, tenants: Pair, feed: Feed, make_dispatcher: MakeDispatcher
) -> None:
    async with database.tenant(tenants[0]) as session:
        await session.execute(
            text(
                "insert into learner (tenant_id, id, time_zone, language) "
                "select app_tenant(), new_id(), 'UTC', 'en' from generate_series(1, 1203)"
            )
        )
    assert await make_dispatcher().dispatch(tenants[0]) == 1203
    found = await feed.list(tenants[0], limit=2000)
    assert [one.position for one in found] == list(range(1, 1204))
