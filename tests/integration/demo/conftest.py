"""The demo's routes on a real server, with a scripted gateway behind them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
import uvicorn
from fastapi import FastAPI

from coachline.foundation.clock import SystemClock
from coachline.foundation.http import install
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.local import DemoChat
from coachline.local.routes import DemoRoutes
from fixtures.scripted_gateway import DemoServer, ScriptedGateway


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A gateway that answers when told to."""
    async with ScriptedGateway().serving() as gateway:
        yield gateway


@pytest.fixture
async def demo_server(gateway: ScriptedGateway) -> AsyncIterator[DemoServer]:
    """The demo's routes on loopback."""
    chat = DemoChat(TenantId(new_id()), ConnectionId(new_id()), gateway.inbound_url, gateway.secret)
    async with aiohttp.ClientSession() as http:
        routes = DemoRoutes(chat, http, SystemClock())
        app = FastAPI()
        install(app, max_body_bytes=1_048_576)
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
