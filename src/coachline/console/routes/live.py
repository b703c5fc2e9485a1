"""News of the feed for open pages, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from coachline.console.errors import SignedOut
from coachline.console.routes.desk import Desk, Seated, session_cookie
from coachline.console.sessions import Sessions
from coachline.foundation.errors import Unavailable
from coachline.foundation.ids import TenantId
from coachline.monitoring import Feed, FeedEvent, LiveFeed

# With what a proof is remembered, a session that ended is noticed within five seconds.
_LOOK_SECONDS: Final = 2.0
_LARGEST: Final = 2**62
_END: Literal["end"] = "end"

Place = Annotated[int | None, Query(ge=0, le=_LARGEST)]


class LiveRoutes:
    """``/console/live``: what happened since a place in the feed, and all that happens from now on.

    Only ids and words of ours are sent: what was said comes with the parts of a page that a script
    fetches then.
    """

    def __init__(self, sessions: Sessions, feed: Feed, live: LiveFeed, desk: Desk) -> None:
        self._sessions = sessions
        self._feed = feed
        self._live = live
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route(
            "/console/live",
            self.follow,
            methods=["GET"],
            dependencies=[Depends(desk.seat("read"))],
        )

    async def follow(
        self,
        request: Request,
        seat: Seated,
        after: Place = None,
        last_event_id: Annotated[str, Header(max_length=20)] = "",
    ) -> Response:
        """Send the news until the browser, the server or the session is gone."""
        place = int(last_event_id) if last_event_id.isdecimal() else after
        if place is None:
            place = await self._feed.position(seat.tenant_id)
        stream = self._stream(seat.tenant_id, place, session_cookie(request))
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _stream(self, tenant_id: TenantId, place: int, cookie: str) -> AsyncIterator[str]:
        yield _event("place", {"position": place})
        news = aiter(self._live.follow(tenant_id, after=place))
        waiting = asyncio.ensure_future(_next(news))
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=_LOOK_SECONDS)
                if not await self._is_signed_in(cookie):
                    yield _event("signed-out", {})
                    return
                if not done:
                    continue
                heard = waiting.result()
                if heard == _END:
                    return
                yield _news(heard)
                waiting = asyncio.ensure_future(_next(news))
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _is_signed_in(self, cookie: str) -> bool:
        try:
            await self._sessions.prove(cookie)
        except SignedOut:
            return False
        except Unavailable:
            # The database is away: the stream waits for it, as the feed does.
            return True
        return True


async def _next(news: AsyncIterator[FeedEvent | None]) -> FeedEvent | Literal["end"] | None:
    """What comes next; ``"end"`` when the server stops."""
    return await anext(news, _END)


def _news(event: FeedEvent | None) -> str:
    if event is None:
        # An event, not a comment: scripts are not told of those, and must know that we live.
        return _event("still", {})
    told = {
        "position": event.position,
        "type": event.type,
        "conversation_id": event.conversation_id and str(event.conversation_id),
        "learner_id": event.learner_id and str(event.learner_id),
        "subject_id": str(event.subject_id),
    }
    return f"id: {event.position}\n{_event('news', told)}"


def _event(name: str, data: dict[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
