"""One conversation: what was said, why, and what a coach needs beside it."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from coachline.console.cards import Cards
from coachline.console.pages import Pages, is_part
from coachline.console.people import People
from coachline.console.reasons import Explaining
from coachline.console.routes.desk import Desk, Seated
from coachline.console.seat import Seat
from coachline.console.talk import MOST, PAGE, Talk, Talks
from coachline.conversation import CannedReplies, Notes
from coachline.foundation.errors import NotFound
from coachline.foundation.ids import ConversationId, EventId
from coachline.messaging import Inbox, Proposals
from coachline.monitoring import Feed

_PARTS: Final = ("head", "talk", "proposals", "composer", "about")
_MOST_CANNED: Final = 100


class ConversationPages:
    """``/console/conversations/{id}``, whole or by part, and ``…/why/{event_id}``."""

    def __init__(
        self,
        talks: Talks,
        cards: Cards,
        explaining: Explaining,
        inbox: Inbox,
        proposals: Proposals,
        notes: Notes,
        canned: CannedReplies,
        people: People,
        feed: Feed,
        pages: Pages,
        desk: Desk,
    ) -> None:
        self._talks = talks
        self._cards = cards
        self._explaining = explaining
        self._inbox = inbox
        self._proposals = proposals
        self._notes = notes
        self._canned = canned
        self._people = people
        self._feed = feed
        self._pages = pages
        self.router = APIRouter(
            prefix="/console/conversations/{conversation_id}",
            include_in_schema=False,
            dependencies=[Depends(desk.seat("read"))],
        )
        self.router.add_api_route("", self.show, methods=["GET"])
        self.router.add_api_route("/why/{event_id}", self.explain, methods=["GET"])

    async def show(
        self,
        request: Request,
        seat: Seated,
        conversation_id: UUID,
        show: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
        part: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        """The whole page, or for a script one of its parts."""
        chosen = ConversationId(conversation_id)
        # Read first: what happens meanwhile is told by the feed once more.
        position = await self._feed.position(seat.tenant_id)
        talk = await self._talks.read(seat.tenant_id, chosen, limit=show)
        context: dict[str, Any] = {"talk": talk, "shown": show, "most": MOST}
        if is_part(request):
            if part not in _PARTS:
                raise NotFound("There is no such part of this page.")
            wanted = [part]
        else:
            wanted = [*_PARTS]
        for name in wanted:
            context |= await self._beside(name, seat, talk)
        if "talk" in wanted and seat.may("coach"):
            await self._mark_read(seat, talk)
        if is_part(request):
            return self._pages.render(request, f"conversation_{part}.html", seat, **context)
        return self._pages.render(request, "conversation.html", seat, position=position, **context)

    async def _beside(self, part: str, seat: Seat, talk: Talk) -> dict[str, Any]:
        """What a part needs beside the talk itself."""
        chosen = talk.conversation.id
        match part:
            case "proposals":
                found = await self._proposals.list(seat.tenant_id, conversation_id=chosen)
                return {"proposals": found}
            case "composer":
                return {"canned": await self._canned.list(seat.tenant_id, limit=_MOST_CANNED)}
            case "about":
                notes = await self._notes.list(seat.tenant_id, chosen)
                authors = {note.author for note in notes}
                return {
                    "notes": notes,
                    "names": await self._people.names(seat.tenant_id, authors),
                    "card": await self._cards.read(seat.tenant_id, talk.learner.id),
                }
        return {}

    async def _mark_read(self, seat: Seat, talk: Talk) -> None:
        for found in talk.linked:
            if found.read_seq < found.messages:
                await self._inbox.mark_read(seat.tenant_id, found.id, seq=found.messages)

    async def explain(
        self, request: Request, seat: Seated, conversation_id: UUID, event_id: UUID
    ) -> Response:
        """How a message came to its answer, as a page or, for a script, as a part of one."""
        reasons = await self._explaining.read(seat.tenant_id, EventId(event_id))
        template = "why_part.html" if is_part(request) else "why.html"
        return self._pages.render(
            request, template, seat, reasons=reasons, conversation_id=conversation_id
        )
