"""SQL of replies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, func, select, text, update

from channel_kit import DeliveryReport
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, ConversationId, ReplyId
from coachline.messaging.tables import ConversationRow, ReplyRow
from coachline.messaging.turns import SendOutcome

_UNSETTLED = ("pending", "sending")
_UNPROVEN = ("pending", "sending", "unknown")
# States stand in the SQL itself: a partial index cannot be proven to fit a parameter, and without
# it a look at a long conversation reads all of it.
_IS_UNSETTLED = text("outbox_reply.state in ('pending', 'sending')")
_IS_HELD = text("outbox_reply.state = 'held'")
# Written as `or`, so that each half is proven to fit an index of its own.
_IS_WAITING = text("(outbox_reply.state = 'held' or outbox_reply.state = 'proposed')")
# What the bot may no longer say once a coach has a conversation: nobody approved it, and it is
# neither a notice nor something that was planned.
_IS_UNSENT_ANSWER = text(
    "outbox_reply.state in ('pending', 'held', 'proposed') "
    "and outbox_reply.author = 'bot' and outbox_reply.actor is null "
    "and not outbox_reply.is_notice and outbox_reply.lane = 'conversation'"
)
_IS_PROVEN_BY = text(
    "outbox_reply.receipt is not null and outbox_reply.receipt ->> 'external_id' = :external_id"
)
# Built once: making a statement anew costs more than sending it.
_HEAD = (
    select(ReplyRow)
    .where(ReplyRow.conversation_id == bindparam("conversation_id"), _IS_UNSETTLED)
    # What somebody waits for goes before what nobody asked for.
    .order_by(text("outbox_reply.lane = 'broadcast'"), ReplyRow.seq)
    .limit(1)
    .execution_options(populate_existing=True)
)


class OutboxRepository:
    """Reads and writes replies."""

    def add(self, session: TenantSession, row: ReplyRow) -> None:
        """Put a reply part into the outbox."""
        session.add(row)

    async def find_head(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ReplyRow | None:
        """The reply to send next: the oldest undecided one, what was asked for before the rest."""
        return await session.scalar(_HEAD, {"conversation_id": conversation_id})

    async def mark_sending(
        self, session: TenantSession, reply_id: ReplyId, *, is_question: bool = False
    ) -> int | None:
        """Begin an attempt; its number, or None when the reply is settled meanwhile.

        A question about an earlier attempt leaves the time of that one as it was.
        """
        values: dict[str, Any] = {} if is_question else {"sending_at": func.now()}
        return await session.scalar(
            update(ReplyRow)
            .where(ReplyRow.id == reply_id, ReplyRow.state.in_(_UNSETTLED))
            .values(state="sending", attempts=ReplyRow.attempts + 1, not_before=None, **values)
            .returning(ReplyRow.attempts)
        )

    async def keep_handle(
        self, session: TenantSession, reply_id: ReplyId, attempt: int, handle: str | None
    ) -> bool:
        """Remember the message that a reply is written into; False when it is not our attempt."""
        done = await session.scalar(
            update(ReplyRow)
            .where(
                ReplyRow.id == reply_id, ReplyRow.attempts == attempt, ReplyRow.state == "sending"
            )
            .values(handle=handle)
            .returning(ReplyRow.id)
        )
        return done is not None

    async def decide(
        self, session: TenantSession, reply_id: ReplyId, attempt: int, outcome: SendOutcome
    ) -> bool:
        """Record the outcome of exactly this attempt; False when it is not the latest.

        Where a platform's report came first and said "sent", that stands.
        """
        values: dict[str, Any] = {
            "state": outcome.state,
            "failures": outcome.failures,
            "problem": outcome.problem and outcome.problem[:500],
        }
        if outcome.state in _UNSETTLED:
            wait = timedelta(seconds=outcome.wait_seconds)
            values["not_before"] = func.clock_timestamp() + wait
        elif outcome.receipt is not None:
            values["sent_at"] = func.clock_timestamp()
            values["receipt"] = outcome.receipt.model_dump(mode="json")
        mine = update(ReplyRow).where(ReplyRow.id == reply_id, ReplyRow.attempts == attempt)
        done = await session.scalar(
            mine.where(ReplyRow.state == "sending").values(**values).returning(ReplyRow.id)
        )
        if done is None:
            receipt = values.get("receipt", ReplyRow.receipt)
            done = await session.scalar(
                mine.where(ReplyRow.state == "sent").values(receipt=receipt).returning(ReplyRow.id)
            )
        return done is not None

    async def postpone(
        self,
        session: TenantSession,
        reply_id: ReplyId,
        *,
        seconds: float,
        problem: str,
        is_failure: bool,
    ) -> None:
        """Look at an unsettled reply later; what is in doubt about it stays in doubt."""
        await session.execute(
            update(ReplyRow)
            .where(ReplyRow.id == reply_id, ReplyRow.state.in_(_UNSETTLED))
            .values(
                not_before=func.clock_timestamp() + timedelta(seconds=seconds),
                failures=ReplyRow.failures + int(is_failure),
                problem=problem,
            )
        )

    async def give_up(
        self, session: TenantSession, reply_id: ReplyId, *, state: str, problem: str
    ) -> None:
        """Settle a reply without another attempt."""
        await session.execute(
            update(ReplyRow)
            .where(ReplyRow.id == reply_id, ReplyRow.state.in_(_UNSETTLED))
            .values(state=state, problem=problem[:500])
        )

    async def release_held(
        self, session: TenantSession, conversation_id: ConversationId, limit: int | None
    ) -> int:
        """Let the first parts that wait for "more" be sent; how many."""
        first = (
            select(ReplyRow.id)
            .where(ReplyRow.conversation_id == conversation_id, _IS_HELD)
            .order_by(ReplyRow.seq)
            .limit(limit)
        )
        released = await session.scalars(
            update(ReplyRow)
            .where(ReplyRow.id.in_(first))
            .values(state="pending")
            .returning(ReplyRow.id)
        )
        return len(released.all())

    async def drop_waiting(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> set[UUID]:
        """Give up what waits for "more" or for a coach, because the talk went on without it.

        Returns:
            The turns whose answer was proposed.
        """
        rows = await session.execute(
            update(ReplyRow)
            .where(ReplyRow.conversation_id == conversation_id, _IS_WAITING)
            .values(
                state="dropped",
                problem=case(
                    (ReplyRow.state == "held", "the conversation went on"), else_="superseded"
                ),
            )
            .returning(ReplyRow.turn_id, ReplyRow.problem)
        )
        return {turn_id for turn_id, problem in rows if problem == "superseded" and turn_id}

    async def drop_unsent(
        self, session: TenantSession, conversation_id: ConversationId, problem: str
    ) -> list[str]:
        """Give up every answer of the bot that is not under way.

        Returns:
            The messages that were to be written into, which show a draft or a placeholder.
        """
        rows = await session.scalars(
            update(ReplyRow)
            .where(ReplyRow.conversation_id == conversation_id, _IS_UNSENT_ANSWER)
            .values(state="dropped", problem=problem)
            .returning(ReplyRow.handle)
        )
        return [handle for handle in rows if handle is not None]

    async def find_reported(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        *,
        reply_id: ReplyId | None,
        external_id: str | None,
    ) -> tuple[ReplyRow, UUID] | None:
        """The reply of this connection that a report is about, locked, and whom it was for."""
        query = (
            select(ReplyRow, ConversationRow.learner_id)
            .join(ConversationRow, ConversationRow.id == ReplyRow.conversation_id)
            .where(ConversationRow.connection_id == connection_id)
            .with_for_update(of=ReplyRow)
            .limit(1)
            .execution_options(populate_existing=True)
        )
        for condition in (
            None if reply_id is None else ReplyRow.id == reply_id,
            None if external_id is None else _IS_PROVEN_BY.bindparams(external_id=external_id),
        ):
            if condition is None:
                continue
            found = (await session.execute(query.where(condition))).first()
            if found is not None:
                return found[0], found[1]
        return None

    def keep_report(self, reply: ReplyRow, report: DeliveryReport) -> None:
        """Note a locked reply's report; it proves that the platform took it, whatever we think.

        One that waits to be sent again was taken at an earlier attempt, whose answer was lost.
        """
        reply.report, reply.reported_at = report.status, func.clock_timestamp()
        if report.problem:
            reply.problem = report.problem[:500]
        if reply.state in _UNPROVEN:
            reply.state, reply.sent_at = "sent", func.clock_timestamp()
            reply.receipt = {"external_id": report.external_id, "details": {"by": "report"}}

    async def list_of_turns(self, session: TenantSession, turns: list[UUID]) -> list[ReplyRow]:
        """The parts that came out of these turns, in order."""
        return list(
            await session.scalars(
                select(ReplyRow).where(ReplyRow.turn_id.in_(turns)).order_by(ReplyRow.seq)
            )
        )
