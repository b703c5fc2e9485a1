"""REST of deliveries: what became of them, and sending them again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.monitoring.deliveries import Deliveries, DeliveryState
from coachline.monitoring.schemas import (
    AttemptOut,
    DeliveryExplainedOut,
    DeliveryOut,
    ResendIn,
    ResentOut,
)

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class DeliveryRoutes:
    """``/api/v1/deliveries`` of the caller's tenant."""

    def __init__(self, deliveries: Deliveries, guard: Guard) -> None:
        self._deliveries = deliveries
        self.router = APIRouter(prefix="/api/v1", tags=["monitors"])
        add = self.router.add_api_route
        reader = [Depends(guard.scope("read"))]
        owner = [Depends(guard.scope("admin"))]
        add("/deliveries", self.list, methods=["GET"], dependencies=reader)
        add("/deliveries/{delivery_id}", self.get, methods=["GET"], dependencies=reader)
        for path, resend in (
            ("/deliveries/{delivery_id}/resend", self.resend),
            ("/endpoints/{endpoint_id}/resend", self.resend_since),
        ):
            add(
                path,
                resend,
                methods=["POST"],
                status_code=HTTPStatus.ACCEPTED,
                dependencies=owner,
            )

    async def list(
        self,
        caller: Caller,
        endpoint_id: UUID | None = None,
        state: DeliveryState | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[DeliveryOut]:
        """List deliveries, newest first."""
        found = await self._deliveries.list(
            caller.tenant_id,
            endpoint_id=endpoint_id,
            state=state,
            before=None if cursor is None else decode_cursor(cursor, UUID),
            limit=limit + 1,
        )
        return Page[DeliveryOut].cut(
            [DeliveryOut.model_validate(item) for item in found],
            limit=limit,
            key=lambda item: item.id,
        )

    async def get(self, caller: Caller, delivery_id: UUID) -> DeliveryExplainedOut:
        """Explain a delivery: every attempt, and the body that it has now."""
        found = await self._deliveries.explain(caller.tenant_id, delivery_id)
        return DeliveryExplainedOut(
            delivery=DeliveryOut.model_validate(found.delivery),
            attempts=[AttemptOut.model_validate(attempt) for attempt in found.attempts],
            body=None if found.body is None else dict(found.body),
        )

    async def resend(self, caller: Caller, delivery_id: UUID) -> DeliveryOut:
        """Send a delivery again, under the same id."""
        return DeliveryOut.model_validate(
            await self._deliveries.resend(caller.tenant_id, delivery_id, actor=caller.actor)
        )

    async def resend_since(self, caller: Caller, endpoint_id: UUID, wanted: ResendIn) -> ResentOut:
        """Send an endpoint what happened since a time and it did not take."""
        return ResentOut(
            events=await self._deliveries.resend_since(
                caller.tenant_id,
                endpoint_id,
                wanted.since,
                everything=wanted.everything,
                actor=caller.actor,
            )
        )
