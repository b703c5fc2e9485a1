"""The inbox: conversations, those first in which something was said last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from coachline.console.pages import Pages, is_part
from coachline.console.routes.desk import Desk, Seated
from coachline.foundation.ids import TenantId
from coachline.messaging import Connection, Connections, Inbox, InboxLine, Status
from coachline.monitoring import Feed

_PAGE: Final = 30
_MOST_CONNECTIONS: Final = 200
_STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_PATH: Final = "/console/inbox"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What somebody wants to see of the inbox; the same in the address of the page."""

    status: Status | None
    connection_id: UUID | None
    is_unread: bool
    words: str
    before: str

    def address(self, **changed: str) -> str:
        """The inbox with something else wanted; the first page, unless ``before`` is given."""
        values = {
            "status": self.status or "",
            "channel": str(self.connection_id or ""),
            "unread": "1" if self.is_unread else "",
            "q": self.words,
            **changed,
        }
        query = urlencode({name: value for name, value in values.items() if value})
        return f"{_PATH}?{query}" if query else _PATH

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.status or self.connection_id or self.is_unread or self.words)


class InboxRoutes:
    """``/console/inbox``, whole or, for scripts, its list only."""

    def __init__(
        self, inbox: Inbox, connections: Connections, feed: Feed, pages: Pages, desk: Desk
    ) -> None:
        self._inbox = inbox
        self._connections = connections
        self._feed = feed
        self._pages = pages
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route(
            _PATH, self.show, methods=["GET"], dependencies=[Depends(desk.seat("read"))]
        )

    async def show(
        self,
        request: Request,
        seat: Seated,
        status: Annotated[str, Query(max_length=20)] = "",
        channel: Annotated[str, Query(max_length=40)] = "",
        unread: Annotated[str, Query(max_length=1)] = "",
        q: Annotated[str, Query(max_length=200)] = "",
        before: Annotated[str, Query(max_length=128)] = "",
    ) -> Response:
        """The list, narrowed as the address says; what it does not understand narrows nothing."""
        wanted = _Wanted(
            status=next((known for known in _STATUSES if known == status), None),
            connection_id=_uuid(channel),
            is_unread=bool(unread),
            words=" ".join(q.replace("\x00", " ").split()),
            before=before,
        )
        # Read first: what happens meanwhile is told by the feed once more.
        position = await self._feed.position(seat.tenant_id)
        lines = await self._read(seat.tenant_id, wanted)
        context: dict[str, Any] = {
            "lines": lines[:_PAGE],
            "next": str(lines[_PAGE - 1].cursor) if len(lines) > _PAGE else "",
            "wanted": wanted,
            "position": position,
        }
        if is_part(request):
            return self._pages.render(request, "inbox_list.html", seat, **context)
        return self._pages.render(
            request,
            "inbox.html",
            seat,
            connections=await self._list_connections(seat.tenant_id),
            statuses=_STATUSES,
            **context,
        )

    async def _read(self, tenant_id: TenantId, wanted: _Wanted) -> list[InboxLine]:
        try:
            before = Inbox.read_cursor(wanted.before) if wanted.before else None
        except ValueError:
            before = None
        return await self._inbox.list(
            tenant_id,
            status=wanted.status,
            connection_id=wanted.connection_id,
            unread_only=wanted.is_unread,
            text=wanted.words or None,
            before=before,
            limit=_PAGE + 1,
        )

    async def _list_connections(self, tenant_id: TenantId) -> list[Connection]:
        return await self._connections.list(tenant_id, limit=_MOST_CONNECTIONS)


def _uuid(written: str) -> UUID | None:
    try:
        return UUID(written)
    except ValueError:
        return None
