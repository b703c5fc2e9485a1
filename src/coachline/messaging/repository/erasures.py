"""SQL of moving conversations between learners, and of erasing what was said in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, or_, select, text, update

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConversationId, IdentityId, LearnerId
from coachline.messaging.tables import (
    ConversationRow,
    EventRow,
    HumanRequestRow,
    ProposalRow,
    ReplyRow,
    TakeoverRow,
)

_UNSETTLED = text("outbox_reply.state in ('pending', 'sending')")
_WAITING = text("inbox_event.state = 'new'")
_UNDECIDED = text("proposal.decision is null")
_UNANSWERED = text("human_request.answered_at is null")


class ErasureRepository:
    """Moves, looks at and closes conversations."""

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
        await session.execute(
            update(ProposalRow)
            .where(ProposalRow.conversation_id.in_(conversations), _UNDECIDED)
            .values(decision="dropped", decided_by="system", decided_at=func.clock_timestamp())
        )
        await session.execute(
            update(HumanRequestRow)
            .where(HumanRequestRow.conversation_id.in_(conversations), _UNANSWERED)
            .values(answered_at=func.clock_timestamp())
        )
        await session.execute(
            update(TakeoverRow)
            .where(TakeoverRow.conversation_id.in_(conversations), TakeoverRow.ended_at.is_(None))
            .values(ended_at=func.clock_timestamp(), ending="lapsed")
        )

    async def list_words(
        self, session: TenantSession, conversations: Sequence[ConversationId], *, most: int
    ) -> list[str]:
        """What can be looked for elsewhere: threads, and the longest of what was said."""
        threads = await session.scalars(
            select(ConversationRow.thread).where(
                ConversationRow.tenant_id == session.tenant_id,
                ConversationRow.id.in_(conversations),
            )
        )
        texts = await session.scalars(
            select(EventRow.text)
            .where(
                EventRow.tenant_id == session.tenant_id,
                EventRow.conversation_id.in_(conversations),
                EventRow.kind != "receipt",
            )
            .order_by(func.char_length(EventRow.text).desc())
            .limit(most)
        )
        return [*threads, *texts]

    async def list_heard(
        self, session: TenantSession, learner_id: LearnerId
    ) -> list[tuple[IdentityId, datetime]]:
        """When each identity of a learner was last heard, by the platforms' clocks, not later
        than now.
        """
        found = await session.execute(
            select(
                ConversationRow.identity_id,
                func.least(func.max(EventRow.occurred_at), func.now()),
            )
            .join(
                EventRow,
                (EventRow.tenant_id == ConversationRow.tenant_id)
                & (EventRow.conversation_id == ConversationRow.id),
            )
            .where(
                ConversationRow.tenant_id == session.tenant_id,
                ConversationRow.learner_id == learner_id,
            )
            .group_by(ConversationRow.identity_id)
        )
        return [(IdentityId(row[0]), row[1]) for row in found]

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
