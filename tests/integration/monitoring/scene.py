"""Endpoints of two tenants on real receivers, with a clock that tests own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from sqlalchemy import text

from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from coachline.monitoring import (
    Attempts,
    Deliveries,
    Dispatcher,
    Endpoint,
    Endpoints,
    Feed,
    Planner,
    Rounds,
)
from fixtures.time import FakeClock
from fixtures.waiting import until

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Got:
    """One request that a receiver got."""

    headers: dict[str, str]
    body: bytes
    json: Any


class Receiver:
    """An HTTP server that keeps what it is told, and answers as told itself."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.answer: Answer | None = None
        self.always = 200
        self.text = "thanks"
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append(Got(headers, body, await request.json()))
        if self.answer is not None:
            return await self.answer(request)
        status = self.statuses.pop(0) if self.statuses else self.always
        return web.Response(status=status, text=self.text, headers=self.headers)

    @property
    def types(self) -> list[str]:
        """What it was told, attempt by attempt."""
        return [one.json["type"] for one in self.got]

    @property
    def ids(self) -> list[str]:
        """The webhook-id of every attempt."""
        return [one.headers["webhook-id"] for one in self.got]


@dataclass
class Scene:
    """The room as a worker has it, but for the engine: tests ring its bells."""

    database: Database
    clock: FakeClock
    feed: Feed
    dispatcher: Dispatcher
    planner: Planner
    endpoints: Endpoints
    deliveries: Deliveries
    attempts: Attempts
    rounds: Rounds
    receivers: list[Receiver] = field(default_factory=list)

    async def add(
        self, tenant_id: TenantId, receiver: Receiver, **wanted: Any
    ) -> tuple[Endpoint, str]:
        """Have a receiver told."""
        made = await self.endpoints.add(tenant_id, receiver.url, actor="test", **wanted)
        return made.endpoint, made.verify_with

    async def tell(self, tenant_id: TenantId, *events: str, lane: object = None) -> None:
        """Have something happen, one event of each type, all of one conversation."""
        async with self.database.tenant(tenant_id) as session:
            for kind in events:
                await session.execute(
                    text(
                        "select feed_tell(app_tenant(), :kind, coalesce(:lane, new_id()), null, "
                        "null, new_id(), '{}')"
                    ),
                    {"kind": kind, "lane": lane},
                )
        await self.dispatcher.dispatch(tenant_id)

    async def ring(self, endpoint: Endpoint, tenant_id: TenantId) -> None:
        """Have what is due attempted, until nothing is under way any more."""
        await self.rounds.look(tenant_id, endpoint.id)
        await until(lambda: not self.rounds._running, seconds=20)

    async def wait(self, endpoint: Endpoint, tenant_id: TenantId, seconds: float) -> None:
        """Let time pass, and ring."""
        self.clock.advance(seconds)
        await self.ring(endpoint, tenant_id)

    async def states(self, tenant_id: TenantId, endpoint: Endpoint) -> Sequence[str]:
        """The states of an endpoint's deliveries, in order."""
        found = await self.deliveries.list(tenant_id, endpoint_id=endpoint.id, limit=1000)
        return [one.state for one in sorted(found, key=lambda one: one.position)]

    async def close(self) -> None:
        """End what is under way."""
        self.rounds.stop()
        for task in self.rounds._running:
            task.cancel()
        await asyncio.gather(*self.rounds._running, return_exceptions=True)
