"""A gate in front of something scarce: bounded, and fair between the parties that want it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Set
from contextlib import asynccontextmanager, suppress
from functools import partial

from coachline.foundation.clock import Clock
from coachline.foundation.errors import Unavailable

_FIRST_ESTIMATE_SECONDS = 2.0
_WEIGHT_OF_LATEST = 0.2
_HALVED_AFTER_SECONDS = 5.0
_MUCH_MORE = 2.0
# Who held slots for less than this lately is not held back, however little others did.
_LITTLE_SECONDS = 1.0
# A short use is below this after a good minute of being halved.
_FORGOTTEN_SECONDS = 1e-6

_Waiter = asyncio.Future[None]
Refuse = Callable[[float], Unavailable]
"""Makes the error of one that is turned away, given the seconds until it is worth trying again."""
GiveWay = Callable[[], Awaitable[None]]
"""Waits while others go first; to be awaited before each step of what is done in a slot."""


class FairGate:
    """Hands out slots, party after party.

    Waiting parties stand in a ring: each grant goes to the first party's oldest request, and that
    party then stands at the end. So with ``k`` parties waiting, each gets one of the next ``k``
    grants, however much any of them asks for. Background work is granted only while no
    interactive work waits, and leaves one slot free for it where there is more than one.

    When ``limit`` requests wait, the newest request of the party with the most is turned away:
    no party can fill the waiting room against the others. Background work goes first.

    Args:
        slots: requests that run at once.
        limit: requests that wait at most.
        refuse: makes the error of one that is turned away.
        spare: slots that one party alone leaves free, so that the next one to come finds one
            however much the first asks for. With any spare, parties that are there at the same
            time also divide the slots, so that neither slows what the other has running; and one
            that used much more lately than another has one slot at a time.
        gives_way_seconds: how long in all a request that gives way between its steps stands still
            in its slot for parties that used much less lately than its own.
        patience_seconds: how long one waits before it is turned away; for ever when None.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        slots: int,
        limit: int,
        refuse: Refuse,
        spare: int = 0,
        gives_way_seconds: float = 0.0,
        patience_seconds: float | None = None,
    ) -> None:
        self._clock = clock
        self._free = slots
        self._slots = slots
        self._limit = limit
        self._refuse = refuse
        self._spare = spare
        self._gives_way_seconds = gives_way_seconds
        self._patience_seconds = patience_seconds
        self._held: Counter[Hashable] = Counter()
        self._used = _Used(clock)
        self._somebody_left = asyncio.Event()
        self._background_free = max(1, slots - 1)
        self._interactive = _Ring()
        self._background = _Ring()
        self._hold_seconds = _FIRST_ESTIMATE_SECONDS

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._interactive) + len(self._background)

    @property
    def running(self) -> int:
        """Requests that hold a slot."""
        return self._slots - self._free

    @property
    def estimate_seconds(self) -> float:
        """How long all that waits now will probably take."""
        return max(1.0, math.ceil(self.waiting / self._slots) * self._hold_seconds)

    @asynccontextmanager
    async def slot(self, party: Hashable, *, background: bool = False) -> AsyncIterator[GiveWay]:
        """Wait for a slot, and hold it for the body of the ``async with``, which may give way.

        Raises:
            Unavailable: what ``refuse`` made: too many wait already, this request had to make room
                for another party, or it waited too long.
        """
        await self._acquire(party, background)
        since = self._clock.monotonic()
        slot = _Slot(partial(self._stand_still, party), self._gives_way_seconds)
        try:
            yield slot.give_way
        finally:
            held = self._clock.monotonic() - since
            self._hold_seconds += _WEIGHT_OF_LATEST * (held - self._hold_seconds)
            self._used.add(party, held - slot.gave_way_seconds)
            self._release(party, background)

    async def _stand_still(self, party: Hashable, most_seconds: float) -> float:
        """Wait while one that used much less holds a slot; how many seconds it took."""
        since = self._clock.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(most_seconds):
                while self._used.is_much_more(party, than=self._held):
                    await self._somebody_left.wait()
        return self._clock.monotonic() - since

    async def _acquire(self, party: Hashable, background: bool) -> None:
        ring = self._background if background else self._interactive
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        ring.add(party, waiter)
        self._grant()
        if not waiter.done() and self.waiting > self._limit:
            self._turn_away(party)
        try:
            async with asyncio.timeout(self._patience_seconds):
                # Shielded, so that a cancelled request is a whole one until it is removed here.
                await asyncio.shield(waiter)
        except asyncio.CancelledError:
            self._withdraw(ring, party, waiter, background)
            raise
        except TimeoutError:
            self._withdraw(ring, party, waiter, background)
            raise self._refuse(self.estimate_seconds) from None

    def _withdraw(self, ring: _Ring, party: Hashable, waiter: _Waiter, background: bool) -> None:
        if not waiter.done():
            ring.discard(party, waiter)
        elif waiter.exception() is None:
            self._release(party, background)  # granted in the very moment of going away

    def _release(self, party: Hashable, background: bool) -> None:
        self._free += 1
        self._background_free += background
        self._held[party] -= 1
        if not self._held[party]:
            del self._held[party]
            self._somebody_left.set()
            self._somebody_left = asyncio.Event()
        self._grant()

    def _grant(self) -> None:
        while self._free and self._hand_to(self._interactive):
            pass
        while self._free and self._background_free and self._hand_to(self._background):
            self._background_free -= 1

    def _hand_to(self, ring: _Ring) -> bool:
        taken = ring.take_next(self._may_have_more)
        if taken is None:
            return False
        party, waiter = taken
        self._free -= 1
        self._held[party] += 1
        waiter.set_result(None)
        return True

    def _may_have_more(self, party: Hashable) -> bool:
        if not self._spare or not self._held[party]:
            return True
        if self._used.is_much_more(party, than=self._used.parties):
            return False
        parties = self._held.keys() | self._interactive.parties | self._background.parties
        most = self._slots - self._spare if len(parties) == 1 else self._slots // len(parties)
        return self._held[party] < most

    def _turn_away(self, newcomer: Hashable) -> None:
        ring = self._background or self._interactive
        turned_away = ring.take_newest_of_largest(newcomer)
        turned_away.set_exception(self._refuse(self.estimate_seconds))


