"""Replies that ended unsent, for the person who decides about them: send, or drop.

``dead`` were refused or failed too often, ``suppressed`` ones were not wanted, ``unknown`` ones
may have been shown. What may have been shown is not sent again by surprise: the platform is asked
first, or shows a repeated reply once, or the person says that twice is better than never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal
from uuid import UUID

from channel_kit import Channel
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import (
    ConnectionId,
    ConversationId,
    EventId,
    LearnerId,
    ReplyId,
    TenantId,
)
from coachline.foundation.seal import SealBroken
from coachline.messaging.attempts import Way, choose_way
from coachline.messaging.connections import Connections
from coachline.messaging.errors import (
    ConnectionClosed,
    ReplyMayAppearTwice,
    ReplyNotFound,
    ReplyNotInTrouble,
)
from coachline.messaging.live import LiveConnection
from coachline.messaging.queue import Queue
from coachline.messaging.registry import UnknownChannel
from coachline.messaging.repository import ConversationRepository, TroubleRepository
from coachline.messaging.tables import ConversationRow, ReplyRow
from coachline.messaging.transcripts import Checkpoint, reply_checkpoints
from coachline.tenancy import AuditLog

Prospect = Literal[
    "sent", "if_wanted", "asked_first", "shown_once", "maybe_twice", "closed", "settled"
]

PROSPECTS: Final[Mapping[Prospect, str]] = MappingProxyType(
    {
        "sent": "It was surely not shown: a retry sends it.",
        "if_wanted": "A retry sends it only if the learner wants such messages by then.",
        "asked_first": "A retry asks the platform first and sends it only if it has it not.",
        "shown_once": "A retry sends it; the platform shows it once, however often it is sent.",
        "maybe_twice": "The platform may show it twice: a retry must say that this is accepted.",
        "closed": "Its connection cannot be used: mend and enable that first.",
        "settled": "Nothing is to be decided about it.",
    }
)
"""What a person may expect of a retry."""

_LEFT_ALONE = frozenset({"pending", "sending", "sent", "held", "dropped", "proposed"})
# Delivery decided that it was not shown; every other end leaves that open.
_SURELY_UNSENT: Final[Mapping[str, Prospect]] = MappingProxyType(
    {"dead": "sent", "suppressed": "if_wanted"}
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reply in trouble. ``attempts`` counts the calls of the platform for it.

    ``in_reply_to`` are the platform's ids of what it answers; ``sending_at`` is when the last call
    began, ``updated_at`` when it was given up.
    """

    id: ReplyId
    conversation_id: ConversationId
    connection_id: ConnectionId
    learner_id: LearnerId
    state: str
    problem: str | None
    part: int
    parts: int
    attempts: int
    in_reply_to: tuple[str, ...]
    created_at: datetime
    sending_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TroubleExplained:
    """All that is known of a reply, and what would come of a retry.

    ``events`` are what it answers, for ``coachline why``.
    """

    reply: Trouble
    text: str
    events: tuple[EventId, ...]
    checkpoints: tuple[Checkpoint, ...]
    prospect: Prospect


