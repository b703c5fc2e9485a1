"""Sees to it that the gateway says its own sentences once, not at every message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from coachline.conversation.repository import ConversationMemory
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.messaging import Turn

NoticeKind = Literal[
    "apology", "learner_rate", "tenant_quota", "greeting", "unsupported", "crisis", "withheld"
]

_APOLOGY: Final = timedelta(minutes=2)
_RATE: Final = timedelta(minutes=1)
_UNSUPPORTED: Final = timedelta(minutes=10)
_CRISIS: Final = timedelta(hours=1)


class Notices:
    """Decides whether a turn may say a notice. An apology counts for two minutes, the notice of a
    rate for one, that of the daily quota until the day (UTC) is over, what cannot be read and an
    answer kept back for ten minutes, what is said in a crisis for an hour; a greeting counts for
    good.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._memory = ConversationMemory()

    async def claim(self, turn: Turn, kind: NoticeKind) -> bool:
        """Return whether ``turn`` may say ``kind``, and remember that it does.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        now = self._clock.now()
        async with self._database.tenant(turn.lease.tenant_id) as session:
            return await self._memory.claim_notice(
                session,
                turn.lease.conversation_id,
                kind,
                event_id=turn.events[0].id,
                now=now,
                not_since=_begin(kind, now),
            )


def _begin(kind: NoticeKind, now: datetime) -> datetime:
    match kind:
        case "tenant_quota":
            return now.replace(hour=0, minute=0, second=0, microsecond=0)
        case "greeting":
            return datetime.min.replace(tzinfo=UTC)
        case "crisis":
            return now - _CRISIS
        case "unsupported" | "withheld":
            return now - _UNSUPPORTED
        case "apology":
            return now - _APOLOGY
        case "learner_rate":
            return now - _RATE
