"""REST of the feed: page by page, and as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import TenantId
from coachline.foundation.streams import EVENT_STREAM, KEEP_ALIVE, render_event, while_allowed
from coachline.monitoring.event_types import check_types
from coachline.monitoring.feed import Feed
from coachline.monitoring.live import LiveFeed
from coachline.monitoring.schemas import FeedEventOut

_SCOPE = "read"
_LARGEST = 2**63 - 1

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Items on a page.")]
Position = Annotated[
    int | None, Query(ge=0, le=_LARGEST, description="Only events behind this position.")
]
Types = Annotated[
    list[Annotated[str, Query(max_length=64)]] | None,
    Query(max_length=64, description="Only of these types; repeatable."),
]


class FeedRoutes:
    """``/api/v1/feed`` of the caller's tenant."""

    def __init__(self, feed: Feed, live: LiveFeed, guard: Guard) -> None:
        self._feed = feed
        self._live = live
        self._guard = guard
        self.router = APIRouter(
            prefix="/api/v1", tags=["monitors"], dependencies=[Depends(guard.scope(_SCOPE))]
        )
        self.router.add_api_route("/feed", self.list, methods=["GET"])
        # An answer without an end is described in docs/api/asyncapi.json, not in OpenAPI.
        self.router.add_api_route(
            "/feed/stream", self.stream, methods=["GET"], include_in_schema=False
        )

    async def list(
        self,
        caller: Caller,
        type: Types = None,  # noqa: A002 - the name of the parameter
        conversation_id: UUID | None = None,
        learner_id: UUID | None = None,
        after: Position = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Page[FeedEventOut]:
        """List what happened, oldest first.

        Read on with the last `position` as `after`: whatever is written meanwhile, nothing is
        missed.
        """
        found = await self._feed.list(
            caller.tenant_id,
            after=(after or 0) if cursor is None else decode_cursor(cursor, int),
            types=type or (),
            conversation_id=conversation_id,
            learner_id=learner_id,
            limit=limit + 1,
        )
        return Page[FeedEventOut].cut(
            [FeedEventOut.model_validate(event) for event in found],
            limit=limit,
            key=lambda event: event.position,
        )

    async def stream(
        self,
        caller: Caller,
        request: Request,
        type: Types = None,  # noqa: A002 - the name of the parameter
        after: Position = None,
        last_event_id: Annotated[int | None, Header(ge=0, le=_LARGEST)] = None,
    ) -> StreamingResponse:
        """What happens, as server-sent events; their ids are positions.

        Begins behind `Last-Event-ID`, else behind `after`, else with what happens from now on.
        """
        check_types(type or ())
        begin = last_event_id if last_event_id is not None else after
        if begin is None:
            begin = await self._feed.position(caller.tenant_id)
        return StreamingResponse(
            self._render(caller.tenant_id, request, begin, frozenset(type or ())),
            media_type=EVENT_STREAM,
            headers={"Cache-Control": "no-store"},
        )

    async def _render(
        self, tenant_id: TenantId, request: Request, after: int, types: frozenset[str]
    ) -> AsyncIterator[str]:
        async def is_allowed() -> bool:
            return await self._guard.still_lets(request, _SCOPE)

        # At once, so that the reader knows that it is heard.
        yield KEEP_ALIVE
        async for event in while_allowed(self._live.follow(tenant_id, after=after), is_allowed):
            if event is None:
                yield KEEP_ALIVE
            elif not types or event.type in types:
                told = FeedEventOut.model_validate(event).model_dump_json()
                yield render_event(event.position, event.type, told)
