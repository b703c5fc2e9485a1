"""Random histories: any worker may do anything, be late, die, or be somebody who was replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from faults.histories.world import CHANNELS, FaultName, Hand, Kind, Step, World

Result = TypeVar("Result")
Make = Callable[[], Coroutine[Any, Any, World]]

_STUCK_SECONDS: Final = 120.0
TALKS: Final = st.integers(0, len(CHANNELS) - 1)
WORKERS: Final = st.integers(0, 2)


@dataclass(slots=True)
class Count:
    """How much was tried: histories, and moves in them."""

    examples: int = 0
    steps: int = 0


class Histories(RuleBasedStateMachine):
    """One world, its moves, and its end.

    The services live in ``loop``, of another thread.
    """

    loop: ClassVar[asyncio.AbstractEventLoop]
    make: ClassVar[Make]
    count: ClassVar[Count]
    world: World

    def _do(self, move: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(move, self.loop).result(_STUCK_SECONDS)

    @initialize()
    def open(self) -> None:
        """Begin with a world of its own."""
        self.world = self._do(type(self).make())
        self.count.examples += 1

    def _has(self, wanted: Callable[[Hand], object]) -> bool:
        return any(wanted(hand) for hand in self.world.hands)

    def _one(self, worker: int, wanted: Callable[[Hand], object]) -> Hand:
        """The first worker from ``worker`` on that is fit for it."""
        self.count.steps += 1
        hands = self.world.hands[worker:] + self.world.hands[:worker]
        return next(hand for hand in hands if wanted(hand))

    @rule(talk=TALKS, kind=st.sampled_from(("new", "new", "duplicate", "edit")))
    def deliver(self, talk: int, kind: Kind) -> None:
        """The platform delivers."""
        self.count.steps += 1
        self._do(self.world.deliver(self.world.talks[talk], kind))

    @precondition(lambda self: self._has(is_free))
    @rule(worker=WORKERS, talk=TALKS, back=st.sampled_from((0, 0, 0, 1, 2)))
    def claim(self, worker: int, talk: int, back: int) -> None:
        """A bell rings: the last one, or one of long ago."""
        bells = self.world.talks[talk].bells
        hand = self._one(worker, is_free)
        self._do(
            self.world.claim(hand, self.world.talks[talk], bells[-1 - min(back, len(bells) - 1)])
        )

    @precondition(lambda self: self._has(holds))
    @rule(worker=WORKERS)
    def renew(self, worker: int) -> None:
        """A worker prolongs its lease."""
        self._do(self.world.renew(self._one(worker, holds)))

    @precondition(lambda self: self._has(may_begin))
    @rule(worker=WORKERS)
    def begin(self, worker: int) -> None:
        """A worker begins a turn."""
        self._do(self.world.begin(self._one(worker, may_begin)))

    @precondition(lambda self: self._has(answers))
    @rule(worker=WORKERS, parts=st.integers(1, 3))
    def save(self, worker: int, parts: int) -> None:
        """A worker saves its turn."""
        self._do(self.world.save(self._one(worker, answers), parts))

    @precondition(lambda self: self._has(answers))
    @rule(worker=WORKERS, failed=st.booleans())
    def stop(self, worker: int, failed: bool) -> None:
        """A turn fails, or is abandoned."""
        hand = self._one(worker, answers)
        self._do(self.world.fail(hand) if failed else self.world.abandon(hand))

    @precondition(lambda self: self._has(may_settle))
    @rule(worker=WORKERS, fault=st.sampled_from(FaultName.__args__))  # type: ignore[attr-defined]  # of a Literal
    def settle(self, worker: int, fault: FaultName) -> None:
        """A worker sends, and the platform answers somehow."""
        self._do(self.world.settle(self._one(worker, may_settle), fault))

    @precondition(lambda self: self._has(may_settle))
    @rule(worker=WORKERS, failed=st.booleans())
    def release(self, worker: int, failed: bool) -> None:
        """A worker gives its conversation back."""
        self._do(self.world.release(self._one(worker, may_settle), failed=failed))

    @precondition(lambda self: self._has(holds))
    @rule(worker=WORKERS)
    def crash(self, worker: int) -> None:
        """A worker dies, wherever it is."""
        self._one(worker, holds).drop()

    @rule(talk=TALKS)
    def end_lease(self, talk: int) -> None:
        """A lease runs out, and its holder does not know."""
        self._do(self.world.end_lease(self.world.talks[talk]))

    @rule(talk=TALKS)
    def hurry(self, talk: int) -> None:
        """What waits is due."""
        self._do(self.world.hurry(self.world.talks[talk]))

    @rule(talk=TALKS)
    def lose_bell(self, talk: int) -> None:
        """The engine loses a job; the sweep comes by."""
        self._do(self.world.lose_bell(self.world.talks[talk]))
        self._do(self.world.sweep())

    @rule(talk=TALKS, step=st.sampled_from(("take", "say", "hand back")))
    def coach(self, talk: int, step: Step) -> None:
        """A coach takes a conversation, speaks in it, or hands it back."""
        self.count.steps += 1
        self._do(self.world.coach(self.world.talks[talk], step))

    @invariant()
    def holds_together(self) -> None:
        """Model and rows agree."""
        self._do(self.world.check())

    def teardown(self) -> None:
        """At the end nothing is left undone."""
        if hasattr(self, "world"):
            self._do(self.world.drain())


def is_free(hand: Hand) -> bool:
    """Whether the worker has nothing to do."""
    return hand.lease is None


def holds(hand: Hand) -> bool:
    """Whether it has a lease, or believes so."""
    return hand.lease is not None


def may_begin(hand: Hand) -> bool:
    """Whether it may begin a turn: nothing of the last one waits."""
    return hand.lease is not None and hand.turn is None and hand.is_settled


def may_settle(hand: Hand) -> bool:
    """Whether it is between turns."""
    return hand.lease is not None and hand.turn is None


def answers(hand: Hand) -> bool:
    """Whether it is in a turn."""
    return hand.turn is not None


async def run_histories(
    make: Make, *, examples: int, steps: int, chosen: int | None = None
) -> tuple[Count, str]:
    """Try ``examples`` histories of at most ``steps`` moves.

    Args:
        make: opens a world; called once for each history.
        examples: how many histories.
        steps: moves in one, at most.
        chosen: seeds them; None is always the same ones.

    Returns:
        How much was tried, and how model and system disagreed, with the moves; "" if they did not.
    """
    count = Count()
    loop = asyncio.get_running_loop()
    given = {"loop": loop, "make": staticmethod(make), "count": count}
    machine: type[Histories] = type("Histories", (Histories,), given)
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=chosen is None,
        # What fails is printed as it was: to look for a shorter one takes minutes.
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=tuple(HealthCheck),
    )
    factory = machine if chosen is None else seed(chosen)(machine)
    try:
        await asyncio.to_thread(run_state_machine_as_test, factory, settings=limits)
    except AssertionError as error:
        moves = "; ".join(getattr(error, "__notes__", ()))
        return count, f"{error or 'model and rows differ'} {moves}".strip()
    return count, ""
