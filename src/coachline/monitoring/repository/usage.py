"""SQL of what the feed adds up to: counted once, told by day and channel when it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import String, Uuid, column, delete, func, select, text, tuple_, values
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.engine import Row

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import new_id
from coachline.monitoring.tables import ConversationDayRow, UsageDayRow

_COUNTS: Final = (
    "messages",
    "bot_replies",
    "coach_replies",
    "notices",
    "bot_answers",
    "coach_answers",
    "failed_replies",
    "failed_turns",
    "opt_outs",
)
_HISTOGRAMS: Final = ("first_answers", "model_times")


def _add_day() -> Insert:
    added = insert(UsageDayRow)
    sums: dict[str, Any] = {
        name: getattr(UsageDayRow, name) + added.excluded[name] for name in _COUNTS
    }
    sums |= {
        name: func.add_each(getattr(UsageDayRow, name), added.excluded[name])
        for name in _HISTOGRAMS
    }
    return added.on_conflict_do_update(
        index_elements=["tenant_id", "day", "connection_id"], set_=sums
    )


# Of one row each and built once: making a statement anew costs more than sending it.
_ADD_DAY: Final = _add_day()
_ADD_TALK: Final = insert(ConversationDayRow).on_conflict_do_nothing()
# What happened before there was a feed, or longer ago than it is kept, as it would have told it.
_UNTOLD = text(
    "select type, conversation_id, learner_id, connection_id, subject_id, data, occurred_at "
    "from untold_event"
)


class UsageRepository:
    """Reads and writes the figures of one tenant's days."""

    async def add_days(self, session: TenantSession, days: Iterable[Mapping[str, Any]]) -> None:
        """Add figures to those that are there. In the order of day and connection."""
        await _run(session, _ADD_DAY, days)

    async def add_talks(self, session: TenantSession, talks: Iterable[Mapping[str, Any]]) -> None:
        """Note conversations of a day, those that are not noted yet. In a fixed order."""
        await _run(session, _ADD_TALK, talks)

    async def list_days(
        self, session: TenantSession, *, since: date, until: date
    ) -> Sequence[UsageDayRow]:
        """The figures of these days, both included."""
        query = select(UsageDayRow).where(UsageDayRow.day.between(since, until))
        return (await session.scalars(query.order_by(UsageDayRow.day))).all()

    async def count_active(
        self,
        session: TenantSession,
        *,
        since: date,
        until: date,
        channels: Mapping[UUID, str],
    ) -> list[Row[*tuple[Any, ...]]]:
        """Learners and conversations by day and channel, by either, and altogether.

        A ``day`` or ``channel`` that is None stands for all of them.
        """
        if not channels:
            return []
        known = values(column("connection_id", Uuid), column("channel", String), name="known").data(
            list(channels.items())
        )
        talks, day, channel = ConversationDayRow, ConversationDayRow.day, known.c.channel
        query = (
            select(
                day,
                channel,
                func.count(talks.learner_id.distinct()).label("learners"),
                func.count(talks.conversation_id.distinct()).label("conversations"),
            )
            .join(known, known.c.connection_id == talks.connection_id)
            .where(day.between(since, until))
            .group_by(
                func.grouping_sets(tuple_(day, channel), tuple_(day), tuple_(channel), tuple_())
            )
        )
        return list(await session.execute(query))

    async def forget(self, session: TenantSession) -> None:
        """Remove every figure of the tenant."""
        for table in (UsageDayRow, ConversationDayRow):
            await session.execute(delete(table).where(table.tenant_id == session.tenant_id))

    async def stream_untold(
        self, session: TenantSession, size: int
    ) -> AsyncIterator[Sequence[Row[*tuple[Any, ...]]]]:
        """What the feed never told, some rows at a time, all as of one moment."""
        found = await session.stream(_UNTOLD)
        async for rows in found.partitions(size):
            yield rows


async def _run(
    session: TenantSession, statement: Insert, rows: Iterable[Mapping[str, Any]]
) -> None:
    given = [{"tenant_id": session.tenant_id, "id": new_id(), **row} for row in rows]
    if given:
        await session.execute(statement, given)