class _Slot:
    """What a request holds; asked to, it lets others pass."""

    def __init__(
        self, stand_still: Callable[[float], Awaitable[float]], most_seconds: float
    ) -> None:
        self._stand_still = stand_still
        self._most_seconds = most_seconds
        self.gave_way_seconds = 0.0

    async def give_way(self) -> None:
        left_seconds = self._most_seconds - self.gave_way_seconds
        if left_seconds > 0:
            self.gave_way_seconds += await self._stand_still(left_seconds)


class _Used:
    """Seconds that each party held slots lately: all are halved every five seconds.

    A party is remembered for a good minute.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._halved_at = clock.monotonic()
        self._seconds: dict[Hashable, float] = {}

    def add(self, party: Hashable, seconds: float) -> None:
        self._halve()
        self._seconds[party] = self._seconds.get(party, 0.0) + seconds

    @property
    def parties(self) -> Set[Hashable]:
        """Those that are remembered."""
        return self._seconds.keys()

    def is_much_more(self, party: Hashable, *, than: Iterable[Hashable]) -> bool:
        """Whether a party used much more than any one of others."""
        self._halve()
        seconds = self._seconds.get(party, 0.0)
        if seconds < _LITTLE_SECONDS:
            return False
        return any(self._seconds.get(one, 0.0) * _MUCH_MORE < seconds for one in than)

    def _halve(self) -> None:
        times = (self._clock.monotonic() - self._halved_at) // _HALVED_AFTER_SECONDS
        if times < 1:
            return
        self._halved_at += times * _HALVED_AFTER_SECONDS
        left = 0.5**times
        self._seconds = {
            party: seconds * left
            for party, seconds in self._seconds.items()
            if seconds * left > _FORGOTTEN_SECONDS
        }


class _Ring:
    """The waiting requests of one kind, by party; a party without any is not remembered."""

    def __init__(self) -> None:
        self._parties: OrderedDict[Hashable, deque[_Waiter]] = OrderedDict()  # next turn first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def parties(self) -> Set[Hashable]:
        """Those with a request that waits."""
        return self._parties.keys()

    def add(self, party: Hashable, waiter: _Waiter) -> None:
        self._parties.setdefault(party, deque()).append(waiter)
        self._count += 1

    def discard(self, party: Hashable, waiter: _Waiter) -> None:
        waiters = self._parties[party]
        waiters.remove(waiter)
        self._count -= 1
        if not waiters:
            del self._parties[party]

    def take_next(self, may: Callable[[Hashable], bool]) -> tuple[Hashable, _Waiter] | None:
        """Take the oldest request of the first party that may have a turn; None where none may."""
        party = next(filter(may, self._parties), None)
        if party is None:
            return None
        waiters = self._parties[party]
        waiter = waiters.popleft()
        self._count -= 1
        if waiters:
            self._parties.move_to_end(party)
        else:
            del self._parties[party]
        return party, waiter

    def take_newest_of_largest(self, newcomer: Hashable) -> _Waiter:
        """Take from the party with the most requests; of several such, from the newcomer."""
        party = max(self._parties, key=lambda each: (len(self._parties[each]), each == newcomer))
        waiters = self._parties[party]
        waiter = waiters.pop()
        self._count -= 1
        if not waiters:
            del self._parties[party]
        return waiter