class Troubles:
    """Lists and explains replies in trouble, and carries out what a person decides."""

    def __init__(
        self, database: Database, connections: Connections, queue: Queue, audit: AuditLog
    ) -> None:
        self._database = database
        self._connections = connections
        self._queue = queue
        self._audit = audit
        self._conversations = ConversationRepository()
        self._repository = TroubleRepository()

    async def list(
        self,
        tenant_id: TenantId,
        *,
        states: Sequence[str] = (),
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[Trouble]:
        """Replies in trouble, newest first, before an id; of these states, if any are named."""
        async with self._database.tenant(tenant_id) as session:
            found = await self._repository.list_in_trouble(
                session, states=states, before=before, limit=limit
            )
        return [_trouble(reply, row) for reply, row in found]

    async def explain(self, tenant_id: TenantId, reply_id: ReplyId) -> TroubleExplained:
        """Why a reply is as it is, whatever its state, and what a retry would do.

        Raises:
            ReplyNotFound: there is no such reply.
        """
        async with self._database.tenant(tenant_id) as session:
            found = await self._repository.find(session, reply_id)
            if found is None:
                raise ReplyNotFound("There is no such reply.")
            reply, row = found
            events: list[UUID] = []
            if reply.turn_id is not None:
                events = await self._repository.list_events(session, reply.turn_id)
        return TroubleExplained(
            reply=_trouble(reply, row),
            text=reply.text,
            events=tuple(map(EventId, events)),
            checkpoints=tuple(sorted(reply_checkpoints(reply), key=lambda point: point.at)),
            prospect=await self._prospect(tenant_id, reply, row),
        )

    async def _prospect(
        self, tenant_id: TenantId, reply: ReplyRow, row: ConversationRow
    ) -> Prospect:
        if reply.state in _LEFT_ALONE:
            return "settled"
        try:
            live = await self._connections.live(tenant_id, ConnectionId(row.connection_id))
        except (SealBroken, UnknownChannel):
            return "closed"
        return _foresee(reply, live)

    async def retry(
        self, tenant_id: TenantId, reply_id: ReplyId, *, even_if_twice: bool = False, actor: str
    ) -> Trouble:
        """Have a reply sent now, as often tried and as carefully fenced as a new one.

        What was sent after it stays as it is: this one comes below that. Its next attempt has the
        next number, so an older one that still hangs somewhere can record nothing.

        Args:
            tenant_id: whose reply it is.
            reply_id: the reply.
            even_if_twice: send it even where it may have been shown and nobody can tell.
            actor: who decides, for the audit log.

        Raises:
            ReplyNotFound: there is no such reply.
            ReplyNotInTrouble: it was sent, dropped, or is on its way.
            ReplyMayAppearTwice: only with ``even_if_twice``.
            ConnectionClosed: its connection is disabled.
            UnknownChannel: its channel is no longer installed.
            SealBroken: its configuration cannot be opened.
        """
        live = await self._open(tenant_id, reply_id)
        if live.state != "active":
            raise ConnectionClosed(f"The connection is disabled: {live.problem or 'by its owner'}.")
        credit = await self._queue.credit(tenant_id)
        async with self._database.tenant(tenant_id) as session:
            row, reply = await self._lock(session, reply_id)
            prospect, before = _foresee(reply, live), reply.state
            if prospect == "maybe_twice" and not even_if_twice:
                raise ReplyMayAppearTwice(
                    "The platform may show this reply twice: say that this is accepted "
                    "(even_if_twice), or drop it."
                )
            is_question = prospect in ("asked_first", "shown_once") and not even_if_twice
            self._repository.send_again(reply, is_question=is_question)
            # A person's decision: it is sent even while a coach has the conversation.
            reply.actor = actor
            await session.flush()
            await self._queue.bring(session, row, credit=credit, goes_first=True)
            await self._audit.record(
                session,
                actor=actor,
                action="reply.retry",
                object=f"reply:{reply_id}",
                details={"was": before, "even_if_twice": even_if_twice},
            )
            await session.refresh(reply)
        return _trouble(reply, row)

    async def drop(self, tenant_id: TenantId, reply_id: ReplyId, *, actor: str) -> Trouble:
        """Decide that a reply is never sent: it is in no list of troubles any more.

        Raises:
            ReplyNotFound: there is no such reply.
            ReplyNotInTrouble: it was sent, dropped, or is on its way.
        """
        async with self._database.tenant(tenant_id) as session:
            row, reply = await self._lock(session, reply_id)
            before = reply.state
            self._repository.drop(
                reply, problem=f"dropped by {actor}, was {before}: {reply.problem or 'no reason'}"
            )
            await self._audit.record(
                session,
                actor=actor,
                action="reply.drop",
                object=f"reply:{reply_id}",
                details={"was": before},
            )
            await session.refresh(reply)
        return _trouble(reply, row)

    async def _open(self, tenant_id: TenantId, reply_id: ReplyId) -> LiveConnection:
        async with self._database.tenant(tenant_id) as session:
            found = await self._repository.find(session, reply_id)
        if found is None:
            raise ReplyNotFound("There is no such reply.")
        return await self._connections.live(tenant_id, ConnectionId(found[1].connection_id))

    async def _lock(
        self, session: TenantSession, reply_id: ReplyId
    ) -> tuple[ConversationRow, ReplyRow]:
        """The conversation, then the reply: in the order in which delivery locks them."""
        found = await self._repository.find(session, reply_id)
        if found is None:
            raise ReplyNotFound("There is no such reply.")
        row = await self._conversations.lock(session, ConversationId(found[1].id))
        reply = await self._repository.lock(session, reply_id)
        if row is None or reply is None:
            raise ReplyNotInTrouble(
                "This reply was sent or dropped, or is on its way: nothing is to be decided."
            )
        return row, reply


def _foresee(reply: ReplyRow, live: LiveConnection) -> Prospect:
    if live.state != "active":
        return "closed"
    return _SURELY_UNSENT.get(reply.state) or _doubtful(reply, live.channel)


def _doubtful(reply: ReplyRow, channel: Channel) -> Prospect:
    match choose_way(channel, reply.handle, is_doubtful=True):
        case None:
            return "maybe_twice"
        case Way.FIND:
            return "asked_first"
        case Way.FILL if reply.handle is None:
            # Where it was filled in is not known here: a restored backup may be older than that.
            return "maybe_twice"
        case _:
            return "shown_once"


def _trouble(reply: ReplyRow, row: ConversationRow) -> Trouble:
    return Trouble(
        id=ReplyId(reply.id),
        conversation_id=ConversationId(row.id),
        connection_id=ConnectionId(row.connection_id),
        learner_id=LearnerId(row.learner_id),
        state=reply.state,
        problem=reply.problem,
        part=reply.part,
        parts=reply.parts,
        attempts=reply.attempts,
        in_reply_to=tuple(reply.in_reply_to),
        created_at=reply.created_at,
        sending_at=reply.sending_at,
        updated_at=reply.updated_at,
    )
