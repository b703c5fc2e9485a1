"""SQL of summaries and notices. Every statement runs in the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from coachline.conversation.tables import NoticeRow, SummaryRow
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, EventId, new_id


class ConversationMemory:
    """Reads and writes what a conversation remembers beside its messages."""

    async def find_summary(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> SummaryRow | None:
        """The conversation's summary, if it has one."""
        return await session.scalar(
            select(SummaryRow).where(
                SummaryRow.tenant_id == session.tenant_id,
                SummaryRow.conversation_id == conversation_id,
            )
        )

    async def save_summary(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        *,
        upto_seq: int,
        text: str,
        model: str,
    ) -> None:
        """Keep a summary, unless one that reaches further is there."""
        new = insert(SummaryRow).values(
            tenant_id=session.tenant_id,
            id=new_id(),
            conversation_id=conversation_id,
            upto_seq=upto_seq,
            text=text,
            model=model,
        )
        await session.execute(
            new.on_conflict_do_update(
                index_elements=["tenant_id", "conversation_id"],
                set_={
                    "upto_seq": new.excluded.upto_seq,
                    "text": new.excluded.text,
                    "model": new.excluded.model,
                },
                where=SummaryRow.upto_seq < new.excluded.upto_seq,
            )
        )

    async def lock_summary(self, session: TenantSession, conversation_id: ConversationId) -> None:
        """Let nobody else write or remove the summary until the transaction ends."""
        key = f"summary {session.tenant_id} {conversation_id}"
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))

    async def remove_summary(self, session: TenantSession, conversation_id: ConversationId) -> None:
        """Remove the summary, if there is one."""
        await session.execute(
            delete(SummaryRow).where(
                SummaryRow.tenant_id == session.tenant_id,
                SummaryRow.conversation_id == conversation_id,
            )
        )

    async def claim_notice(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        kind: str,
        *,
        event_id: EventId,
        now: datetime,
        not_since: datetime,
    ) -> bool:
        """Note that ``kind`` is said now, unless it was said at or after ``not_since``.

        The turn of the same first event may always say it: it is that turn, run again.
        """
        new = insert(NoticeRow).values(
            tenant_id=session.tenant_id,
            id=new_id(),
            conversation_id=conversation_id,
            kind=kind,
            event_id=event_id,
            said_at=now,
        )
        said = await session.execute(
            new.on_conflict_do_update(
                index_elements=["tenant_id", "conversation_id", "kind"],
                set_={"event_id": new.excluded.event_id, "said_at": new.excluded.said_at},
                where=or_(
                    NoticeRow.said_at < not_since, NoticeRow.event_id == new.excluded.event_id
                ),
            ).returning(NoticeRow.id)
        )
        return said.one_or_none() is not None
