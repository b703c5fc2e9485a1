"""What a coach does in a conversation: take it, write, approve, note, and hand it back."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response

from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.conversation import Notes
from coachline.foundation.ids import ConversationId, ProposalId
from coachline.messaging import Attention, Proposals, Takeovers

_LONGEST: Final = 20_000

Text = Annotated[str, Form(max_length=_LONGEST)]
Flag = Annotated[str, Form(max_length=5)]


class SteppingIn:
    """The forms of a conversation. Each is answered with the conversation's page."""

    def __init__(
        self,
        takeovers: Takeovers,
        attention: Attention,
        proposals: Proposals,
        notes: Notes,
        pages: Pages,
        desk: Desk,
    ) -> None:
        self._takeovers = takeovers
        self._attention = attention
        self._proposals = proposals
        self._notes = notes
        self._pages = pages
        self.router = APIRouter(
            prefix="/console/conversations/{conversation_id}",
            include_in_schema=False,
            dependencies=[Depends(desk.seat("coach"))],
        )
        for path, handler in (
            ("/take", self.take),
            ("/hand-back", self.hand_back),
            ("/say", self.say),
            ("/resolve", self.resolve),
            ("/mode", self.set_mode),
            ("/proposals/{proposal_id}/approve", self.approve),
            ("/proposals/{proposal_id}/drop", self.drop),
            ("/notes", self.add_note),
            ("/notes/{note_id}/remove", self.remove_note),
        ):
            self.router.add_api_route(path, handler, methods=["POST"])

    async def take(
        self, request: Request, seat: Seated, conversation_id: UUID, force: Flag = ""
    ) -> Response:
        """Have the conversation, by ``force`` also when a colleague has it."""
        await self._takeovers.take(
            seat.tenant_id,
            ConversationId(conversation_id),
            actor=seat.actor,
            name=seat.name,
            force=bool(force),
        )
        return self._done(request, conversation_id, "The conversation is yours. The bot is silent.")

    async def hand_back(
        self, request: Request, seat: Seated, conversation_id: UUID, note: Text = ""
    ) -> Response:
        """Let the bot answer again, and tell it what it should know."""
        held = await self._takeovers.held_by(
            seat.tenant_id, ConversationId(conversation_id), actor=seat.actor
        )
        await self._takeovers.hand_back(
            seat.tenant_id, held, note=_lines(note).strip(), actor=seat.actor
        )
        return self._done(request, conversation_id, "Handed back. The bot answers again.")

    async def say(
        self, request: Request, seat: Seated, conversation_id: UUID, text: Text = ""
    ) -> Response:
        """Write to the learner as the coach who has the conversation."""
        held = await self._takeovers.held_by(
            seat.tenant_id, ConversationId(conversation_id), actor=seat.actor
        )
        await self._takeovers.say(seat.tenant_id, held, _lines(text))
        return self._done(request, conversation_id)

    async def resolve(self, request: Request, seat: Seated, conversation_id: UUID) -> Response:
        """Note that whatever called for a coach is dealt with."""
        await self._attention.resolve(
            seat.tenant_id, ConversationId(conversation_id), actor=seat.actor
        )
        return self._done(request, conversation_id, "Dealt with. The bot answers again.")

    async def set_mode(
        self, request: Request, seat: Seated, conversation_id: UUID, mode: Flag = ""
    ) -> Response:
        """Say who answers here: the bot, the bot by way of a coach, or as the organisation set."""
        await self._attention.set_mode(
            seat.tenant_id,
            ConversationId(conversation_id),
            "draft" if mode == "draft" else "bot" if mode == "bot" else None,
            actor=seat.actor,
        )
        return self._done(request, conversation_id, "Saved.")

    async def approve(
        self,
        request: Request,
        seat: Seated,
        conversation_id: UUID,
        proposal_id: UUID,
        text: Text = "",
        original: Text = "",
    ) -> Response:
        """Send a proposed answer, in the coach's words where they were changed."""
        is_same = _lines(text).strip() == _lines(original).strip()
        await self._proposals.approve(
            seat.tenant_id,
            ProposalId(proposal_id),
            actor=seat.actor,
            text=None if is_same else _lines(text),
        )
        return self._done(request, conversation_id, "On its way to the learner.")

    async def drop(
        self, request: Request, seat: Seated, conversation_id: UUID, proposal_id: UUID
    ) -> Response:
        """Never send a proposed answer."""
        await self._proposals.drop(seat.tenant_id, ProposalId(proposal_id), actor=seat.actor)
        return self._done(request, conversation_id, "Dropped. The learner gets no answer to this.")

    async def add_note(
        self,
        request: Request,
        seat: Seated,
        conversation_id: UUID,
        text: Text = "",
        for_model: Flag = "",
    ) -> Response:
        """Keep a note, for colleagues or also for the bot."""
        await self._notes.add(
            seat.tenant_id,
            ConversationId(conversation_id),
            _lines(text),
            author=seat.actor,
            for_model=bool(for_model),
        )
        return self._done(request, conversation_id, "Noted.")

    async def remove_note(
        self, request: Request, seat: Seated, conversation_id: UUID, note_id: UUID
    ) -> Response:
        """Remove a note for good."""
        await self._notes.remove(seat.tenant_id, ConversationId(conversation_id), note_id)
        return self._done(request, conversation_id, "The note is removed.")

    def _done(self, request: Request, conversation_id: UUID, says: str = "") -> Response:
        return self._pages.done(request, f"/console/conversations/{conversation_id}", says)


def _lines(text: str) -> str:
    """A field's text as it was typed: browsers send every line's end as two characters."""
    return text.replace("\r\n", "\n")
