"""Bugs to plant into the core: a simulation that does not find them finds nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

from channel_kit import Channel
from coachline.foundation.database import DatabaseUnavailable, TenantSession
from coachline.foundation.errors import LeaseLost
from coachline.messaging import (
    Accepted,
    Delivery,
    Intake,
    Lease,
    LiveConnection,
    Queue,
    TurnLedger,
)
from coachline.messaging.attempts import Attempt, Way, choose_way
from coachline.messaging.leftovers import LeftOver
from coachline.messaging.tables import ConversationRow
from faults.simulation.node import Makers


class _UnfencedLedger(TurnLedger):
    """Believes that it still has the conversation."""

    async def _lock(self, session: TenantSession, lease: Lease) -> ConversationRow:
        row = await self._conversations.lock(session, lease.conversation_id)
        if row is None:
            raise LeaseLost("There is no such conversation.")
        return row


class _LateClockDelivery(Delivery):
    """Reads the clock after the renewal, not before."""

    async def _begin(
        self, lease: Lease, live: LiveConnection, left_over: list[LeftOver]
    ) -> Attempt | bool:
        begun = await super()._begin(lease, live, left_over)
        lease.deadline = self._clock.monotonic() + self._rules.lease_seconds
        return begun


class _HastyIntake(Intake):
    """Says "got it" before it is so."""

    async def accept(self, *given: Any, **named: Any) -> Accepted:
        try:
            return await super().accept(*given, **named)
        except DatabaseUnavailable:
            return Accepted((), 0)


class _SleepyQueue(Queue):
    """Trusts that no bell is ever lost."""

    async def sweep(self) -> None:
        return


class _ForgetfulQueue(Queue):
    """Releases without looking whether something came meanwhile."""

    async def _next_look(
        self, session: TenantSession, row: ConversationRow, *, failed: bool
    ) -> float | None:
        return None

    async def sweep(self) -> None:
        return


@contextmanager
def _resend_blindly() -> Iterator[None]:
    """Have everything in doubt simply sent again."""

    def choose(channel: Channel, handle: str | None, *, is_doubtful: bool) -> Way | None:
        way = choose_way(channel, handle, is_doubtful=is_doubtful)
        return Way.SEND if way in (Way.FIND, None) else way

    with (
        patch("coachline.messaging.delivery.choose_way", choose),
        patch("coachline.messaging.courier.choose_way", choose),
    ):
        yield


@dataclass(frozen=True, slots=True)
class Plant:
    """A bug: classes that have it, or something to be done around the run."""

    makers: Makers = field(default_factory=Makers)
    around: Callable[[], AbstractContextManager[None]] = nullcontext


PLANTS: Final[Mapping[str, Plant]] = MappingProxyType(
    {
        "unfenced-ledger": Plant(Makers(ledger=_UnfencedLedger)),
        "clock-after-renewal": Plant(Makers(delivery=_LateClockDelivery)),
        "blind-resend": Plant(around=_resend_blindly),
        "acknowledged-before-stored": Plant(Makers(intake=_HastyIntake)),
        "no-sweep": Plant(Makers(queue=_SleepyQueue)),
        "forgetful-release": Plant(Makers(queue=_ForgetfulQueue)),
    }
)
