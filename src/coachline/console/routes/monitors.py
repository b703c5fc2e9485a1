"""The pages of monitors: who is told what happens, how it is signed, tests, sending again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from coachline.console.monitor_pages import (
    DISABLED,
    REDACTIONS,
    SIGNATURES,
    EndpointTyped,
    MonitorDesk,
    NotKept,
    about,
    event_groups,
)
from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.console.routes.fields import chosen, typed_fields
from coachline.console.seat import Seat
from coachline.console.times import moment
from coachline.foundation.errors import CoachlineError, InvalidInput
from coachline.foundation.http import Page, decode_cursor
from coachline.monitoring import (
    Deliveries,
    DeliveryState,
    Endpoint,
    EndpointDisabled,
    Endpoints,
    NewSecret,
)

Cursor = Annotated[str | None, Query(max_length=128)]
State = Annotated[Literal["", "pending", "sent", "failed"], Query()]
_PATH = "/console/monitors"
_ON_A_PAGE = 50


class MonitorPages:
    """``/console/monitors`` and the endpoints below it."""

    def __init__(
        self,
        monitors: MonitorDesk,
        endpoints: Endpoints,
        deliveries: Deliveries,
        pages: Pages,
        desk: Desk,
    ) -> None:
        self._monitors = monitors
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._pages = pages
        self.router = APIRouter(prefix=_PATH, include_in_schema=False)
        add = self.router.add_api_route
        reader, owner = [Depends(desk.seat("read"))], [Depends(desk.seat("admin"))]
        one = "/{endpoint_id}"
        add("", self.show, methods=["GET"], dependencies=reader)
        add("/list", self.show_list, methods=["GET"], dependencies=reader)
        add("/new", self.ask, methods=["GET"], dependencies=owner)
        add("/new", self.add, methods=["POST"], dependencies=owner)
        add(one, self.show_one, methods=["GET"], dependencies=reader)
        add(f"{one}/change", self.ask_anew, methods=["GET"], dependencies=owner)
        add(f"{one}/change", self.change, methods=["POST"], dependencies=owner)
        add(f"{one}/state", self.set_state, methods=["POST"], dependencies=owner)
        add(f"{one}/test", self.send_test, methods=["POST"], dependencies=owner)
        add(f"{one}/rotate", self.rotate, methods=["POST"], dependencies=owner)
        add(f"{one}/remove", self.remove, methods=["POST"], dependencies=owner)
        add(f"{one}/resend", self.resend_since, methods=["POST"], dependencies=owner)

    async def show(self, request: Request, seat: Seated, cursor: Cursor = None) -> Response:
        """Every endpoint and how it is."""
        return await self._list(request, seat, "monitors.html", cursor)

    async def show_list(self, request: Request, seat: Seated, cursor: Cursor = None) -> Response:
        """The endpoints alone, for a page that keeps up."""
        return await self._list(request, seat, "monitors_list.html", cursor)

    async def ask(self, request: Request, seat: Seated) -> Response:
        """The form of a new endpoint."""
        return self._ask(request, seat, EndpointTyped())

    async def add(self, request: Request, seat: Seated) -> Response:
        """Add an endpoint and show what it verifies with; or what is wrong."""
        typed = await _typed(request)
        try:
            made = await self._monitors.add(seat.tenant_id, typed, actor=seat.actor)
        except NotKept as refusal:
            return self._ask(request, seat, typed, refusal)
        return self._tell(request, seat, made, is_new=True)

    async def show_one(
        self,
        request: Request,
        seat: Seated,
        endpoint_id: UUID,
        state: State = "",
        cursor: Cursor = None,
    ) -> Response:
        """One endpoint and what it was told."""
        endpoint = await self._get(seat, endpoint_id)
        return await self._show_one(request, seat, endpoint, state=state or None, cursor=cursor)

    async def ask_anew(self, request: Request, seat: Seated, endpoint_id: UUID) -> Response:
        """The form of an endpoint as it is."""
        endpoint = await self._get(seat, endpoint_id)
        return self._ask(request, seat, EndpointTyped.of(endpoint), endpoint=endpoint)

    async def change(self, request: Request, seat: Seated, endpoint_id: UUID) -> Response:
        """Change where to tell, and what."""
        endpoint = await self._get(seat, endpoint_id)
        typed = await _typed(request)
        try:
            is_changed = await self._monitors.change(
                seat.tenant_id, endpoint, typed, actor=seat.actor
            )
        except NotKept as refusal:
            return self._ask(request, seat, typed, refusal, endpoint=endpoint)
        told = "Saved. What waits goes there too." if is_changed else "Nothing changed."
        return self._pages.done(request, f"{_PATH}/{endpoint_id}", told)

    async def set_state(
        self,
        request: Request,
        seat: Seated,
        endpoint_id: UUID,
        state: Annotated[Literal["active", "disabled"], Form()],
    ) -> Response:
        """Tell an endpoint what happens from now on, or nothing more."""
        if state == "active":
            await self._endpoints.enable(seat.tenant_id, endpoint_id, actor=seat.actor)
            told = "Enabled. What it missed can be sent again below."
        else:
            await self._endpoints.disable(seat.tenant_id, endpoint_id, actor=seat.actor)
            told = "Disabled. What waited for it is given up."
        return self._pages.done(request, f"{_PATH}/{endpoint_id}", told)

    async def send_test(self, request: Request, seat: Seated, endpoint_id: UUID) -> Response:
        """Send an event of the type ``endpoint.test``."""
        endpoint = await self._get(seat, endpoint_id)
        try:
            sent = await self._endpoints.send_test(seat.tenant_id, endpoint_id, actor=seat.actor)
        except EndpointDisabled as error:
            return await self._show_one(request, seat, endpoint, fault=error)
        return self._pages.done(request, f"{_PATH}/deliveries/{sent}", "The test is on its way.")

    async def rotate(self, request: Request, seat: Seated, endpoint_id: UUID) -> Response:
        """Make a new secret and show it; for 24 hours the old one signs too."""
        made = await self._endpoints.rotate(seat.tenant_id, endpoint_id, actor=seat.actor)
        return self._tell(request, seat, made)

    async def remove(self, request: Request, seat: Seated, endpoint_id: UUID) -> Response:
        """Remove an endpoint with all its deliveries."""
        await self._endpoints.remove(seat.tenant_id, endpoint_id, actor=seat.actor)
        return self._pages.done(request, _PATH, "Removed, with everything that was kept of it.")

    async def resend_since(
        self,
        request: Request,
        seat: Seated,
        endpoint_id: UUID,
        since: Annotated[str, Form(max_length=40)] = "",
        everything: Annotated[bool, Form()] = False,
    ) -> Response:
        """Tell an endpoint again what happened since a time."""
        endpoint = await self._get(seat, endpoint_id)
        typed = {"since": since, "everything": everything}
        try:
            events = await self._deliveries.resend_since(
                seat.tenant_id,
                endpoint_id,
                moment(since, seat.time_zone),
                everything=everything,
                actor=seat.actor,
            )
        except (InvalidInput, EndpointDisabled) as error:
            return await self._show_one(request, seat, endpoint, since_fault=error, typed=typed)
        told = f"{events} events are sent again." if events else "There is nothing to send again."
        return self._pages.done(request, f"{_PATH}/{endpoint_id}", told)

    async def _get(self, seat: Seat, endpoint_id: UUID) -> Endpoint:
        return await self._endpoints.get(seat.tenant_id, endpoint_id)

    async def _list(
        self, request: Request, seat: Seat, template: str, cursor: str | None
    ) -> Response:
        after = None if cursor is None else decode_cursor(cursor, UUID)
        found = await self._endpoints.list(seat.tenant_id, after=after, limit=_ON_A_PAGE + 1)
        listed = Page[Any].cut(found, limit=_ON_A_PAGE, key=lambda one: one.id)
        return self._pages.render(
            request, template, seat, listed=listed, disabled=DISABLED, redactions=REDACTIONS
        )

    def _ask(
        self,
        request: Request,
        seat: Seat,
        typed: EndpointTyped,
        refusal: NotKept | None = None,
        *,
        endpoint: Endpoint | None = None,
    ) -> Response:
        return self._pages.render(
            request,
            "monitors_form.html",
            seat,
            status=refusal.status if refusal else HTTPStatus.OK,
            typed=typed,
            faults=refusal.faults if refusal else {},
            fault=refusal.fault if refusal else "",
            endpoint=endpoint,
            groups=event_groups(),
            about=about,
            redactions=REDACTIONS,
            signatures=SIGNATURES,
        )

    def _tell(
        self, request: Request, seat: Seat, made: NewSecret, *, is_new: bool = False
    ) -> Response:
        """What was made, with what is told only this once."""
        return self._pages.render(request, "monitors_made.html", seat, made=made, is_new=is_new)

    async def _show_one(
        self,
        request: Request,
        seat: Seat,
        endpoint: Endpoint,
        *,
        state: DeliveryState | None = None,
        cursor: str | None = None,
        fault: CoachlineError | None = None,
        since_fault: CoachlineError | None = None,
        typed: dict[str, Any] | None = None,
    ) -> Response:
        found = await self._monitors.list_deliveries(
            seat.tenant_id,
            endpoint.id,
            state=state,
            before=None if cursor is None else decode_cursor(cursor, UUID),
            limit=_ON_A_PAGE + 1,
        )
        refusal = fault or since_fault
        return self._pages.render(
            request,
            "monitors_one.html",
            seat,
            status=refusal.status if refusal else HTTPStatus.OK,
            endpoint=endpoint,
            listed=Page[Any].cut(found, limit=_ON_A_PAGE, key=lambda one: one.delivery.id),
            state=state or "",
            disabled=DISABLED,
            redactions=REDACTIONS,
            fault=fault.message if fault else "",
            since_fault=since_fault.message if since_fault else "",
            typed=typed or {"since": "", "everything": False},
        )


async def _typed(request: Request) -> EndpointTyped:
    given = await typed_fields(request)
    return EndpointTyped(
        url=given.get("url", ""),
        types=tuple(await chosen(request, "types")),
        learner_id=given.get("learner_id", ""),
        redaction=given.get("redaction", ""),
        signature=given.get("signature", ""),
    )
