"""REST of the addresses that are told what happens."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.monitoring.endpoints import EndpointChanges, Endpoints, NewSecret
from coachline.monitoring.schemas import (
    EndpointChangeIn,
    EndpointIn,
    EndpointMadeOut,
    EndpointOut,
    TestOut,
)

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]


class EndpointRoutes:
    """``/api/v1/endpoints`` of the caller's tenant."""

    def __init__(self, endpoints: Endpoints, guard: Guard) -> None:
        self._endpoints = endpoints
        self.router = APIRouter(prefix="/api/v1", tags=["monitors"])
        add = self.router.add_api_route
        reader = [Depends(guard.scope("read"))]
        owner = [Depends(guard.scope("admin"))]
        one = "/endpoints/{endpoint_id}"
        add("/endpoints", self.list, methods=["GET"], dependencies=reader)
        add(
            "/endpoints",
            self.add,
            methods=["POST"],
            status_code=HTTPStatus.CREATED,
            dependencies=owner,
        )
        add(one, self.get, methods=["GET"], dependencies=reader)
        add(one, self.change, methods=["PATCH"], dependencies=owner)
        add(
            one,
            self.remove,
            methods=["DELETE"],
            status_code=HTTPStatus.NO_CONTENT,
            dependencies=owner,
        )
        add(f"{one}/enable", self.enable, methods=["POST"], dependencies=owner)
        add(f"{one}/disable", self.disable, methods=["POST"], dependencies=owner)
        add(f"{one}/rotate", self.rotate, methods=["POST"], dependencies=owner)
        add(
            f"{one}/test",
            self.send_test,
            methods=["POST"],
            status_code=HTTPStatus.ACCEPTED,
            dependencies=owner,
        )

    async def list(
        self, caller: Caller, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[EndpointOut]:
        """List endpoints, oldest first."""
        after = None if cursor is None else decode_cursor(cursor, UUID)
        found = await self._endpoints.list(caller.tenant_id, after=after, limit=limit + 1)
        return Page[EndpointOut].cut(
            [EndpointOut.model_validate(item) for item in found],
            limit=limit,
            key=lambda item: item.id,
        )

    async def add(self, caller: Caller, wanted: EndpointIn) -> EndpointMadeOut:
        """Have an address told what happens from now on; its secret is shown this once."""
        made = await self._endpoints.add(
            caller.tenant_id,
            wanted.url,
            types=wanted.types,
            learner_id=wanted.learner_id,
            redaction=wanted.redaction,
            signature=wanted.signature,
            actor=caller.actor,
        )
        return _made(made)

    async def get(self, caller: Caller, endpoint_id: UUID) -> EndpointOut:
        """Read one endpoint."""
        return EndpointOut.model_validate(await self._endpoints.get(caller.tenant_id, endpoint_id))

    async def change(
        self, caller: Caller, endpoint_id: UUID, wanted: EndpointChangeIn
    ) -> EndpointOut:
        """Change what an endpoint is told, or where."""
        given = wanted.model_dump(exclude_unset=True)
        # Null takes the learner away; of the other fields it says nothing.
        changes = cast(
            "EndpointChanges",
            {
                name: value
                for name, value in given.items()
                if name == "learner_id" or value is not None
            },
        )
        changed = await self._endpoints.change(
            caller.tenant_id, endpoint_id, changes, actor=caller.actor
        )
        return EndpointOut.model_validate(changed)

    async def remove(self, caller: Caller, endpoint_id: UUID) -> None:
        """Remove an endpoint and its deliveries."""
        await self._endpoints.remove(caller.tenant_id, endpoint_id, actor=caller.actor)

    async def enable(self, caller: Caller, endpoint_id: UUID) -> EndpointOut:
        """Tell a disabled endpoint what happens from now on."""
        return EndpointOut.model_validate(
            await self._endpoints.enable(caller.tenant_id, endpoint_id, actor=caller.actor)
        )

    async def disable(self, caller: Caller, endpoint_id: UUID) -> EndpointOut:
        """Tell an endpoint nothing more."""
        return EndpointOut.model_validate(
            await self._endpoints.disable(caller.tenant_id, endpoint_id, actor=caller.actor)
        )

    async def rotate(self, caller: Caller, endpoint_id: UUID) -> EndpointMadeOut:
        """Make a new secret, shown this once; for 24 hours the old one signs too."""
        return _made(
            await self._endpoints.rotate(caller.tenant_id, endpoint_id, actor=caller.actor)
        )

    async def send_test(self, caller: Caller, endpoint_id: UUID) -> TestOut:
        """Send an event of the type `endpoint.test`, which is in no feed."""
        sent = await self._endpoints.send_test(caller.tenant_id, endpoint_id, actor=caller.actor)
        return TestOut(delivery_id=sent)


def _made(made: NewSecret) -> EndpointMadeOut:
    return EndpointMadeOut(
        endpoint=EndpointOut.model_validate(made.endpoint), verify_with=made.verify_with
    )
