"""The pages of safety: what was judged unsafe, what is decided about it, and how it is judged."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.console.routes.fields import typed_fields
from coachline.console.safety_pages import DIRECTIONS, ReviewDesk, Shown, Tried
from coachline.console.schema_forms import Form as Asked
from coachline.console.seat import Seat
from coachline.console.settings_pages import NotChanged, ProfileDesk
from coachline.conversation import (
    USUAL,
    Decision,
    ReviewDecided,
    SafetyReviews,
    safety_in,
)
from coachline.foundation.errors import InvalidInput
from coachline.foundation.http import Page, decode_cursor
from coachline.foundation.ids import ReviewId
from coachline.tenancy import Tenants

Cursor = Annotated[str | None, Query(max_length=128)]
Wanted = Annotated[Shown, Query()]
_PATH: Final = "/console/safety"
_ON_A_PAGE: Final = 25


class SafetyPages:
    """``/console/safety`` and what is below it."""

    def __init__(
        self,
        shelf: ReviewDesk,
        reviews: SafetyReviews,
        profile: ProfileDesk,
        tenants: Tenants,
        pages: Pages,
        desk: Desk,
    ) -> None:
        self._shelf = shelf
        self._reviews = reviews
        self._profile = profile
        self._tenants = tenants
        self._pages = pages
        self.router = APIRouter(prefix=_PATH, include_in_schema=False)
        add = self.router.add_api_route
        reader, coach = [Depends(desk.seat("read"))], [Depends(desk.seat("coach"))]
        owner = [Depends(desk.seat("admin"))]
        add("", self.show, methods=["GET"], dependencies=reader)
        add("/list", self.show_list, methods=["GET"], dependencies=reader)
        add("/reviews/{review_id}/decision", self.decide, methods=["POST"], dependencies=coach)
        add("/settings", self.show_settings, methods=["GET"], dependencies=reader)
        add("/settings", self.save, methods=["POST"], dependencies=owner)
        add("/settings/try", self.try_text, methods=["POST"], dependencies=owner)

    async def show(
        self, request: Request, seat: Seated, show: Wanted = "waiting", cursor: Cursor = None
    ) -> Response:
        """What waits for somebody to decide about it, or is decided."""
        return await self._show(request, seat, show, cursor)

    async def show_list(
        self, request: Request, seat: Seated, show: Wanted = "waiting", cursor: Cursor = None
    ) -> Response:
        """The reviews alone, for a page that keeps up."""
        return await self._show(request, seat, show, cursor, template="safety_list.html")

    async def decide(
        self,
        request: Request,
        seat: Seated,
        review_id: UUID,
        decision: Annotated[Decision, Form()],
    ) -> Response:
        """Note what a coach thinks of it."""
        try:
            await self._reviews.decide(seat.tenant_id, ReviewId(review_id), decision, seat.actor)
        except ReviewDecided:
            fault = "Somebody was faster, and decided the other way."
            return await self._show(request, seat, "waiting", None, fault=fault)
        told = "Noted: in order." if decision == "approved" else "Noted: not in order."
        return self._pages.done(request, _PATH, told)

    async def show_settings(self, request: Request, seat: Seated) -> Response:
        """How it is judged, what is said, and where answers may link to."""
        form = await self._profile.form(seat.tenant_id)
        return await self._show_settings(request, seat, form)

    async def save(self, request: Request, seat: Seated) -> Response:
        """Change it."""
        typed = await typed_fields(request)
        try:
            is_changed = await self._profile.save(seat.tenant_id, typed, actor=seat.actor)
        except NotChanged as refusal:
            return await self._show_settings(request, seat, refusal.form, is_refused=True)
        told = (
            "Saved. It holds for every message from now on." if is_changed else "Nothing changed."
        )
        return self._pages.done(request, f"{_PATH}/settings", told)

    async def try_text(self, request: Request, seat: Seated) -> Response:
        """Say how a text is judged, by what is saved."""
        given = await typed_fields(request)
        tried = Tried(
            text=given.get("text", "")[:8_000],
            language=given.get("language", "")[:60],
            direction=given.get("direction", ""),
        )
        try:
            tried = replace(tried, judged=await self._shelf.judge(seat.tenant_id, tried))
        except InvalidInput as error:
            tried = replace(tried, fault=error.message)
        form = await self._profile.form(seat.tenant_id)
        return await self._show_settings(
            request, seat, form, tried=tried, is_refused=bool(tried.fault)
        )

    async def _show(
        self,
        request: Request,
        seat: Seat,
        show: Shown,
        cursor: str | None,
        *,
        template: str = "safety.html",
        fault: str = "",
    ) -> Response:
        found = await self._shelf.list(
            seat.tenant_id,
            show,
            before=None if cursor is None else decode_cursor(cursor, UUID),
            limit=_ON_A_PAGE + 1,
        )
        return self._pages.render(
            request,
            template,
            seat,
            status=HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
            listed=Page[Any].cut(found, limit=_ON_A_PAGE, key=lambda one: one.review.id),
            show=show,
            cursor=cursor or "",
            fault=fault,
        )

    async def _show_settings(
        self,
        request: Request,
        seat: Seat,
        form: Asked,
        *,
        tried: Tried | None = None,
        is_refused: bool = False,
    ) -> Response:
        profile = await self._tenants.profile(seat.tenant_id)
        return self._pages.render(
            request,
            "safety_settings.html",
            seat,
            status=HTTPStatus.UNPROCESSABLE_ENTITY if is_refused else HTTPStatus.OK,
            form=form,
            profile=profile,
            usual=USUAL,
            own_script=safety_in(profile.language).crisis,
            tried=tried or Tried(language=profile.language),
            directions=DIRECTIONS,
        )
