"""REST of coaches who step in: their inbox, taking, writing, handing back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import ConversationId
from coachline.messaging.attention import Attention
from coachline.messaging.inbox_list import Inbox
from coachline.messaging.schemas import (
    CoachReplyIn,
    CoachReplyOut,
    HandBackIn,
    InboxLineOut,
    ModeIn,
    ReadIn,
    TakeoverIn,
    TakeoverOut,
)
from coachline.messaging.takeovers import Takeovers

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
Said = Annotated[
    str | None,
    Query(
        min_length=2,
        max_length=100,
        pattern=r"^[^\x00]*[^\s\x00][^\x00]*$",
        description="Only where this was said lately, or is in the learner's name.",
    ),
]
Status = Annotated[
    Literal["bot", "coach", "waiting", "flagged"] | None, Query(description="Only of this status.")
]


class CoachRoutes:
    """``/api/v1/inbox``, and taking conversations of the caller's tenant."""

    def __init__(
        self, takeovers: Takeovers, attention: Attention, inbox: Inbox, guard: Guard
    ) -> None:
        self._takeovers = takeovers
        self._attention = attention
        self._inbox = inbox
        self.router = APIRouter(prefix="/api/v1", tags=["coaches"])
        reader, coach = [Depends(guard.scope("read"))], [Depends(guard.scope("coach"))]
        here, made, gone = (
            "/conversations/{conversation_id}",
            HTTPStatus.CREATED,
            HTTPStatus.NO_CONTENT,
        )
        add = self.router.add_api_route
        add("/inbox", self.list_inbox, methods=["GET"], dependencies=reader)
        add(f"{here}/takeovers", self.list_takeovers, methods=["GET"], dependencies=reader)
        add(f"{here}/takeover", self.take, methods=["POST"], dependencies=coach, status_code=made)
        add(f"{here}/takeover", self.renew, methods=["PUT"], dependencies=coach)
        for path, call, method, status in (
            (f"{here}/takeover", self.hand_back, "DELETE", gone),
            (f"{here}/replies", self.say, "POST", made),
            (f"{here}/read", self.mark_read, "PUT", gone),
            (f"{here}/mode", self.set_mode, "PUT", gone),
            (f"{here}/resolve", self.resolve, "POST", gone),
        ):
            add(path, call, methods=[method], dependencies=coach, status_code=status)

    async def list_inbox(
        self,
        caller: Caller,
        status: Status = None,
        connection_id: UUID | None = None,
        unread: Annotated[bool, Query(description="Only with what no coach has read.")] = False,
        text: Said = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[InboxLineOut]:
        """List conversations in which something was said last, first."""
        found = await self._inbox.list(
            caller.tenant_id,
            status=status,
            connection_id=connection_id,
            unread_only=unread,
            text=text,
            before=None if cursor is None else decode_cursor(cursor, self._inbox.read_cursor),
            limit=limit + 1,
        )
        cursors = {line.id: line.cursor for line in found}
        return Page[InboxLineOut].cut(
            [InboxLineOut.model_validate(line) for line in found],
            limit=limit,
            key=lambda line: cursors[ConversationId(line.id)],
        )

    async def list_takeovers(self, caller: Caller, conversation_id: UUID) -> list[TakeoverOut]:
        """List who has had a conversation, newest first; at most fifty."""
        found = await self._takeovers.list(caller.tenant_id, ConversationId(conversation_id))
        return [TakeoverOut.model_validate(taken) for taken in found]

    async def take(
        self, caller: Caller, conversation_id: UUID, wanted: TakeoverIn | None = None
    ) -> TakeoverOut:
        """Have a conversation: from now on the bot begins to send nothing in it."""
        wanted = wanted or TakeoverIn()
        return TakeoverOut.model_validate(
            await self._takeovers.take(
                caller.tenant_id,
                ConversationId(conversation_id),
                actor=caller.actor,
                name=wanted.name,
                force=wanted.force,
            )
        )

    async def renew(self, caller: Caller, conversation_id: UUID) -> TakeoverOut:
        """Let the takeover last another half hour."""
        token = await self._takeovers.held_by(
            caller.tenant_id, ConversationId(conversation_id), actor=caller.actor
        )
        return TakeoverOut.model_validate(await self._takeovers.renew(caller.tenant_id, token))

    async def hand_back(
        self, caller: Caller, conversation_id: UUID, wanted: HandBackIn | None = None
    ) -> None:
        """Let the bot answer again, and tell it the note."""
        token = await self._takeovers.held_by(
            caller.tenant_id, ConversationId(conversation_id), actor=caller.actor
        )
        note = "" if wanted is None else wanted.note
        await self._takeovers.hand_back(caller.tenant_id, token, note=note, actor=caller.actor)

    async def say(
        self, caller: Caller, conversation_id: UUID, wanted: CoachReplyIn
    ) -> CoachReplyOut:
        """Write to the learner on their own channel, as the coach who has the conversation."""
        token = await self._takeovers.held_by(
            caller.tenant_id, ConversationId(conversation_id), actor=caller.actor
        )
        return CoachReplyOut(id=await self._takeovers.say(caller.tenant_id, token, wanted.text))

    async def mark_read(self, caller: Caller, conversation_id: UUID, wanted: ReadIn) -> None:
        """Note up to which place a coach has read; never back."""
        await self._inbox.mark_read(
            caller.tenant_id, ConversationId(conversation_id), seq=wanted.seq
        )

    async def set_mode(self, caller: Caller, conversation_id: UUID, wanted: ModeIn) -> None:
        """Say who answers here: the bot, or the bot by way of a coach."""
        await self._attention.set_mode(
            caller.tenant_id, ConversationId(conversation_id), wanted.mode, actor=caller.actor
        )

    async def resolve(self, caller: Caller, conversation_id: UUID) -> None:
        """Note that whatever called for a coach is dealt with; the bot answers again."""
        await self._attention.resolve(
            caller.tenant_id, ConversationId(conversation_id), actor=caller.actor
        )
