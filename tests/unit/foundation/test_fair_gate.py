"""A party finds a slot, whatever another asks for, and is told early when there is none."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from coachline.foundation.clock import Clock, SystemClock
from coachline.foundation.errors import Unavailable
from coachline.foundation.fair_gate import FairGate
from fixtures.time import FakeClock


def make_gate(
    *,
    slots: int = 8,
    limit: int = 100,
    patience_seconds: float = 5.0,
    gives_way_seconds: float = 60.0,
    clock: Clock | None = None,
) -> FairGate:
    return FairGate(
        clock or SystemClock(),
        slots=slots,
        spare=2,
        limit=limit,
        gives_way_seconds=gives_way_seconds,
        patience_seconds=patience_seconds,
        refuse=lambda seconds: Unavailable("later", retry_after_seconds=seconds),
    )


class RunningClock(SystemClock):
    """Runs, and jumps ahead where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


class Crowd:
    """Requests of one party that hold what they get until they are let go, one by one."""

    def __init__(self, gate: FairGate, party: str, count: int) -> None:
        self.running = 0
        self.done = 0
        self._go = asyncio.Semaphore(0)
        self.tasks = [asyncio.create_task(self._hold(gate, party)) for _ in range(count)]

    async def _hold(self, gate: FairGate, party: str) -> None:
        async with gate.slot(party):
            self.running += 1
            try:
                await self._go.acquire()
            finally:
                self.running -= 1
        self.done += 1

    async def let_go(self, count: int) -> None:
        """End so many of those that run."""
        for _ in range(count):
            self._go.release()
        await settle()

    async def leave(self) -> None:
        """End all."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_party_alone_leaves_some_slots_free_and_another_finds_one_at_once() -> None:
    gate = make_gate()
    loud = Crowd(gate, "loud", 50)
    await settle()
    assert loud.running == 6

    quiet = Crowd(gate, "quiet", 2)
    await settle()

    assert quiet.running == 2
    await loud.leave()
    await quiet.leave()
    assert (gate.running, gate.waiting) == (0, 0)


async def test_parties_that_are_there_at_once_divide_the_slots() -> None:
    gate = make_gate()
    loud, other = Crowd(gate, "loud", 50), Crowd(gate, "other", 50)
    await settle()
    await loud.let_go(2)
    assert (loud.running, other.running) == (4, 4)

    third = Crowd(gate, "third", 50)
    await loud.let_go(4)
    await other.let_go(4)

    assert {loud.running, other.running, third.running} == {2}
    for crowd in (loud, other, third):
        await crowd.leave()


async def test_what_another_left_is_used_again() -> None:
    gate = make_gate()
    loud, quiet = Crowd(gate, "loud", 50), Crowd(gate, "quiet", 1)
    await settle()
    await loud.let_go(6)
    assert loud.running == 4

    await quiet.let_go(1)

    assert (quiet.done, loud.running) == (1, 6)
    await loud.leave()


async def use(gate: FairGate, clock: FakeClock | RunningClock, party: str, seconds: float) -> None:
    """Hold one slot for so long."""
    async with gate.slot(party):
        clock.advance(seconds)


async def test_who_used_much_more_lately_has_one_slot_while_the_other_is_about() -> None:
    clock = FakeClock()
    gate = make_gate(clock=clock)
    await use(gate, clock, "quiet", 0.02)
    await use(gate, clock, "loud", 1.5)
    loud = Crowd(gate, "loud", 50)
    await settle()
    assert loud.running == 1

    await use(gate, clock, "quiet", 0.02)
    await loud.let_go(1)

    assert (loud.done, loud.running) == (1, 1)
    await loud.leave()


async def test_who_becomes_loud_gives_its_slots_back_one_by_one() -> None:
    clock = FakeClock()
    gate = make_gate(clock=clock)
    await use(gate, clock, "quiet", 0.02)
    loud = Crowd(gate, "loud", 50)
    await settle()
    assert loud.running == 6

    clock.advance(1.5)
    for left in (5, 4, 3, 2, 1, 1):
        await loud.let_go(1)
        assert loud.running == left
    await loud.leave()


async def test_a_good_minute_after_the_others_all_but_the_spare_slots_may_be_had() -> None:
    clock = FakeClock()
    gate = make_gate(clock=clock)
    await use(gate, clock, "quiet", 0.02)
    running = []
    for _ in range(8):
        await use(gate, clock, "loud", 10)
        loud = Crowd(gate, "loud", 50)
        await settle()
        running.append(loud.running)
        await loud.leave()
    # Of twenty milliseconds less than one microsecond is left after fifteen halvings of five
    # seconds each.
    assert running == [1] * 7 + [6]


async def test_who_used_little_or_not_much_more_than_another_is_not_held_back() -> None:
    clock = FakeClock()
    gate = make_gate(clock=clock)
    await use(gate, clock, "quiet", 0.001)
    await use(gate, clock, "busy", 0.9)
    busy = Crowd(gate, "busy", 50)
    await settle()
    assert busy.running == 6
    await busy.leave()

    gate = make_gate(clock=clock)
    await use(gate, clock, "one", 1.5)
    await use(gate, clock, "other", 2.5)
    other = Crowd(gate, "other", 50)
    await settle()
    assert other.running == 6
    await other.leave()


async def test_who_used_much_more_stands_still_between_its_steps_until_the_other_is_done() -> None:
    clock = FakeClock()
    gate = make_gate(clock=clock)
    await use(gate, clock, "loud", 1.5)
    quiet = Crowd(gate, "quiet", 2)
    await settle()
    async with gate.slot("loud") as give_way:
        step = asyncio.ensure_future(give_way())
        await settle()
        assert not step.done()

        await quiet.let_go(1)
        assert not step.done()

        await quiet.let_go(1)
        assert step.done()
        await give_way()


async def test_nobody_stands_still_for_who_used_as_much_or_for_its_own_party() -> None:
    clock = FakeClock()
    gate = make_gate(clock=clock)
    for party in ("one", "other"):
        await use(gate, clock, party, 1.5)
    async with gate.slot("other"), gate.slot("one"), gate.slot("one") as give_way:
        step = asyncio.ensure_future(give_way())
        await settle()
        assert step.done()


async def test_all_its_steps_together_stand_still_no_longer_than_said() -> None:
    clock = RunningClock()
    gate = make_gate(gives_way_seconds=0.05, clock=clock)
    await use(gate, clock, "loud", 1.5)
    quiet = Crowd(gate, "quiet", 1)
    await settle()
    async with gate.slot("loud") as give_way, asyncio.timeout(10):
        since = time.monotonic()
        for _ in range(1_000):
            await give_way()
        assert time.monotonic() - since >= 0.04
    assert quiet.running == 1
    await quiet.leave()


async def test_more_parties_than_slots_have_one_each_in_turn() -> None:
    gate = make_gate(slots=3)
    crowds = [Crowd(gate, f"party {number}", 5) for number in range(6)]
    await settle()
    for _ in range(30):
        assert all(crowd.running <= 1 for crowd in crowds[1:])
        for crowd in crowds:
            if crowd.running:
                await crowd.let_go(1)
                break
    assert sum(crowd.done for crowd in crowds) == 30
    assert gate.running == 0


async def test_who_waits_too_long_is_refused_and_what_waits_behind_is_not() -> None:
    gate = make_gate(slots=3, patience_seconds=0.05)
    async with AsyncExitStack() as held:
        await held.enter_async_context(gate.slot("loud"))
        with pytest.raises(Unavailable) as refused:
            async with gate.slot("loud"):
                pytest.fail("a party alone leaves two slots free")
        async with gate.slot("quiet"):
            assert gate.running == 2
    assert refused.value.retry_after_seconds is not None
    assert (gate.running, gate.waiting) == (0, 0)


async def test_a_slot_granted_in_the_moment_of_giving_up_is_passed_on() -> None:
    gate = make_gate(slots=3, patience_seconds=0.02)
    holder = Crowd(gate, "loud", 1)
    await settle()
    late = Crowd(gate, "loud", 1)
    await settle()
    # Its time passes while the loop stands still, so it has not run since.
    late_at = time.monotonic() + 0.03
    while time.monotonic() < late_at:
        pass
    await holder.let_go(1)
    await asyncio.gather(*late.tasks, return_exceptions=True)

    next_one = Crowd(gate, "loud", 1)
    await settle()
    assert next_one.running == 1
    await next_one.leave()
    assert (gate.running, gate.waiting) == (0, 0)
