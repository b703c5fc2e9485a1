"""The page of a delivery: every attempt, the body, and sending it again."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from coachline.console.monitor_pages import written
from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.console.seat import Seat
from coachline.foundation.errors import CoachlineError
from coachline.monitoring import Deliveries, DeliveryPending, EndpointDisabled

_PATH = "/console/monitors/deliveries"


class DeliveryPages:
    """``/console/monitors/deliveries/{id}``."""

    def __init__(self, deliveries: Deliveries, pages: Pages, desk: Desk) -> None:
        self._deliveries = deliveries
        self._pages = pages
        self.router = APIRouter(prefix=_PATH, include_in_schema=False)
        add = self.router.add_api_route
        reader, owner = [Depends(desk.seat("read"))], [Depends(desk.seat("admin"))]
        add("/{delivery_id}", self.show, methods=["GET"], dependencies=reader)
        add("/{delivery_id}/resend", self.resend, methods=["POST"], dependencies=owner)

    async def show(self, request: Request, seat: Seated, delivery_id: UUID) -> Response:
        """One delivery with everything that is known of it."""
        return await self._show(request, seat, delivery_id)

    async def resend(self, request: Request, seat: Seated, delivery_id: UUID) -> Response:
        """Send a settled delivery again."""
        try:
            await self._deliveries.resend(seat.tenant_id, delivery_id, actor=seat.actor)
        except (DeliveryPending, EndpointDisabled) as error:
            return await self._show(request, seat, delivery_id, fault=error)
        return self._pages.done(request, f"{_PATH}/{delivery_id}", "It is on its way again.")

    async def _show(
        self,
        request: Request,
        seat: Seat,
        delivery_id: UUID,
        *,
        fault: CoachlineError | None = None,
    ) -> Response:
        found = await self._deliveries.explain(seat.tenant_id, delivery_id)
        return self._pages.render(
            request,
            "monitors_delivery.html",
            seat,
            status=fault.status if fault else HTTPStatus.OK,
            delivery=found.delivery,
            attempts=found.attempts,
            body=None if found.body is None else written(found.body),
            fault=fault.message if fault else "",
        )
