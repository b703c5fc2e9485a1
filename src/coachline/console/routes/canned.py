"""Texts that coaches often need."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response

from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.conversation import CannedReplies

_PATH: Final = "/console/canned-replies"
_MOST: Final = 200


class CannedPages:
    """``/console/canned-replies``."""

    def __init__(self, canned: CannedReplies, pages: Pages, desk: Desk) -> None:
        self._canned = canned
        self._pages = pages
        self.router = APIRouter(prefix=_PATH, include_in_schema=False)
        add = self.router.add_api_route
        writes = [Depends(desk.seat("coach"))]
        add("", self.show, methods=["GET"], dependencies=[Depends(desk.seat("read"))])
        add("", self.save, methods=["POST"], dependencies=writes)
        add("/{canned_id}/remove", self.remove, methods=["POST"], dependencies=writes)

    async def show(self, request: Request, seat: Seated) -> Response:
        """All of them."""
        found = await self._canned.list(seat.tenant_id, limit=_MOST)
        return self._pages.render(
            request, "canned.html", seat, canned=sorted(found, key=lambda one: one.title.lower())
        )

    async def save(
        self,
        request: Request,
        seat: Seated,
        title: Annotated[str, Form(max_length=1_000)] = "",
        text: Annotated[str, Form(max_length=20_000)] = "",
    ) -> Response:
        """Keep a text under a title, in place of what was there under it."""
        await self._canned.save(seat.tenant_id, title, text.replace("\r\n", "\n"))
        return self._pages.done(request, _PATH, "Saved.")

    async def remove(self, request: Request, seat: Seated, canned_id: UUID) -> Response:
        """Remove one."""
        await self._canned.remove(seat.tenant_id, canned_id)
        return self._pages.done(request, _PATH, "Removed.")
