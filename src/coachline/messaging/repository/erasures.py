"""SQL of moving conversations between learners, and of erasing what was said in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, or_, select, text, update

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, IdentityId, LearnerId
from coachline.messaging.tables import ConversationRow, EventRow, ReplyRow, TurnRow

_UNSETTLED = text("outbox_reply.state in ('pending', 'sending')")
_WAITING = text("inbox_event.state = 'new'")


class ErasureRepository:
    """Moves, looks at and scrubs conversations."""

    async def move(
        self, session: TenantSession, identity_id: IdentityId, learner_id: LearnerId
    ) -> None:
        """Have an identity's conversations belong to a learner."""
        await session.execute(
            update(ConversationRow)
            .where(
                ConversationRow.tenant_id == session.tenant_id,
                ConversationRow.identity_id == identity_id,
            )
            .values(learner_id=learner_id)
        )

    async def find_newest(
        self, session: TenantSession, identity_id: IdentityId
    ) -> ConversationId | None:
        """The conversation of an identity that was used last, of those where nobody reads along."""
        found = await session.scalar(
            select(ConversationRow.id)
            .where(
                ConversationRow.tenant_id == session.tenant_id,
                ConversationRow.identity_id == identity_id,
                ConversationRow.is_private,
            )
            .order_by(ConversationRow.updated_at.desc())
            .limit(1)
        )
        return None if found is None else ConversationId(found)

    async def lock_all(
        self, session: TenantSession, learner_id: LearnerId
    ) -> list[ConversationRow]:
        """Every conversation of a learner, locked until the transaction ends."""
        return list(
            await session.scalars(
                select(ConversationRow)
                .where(
                    ConversationRow.tenant_id == session.tenant_id,
                    ConversationRow.learner_id == learner_id,
                )
                .order_by(ConversationRow.id)
                .with_for_update()
                .execution_options(populate_existing=True)
            )
        )

    async def has_unsettled(
        self, session: TenantSession, conversations: Sequence[ConversationId]
    ) -> bool:
        """Whether a reply is still to be sent, or a message to be answered, in one of these."""
        replies = exists().where(ReplyRow.conversation_id.in_(conversations), _UNSETTLED)
        events = exists().where(EventRow.conversation_id.in_(conversations), _WAITING)
        return bool(await session.scalar(select(or_(replies, events))))

    async def close(self, session: TenantSession, conversations: Sequence[ConversationId]) -> None:
        """Give up what is to be sent or answered in these, or what an operator could send."""
        await session.execute(
            update(ReplyRow)
            .where(ReplyRow.conversation_id.in_(conversations), ReplyRow.state != "sent")
            .values(state="dropped")
        )
        await session.execute(
            update(EventRow)
            .where(EventRow.conversation_id.in_(conversations), _WAITING)
            .values(state="recorded", settled_at=func.now())
        )

    async def scrub(
        self, session: TenantSession, conversations: Sequence[ConversationId], *, mark: str
    ) -> None:
        """Overwrite every word, file, address and note; rows, ids, times and numbers stay."""
        await session.execute(
            update(EventRow)
            .where(EventRow.conversation_id.in_(conversations))
            .values(text="", raw={}, attachments=[], reply_to=None)
        )
        await session.execute(
            update(ReplyRow)
            .where(ReplyRow.conversation_id.in_(conversations))
            .values(
                text="[erased]",
                citations=[],
                choices=[],
                in_reply_to=[],
                hint="",
                handle=None,
                problem=None,
                receipt=None,
            )
        )
        await session.execute(
            update(TurnRow)
            .where(TurnRow.conversation_id.in_(conversations))
            .values(trace={}, problem=None, handle=None)
        )
        await session.execute(
            update(ConversationRow)
            .where(
                ConversationRow.tenant_id == session.tenant_id,
                ConversationRow.id.in_(conversations),
            )
            .values(thread=func.concat(mark, ConversationRow.id))
        )

    async def list_unmarked(
        self, session: TenantSession, conversations: Sequence[ConversationId], *, mark: str
    ) -> list[EventRow]:
        """The events of these conversations that bear the platform's own ids."""
        return list(
            await session.scalars(
                select(EventRow).where(
                    EventRow.tenant_id == session.tenant_id,
                    EventRow.conversation_id.in_(conversations),
                    ~func.starts_with(EventRow.external_id, mark),
                )
            )
        )

    async def list_unscrubbed(
        self, session: TenantSession, learners: Sequence[LearnerId], *, mark: str
    ) -> list[LearnerId]:
        """Those of ``learners`` with a conversation whose thread is still there."""
        found = await session.scalars(
            select(ConversationRow.learner_id)
            .where(
                ConversationRow.tenant_id == session.tenant_id,
                ConversationRow.learner_id.in_(learners),
                ~func.starts_with(ConversationRow.thread, mark),
            )
            .distinct()
        )
        return [LearnerId(learner_id) for learner_id in found]

    async def count(
        self, session: TenantSession, learner_id: LearnerId
    ) -> tuple[int, int, datetime | None]:
        """A learner's messages, our replies to them, and when the first message came."""
        mine = select(ConversationRow.id).where(
            ConversationRow.tenant_id == session.tenant_id,
            ConversationRow.learner_id == learner_id,
        )
        events = await session.execute(
            select(func.count(), func.min(EventRow.created_at)).where(
                EventRow.conversation_id.in_(mine), EventRow.kind != "receipt"
            )
        )
        replies = await session.scalar(
            select(func.count()).select_from(ReplyRow).where(ReplyRow.conversation_id.in_(mine))
        )
        number, first = events.one()
        return number, replies or 0, first
