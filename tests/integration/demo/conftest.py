"""The demo's routes on a real server, with a scripted gateway behind them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from fastapi import FastAPI

from channel_kit import SignatureMismatch
from channel_kit.signing import generate_secret, parse_secret, sign, verify
from coachline.foundation.clock import SystemClock
from coachline.foundation.http import install
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.local import DemoChat
from coachline.local.routes import DemoRoutes


class ScriptedGateway:
    """The webhook channel's side of a connection: takes messages, answers when told to."""

    def __init__(self) -> None:
        self.secret = generate_secret()
        self.callback_url = ""
        self.inbound_url = ""
        self.messages: list[dict[str, Any]] = []
        self.arrived: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.statuses: list[int] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedGateway]:
        """Listen on loopback."""
        app = web.Application()
        app.router.add_post("/webhooks/{connection_id}", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1).start()
            port = runner.addresses[0][1]
            self.inbound_url = f"http://127.0.0.1:{port}/webhooks/{new_id()}"
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers={"Retry-After": "7"})
        try:
            verify([parse_secret(self.secret)], headers, body, now=datetime.now(UTC))
        except SignatureMismatch:
            return web.Response(status=401)
        message = json.loads(body)
        is_known = any(known["id"] == message["id"] for known in self.messages)
        if not is_known:
            self.messages.append(message)
            self.arrived.put_nowait(message)
        events = [] if is_known else [str(new_id())]
        return web.json_response({"events": events, "duplicates": int(is_known)})

    async def next_message(self) -> dict[str, Any]:
        """The next message that comes in."""
        async with asyncio.timeout(10):
            return await self.arrived.get()

    async def draft(self, message: dict[str, Any], text: str) -> int:
        """Post a draft of the answer; returns the callback's status."""
        return await self.post(
            {"type": "reply.draft", "id": "turn-1", "thread": message["thread"], "text": text}
        )

    async def reply(self, message: dict[str, Any], text: str, **fields: object) -> int:
        """Post an answer; returns the callback's status."""
        reply = {
            "type": "reply",
            "id": str(new_id()),
            "in_reply_to": [message["id"]],
            "thread": message["thread"],
            "text": text,
            "citations": [],
            "part": 1,
            "parts": 1,
        }
        return await self.post(reply | fields)

    async def post(self, body: dict[str, Any], *, secret: str | None = None) -> int:
        """Post anything signed to the callback."""
        raw = json.dumps(body).encode()
        headers = sign(
            [parse_secret(secret or self.secret)],
            message_id=str(new_id()),
            timestamp=datetime.now(UTC),
            body=raw,
        )
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.callback_url, data=raw, headers=headers) as answer,
        ):
            return answer.status


class DemoServer:
    """The page's own server, with the gateway behind it."""

    def __init__(self, url: str, routes: DemoRoutes, gateway: ScriptedGateway) -> None:
        self.url = url
        self.routes = routes
        self.gateway = gateway


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A gateway that answers when told to."""
    async with ScriptedGateway().serving() as gateway:
        yield gateway


@pytest.fixture
async def demo_server(gateway: ScriptedGateway) -> AsyncIterator[DemoServer]:
    """The demo's routes on loopback."""
    chat = DemoChat(
        TenantId(new_id()), ConnectionId(new_id()), gateway.inbound_url, gateway.secret
    )
    async with aiohttp.ClientSession() as http:
        routes = DemoRoutes(chat, http, SystemClock())
        app = FastAPI()
        install(app, max_body_bytes=65_536)
        app.include_router(routes.router)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(
                uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False)
            )
            running = asyncio.create_task(server.serve(sockets=[listener]))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            gateway.callback_url = f"{url}/demo/callback"
            try:
                yield DemoServer(url, routes, gateway)
            finally:
                routes.close()
                server.should_exit = True
                await running
