"""Tenants take turns at the model server, whatever they ask for and however they go away."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coachline.foundation.ids import TenantId, new_id
from coachline.inference import FairQueue, ModelBusy
from fixtures.time import FakeClock

TENANTS = tuple(TenantId(new_id()) for _ in range(6))


def new_tenant() -> TenantId:
    """One more tenant."""
    return TenantId(new_id())


class Holder:
    """One request that holds its slot until it is let go."""

    def __init__(self, queue: FairQueue, tenant: TenantId, *, background: bool = False) -> None:
        self.tenant = tenant
        self.is_background = background
        self.has_slot = asyncio.Event()
        self.let_go = asyncio.Event()
        self.task = asyncio.create_task(self._hold(queue))

    async def _hold(self, queue: FairQueue) -> None:
        async with queue.slot(self.tenant, background=self.is_background):
            self.has_slot.set()
            await self.let_go.wait()

    async def leave(self) -> None:
        """End, in whatever state it is."""
        self.let_go.set()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def _settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


async def _grants(queue: FairQueue, waiting: list[Holder], blocker: Holder) -> list[TenantId]:
    """End each holder as it gets the one slot, and tell whose turns these were."""
    order: list[TenantId] = []
    current = blocker
    left = list(waiting)
    while left:
        current.let_go.set()
        await current.task
        await _settle()
        [current] = [each for each in left if each.has_slot.is_set()]
        left.remove(current)
        order.append(current.tenant)
    await current.leave()
    return order


@given(wanted=st.lists(st.sampled_from(TENANTS), min_size=1, max_size=40))
@settings(max_examples=60)
def test_each_of_k_waiting_tenants_gets_one_of_the_next_k_turns(wanted: list[TenantId]) -> None:
    async def play() -> list[TenantId]:
        queue = FairQueue(FakeClock(), slots=1, limit=100)
        blocker = Holder(queue, new_tenant())
        await blocker.has_slot.wait()
        waiting = [Holder(queue, tenant) for tenant in wanted]
        await _settle()
        return await _grants(queue, waiting, blocker)

    order = asyncio.run(play())

    assert sorted(order) == sorted(wanted)
    for at in range(len(order)):
        still_waiting = set(order[at:])
        assert set(order[at : at + len(still_waiting)]) == still_waiting


async def test_a_tenant_with_much_work_delays_another_by_one_turn(clock: FakeClock) -> None:
    queue = FairQueue(clock, slots=1, limit=100)
    noisy, quiet = new_tenant(), new_tenant()
    blocker = Holder(queue, noisy)
    await blocker.has_slot.wait()
    waiting = [Holder(queue, noisy) for _ in range(20)] + [Holder(queue, quiet)]
    await _settle()

    order = await _grants(queue, waiting, blocker)

    assert order.index(quiet) <= 1


async def test_interactive_work_goes_before_background_work(clock: FakeClock) -> None:
    queue = FairQueue(clock, slots=1, limit=100)
    learner, files = new_tenant(), new_tenant()
    blocker = Holder(queue, learner)
    await blocker.has_slot.wait()
    waiting = [Holder(queue, files, background=True), Holder(queue, learner)]
    await _settle()

    assert await _grants(queue, waiting, blocker) == [learner, files]


async def test_background_work_leaves_a_slot_for_learners(clock: FakeClock) -> None:
    queue = FairQueue(clock, slots=3, limit=100)
    files = [Holder(queue, TENANTS[0], background=True) for _ in range(5)]
    await _settle()
    assert queue.running == 2

    learner = Holder(queue, TENANTS[1])
    await asyncio.wait_for(learner.has_slot.wait(), 5)

    for each in [*files, learner]:
        await each.leave()
    assert (queue.running, queue.waiting) == (0, 0)


async def test_a_full_queue_refuses_at_once_and_says_when(clock: FakeClock) -> None:
    queue = FairQueue(clock, slots=1, limit=2)
    holders = [Holder(queue, TENANTS[0]) for _ in range(3)]
    await _settle()

    with pytest.raises(ModelBusy) as raised:
        async with queue.slot(TENANTS[0]):
            pytest.fail("it got a slot")

    assert raised.value.retry_after_seconds == pytest.approx(4.0)  # two waiting, 2 s each
    for each in holders:
        await each.leave()


async def test_the_wait_is_estimated_from_the_time_slots_were_held(clock: FakeClock) -> None:
    queue = FairQueue(clock, slots=1, limit=10)
    for _ in range(50):
        async with queue.slot(TENANTS[0]):
            clock.advance(30)
    holders = [Holder(queue, TENANTS[0]) for _ in range(3)]
    await _settle()

    assert queue.estimate_seconds == pytest.approx(60, rel=0.01)
    for each in holders:
        await each.leave()


async def test_no_tenant_fills_the_queue_against_the_others(clock: FakeClock) -> None:
    queue = FairQueue(clock, slots=1, limit=3)
    noisy = [Holder(queue, TENANTS[0]) for _ in range(4)]
    await _settle()
    quiet = Holder(queue, TENANTS[1])
    await _settle()

    [turned_away] = [each for each in noisy if each.task.done()]
    assert turned_away is noisy[-1]
    assert isinstance(turned_away.task.exception(), ModelBusy)
    assert not quiet.task.done()
    for each in [*noisy[:-1], quiet]:
        await each.leave()


async def test_a_newcomer_displaces_nobody_who_has_no_more_than_its_own_tenant(
    clock: FakeClock,
) -> None:
    queue = FairQueue(clock, slots=1, limit=3)
    holding, own = Holder(queue, TENANTS[0]), Holder(queue, TENANTS[0])
    others = [Holder(queue, TENANTS[1]) for _ in range(2)]
    await _settle()
    newcomer = Holder(queue, TENANTS[0])
    await _settle()

    assert isinstance(newcomer.task.exception(), ModelBusy)
    assert not any(each.task.done() for each in others)
    for each in [*others, own, holding]:
        await each.leave()


async def test_background_work_makes_room_for_learners(clock: FakeClock) -> None:
    queue = FairQueue(clock, slots=1, limit=2)
    holding = Holder(queue, TENANTS[0])
    files = [Holder(queue, TENANTS[0], background=True) for _ in range(2)]
    await _settle()
    learner = Holder(queue, TENANTS[1])
    await _settle()

    assert [each.task.done() for each in files] == [False, True]
    assert isinstance(files[1].task.exception(), ModelBusy)
    for each in [holding, files[0], learner]:
        await each.leave()


async def test_a_request_cancelled_in_the_moment_of_its_grant_passes_it_on(
    clock: FakeClock,
) -> None:
    queue = FairQueue(clock, slots=1, limit=10)
    first, second, third = (Holder(queue, tenant) for tenant in TENANTS[:3])
    await _settle()

    first.let_go.set()
    await first.task  # the slot is granted to the second, which has not run since
    second.task.cancel()
    await asyncio.wait_for(third.has_slot.wait(), 5)

    assert second.task.cancelled()
    await third.leave()
    assert (queue.running, queue.waiting) == (0, 0)


async def test_a_request_cancelled_in_the_moment_it_is_turned_away_gives_nothing_back(
    clock: FakeClock,
) -> None:
    queue = FairQueue(clock, slots=1, limit=2)
    holding, waiting, newest = (Holder(queue, TENANTS[0]) for _ in range(3))
    await _settle()
    newcomer = Holder(queue, TENANTS[1])
    await asyncio.sleep(0)  # it has come in, the newest is turned away and has not run since
    newest.task.cancel()
    await asyncio.gather(newest.task, return_exceptions=True)

    assert newest.task.cancelled()
    assert (queue.running, queue.waiting) == (1, 2)
    for each in [newcomer, waiting, holding]:
        await each.leave()
    assert (queue.running, queue.waiting) == (0, 0)


class Requests(RuleBasedStateMachine):
    """Requests come, end and are cancelled in any order; two slots, at most five waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.queue = FairQueue(FakeClock(), slots=2, limit=5)
        self.holders: list[Holder] = []

    def teardown(self) -> None:
        async def leave() -> None:
            for each in self.holders:
                await each.leave()
            await _settle()

        self.loop.run_until_complete(leave())
        left = (self.queue.running, self.queue.waiting)
        rings = (self.queue._interactive._parties, self.queue._background._parties)
        self.loop.close()
        assert left == (0, 0)
        assert rings == ({}, {})  # nothing is kept for a tenant that asks for nothing

    @rule(tenant=st.sampled_from(TENANTS), background=st.booleans())
    def come(self, tenant: TenantId, background: bool) -> None:
        async def add() -> None:
            self.holders.append(Holder(self.queue, tenant, background=background))
            await _settle()

        self.loop.run_until_complete(add())

    @precondition(lambda self: self.holders)
    @rule(which=st.integers(0, 100), cancel=st.booleans(), settle=st.booleans())
    def go(self, which: int, cancel: bool, settle: bool) -> None:
        holder = self.holders.pop(which % len(self.holders))

        async def end() -> None:
            holder.let_go.set()
            if cancel:
                holder.task.cancel()
            if settle:
                await _settle()
            if not holder.has_slot.is_set():
                holder.task.cancel()
            await asyncio.gather(holder.task, return_exceptions=True)
            await _settle()

        self.loop.run_until_complete(end())

    @invariant()
    def slots_and_waiting_room_are_bounded_and_used(self) -> None:
        alive = [each for each in self.holders if not each.task.done()]
        running = [each for each in alive if each.has_slot.is_set()]
        waiting = [each for each in alive if not each.has_slot.is_set()]
        assert self.queue.running == len(running) <= 2
        assert self.queue.waiting == len(waiting) <= 5
        # A slot lies idle only when nobody who may have it waits.
        if len(running) < 2:
            assert all(each.is_background for each in waiting)
        if not running:
            assert not waiting


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=25, stateful_step_count=20)
