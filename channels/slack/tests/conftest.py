"""A Slack that answers what a test wants of each method, and remembers every call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
from aiohttp import web

from channel_slack import SlackChannel, SlackConfig


@dataclass
class Workspace:
    """``answers`` has, per method, what is answered next; the last one stays.

    An answer is JSON, an exception to break the connection with, or a whole response.
    """

    url: str = ""
    answers: dict[str, list[Any]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def on(self, method: str, *answers: Any) -> None:
        """Set what ``method`` answers, in order."""
        self.answers[method] = list(answers)

    def called(self, method: str) -> list[dict[str, Any]]:
        """The arguments of every call of ``method``."""
        return [arguments for name, arguments in self.calls if name == method]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Remember a call and answer it."""
        method = request.match_info["method"]
        text = (await request.read()).decode()
        given = json.loads(text) if text.startswith("{") else dict(parse_qsl(text))
        self.calls.append((method, {**request.query, **given}))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        waiting = self.answers.get(method, [{"ok": True, "ts": "1795003201.000400"}])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, ConnectionError):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, dict):
            return web.json_response({"ok": "error" not in answer, **answer})
        return web.Response(**dict(answer()))


@pytest.fixture
async def slack() -> AsyncIterator[Workspace]:
    """The workspace, on the loopback."""
    workspace = Workspace()
    app = web.Application()
    app.router.add_route("*", "/api/{method}", workspace.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    workspace.url = f"http://{host}:{port}/api/"
    yield workspace
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """The session that the gateway would share."""
    async with aiohttp.ClientSession() as session:
        yield session


Connect = Callable[..., SlackChannel]


@pytest.fixture
def connect(slack: Workspace, http: aiohttp.ClientSession) -> Connect:
    """Makes the channel, connected to the workspace, with other settings if given."""

    def make(**changed: Any) -> SlackChannel:
        given = {
            "signing_secret": "8f742231b10e8888abcd99yyyzzz85a5",
            "bot_token": "xoxb-not-a-real-token",
            "api_url": slack.url,
            "team_id": "T0COACH01",
            "app_id": "A0COACH01",
            "bot_user_id": "U0BOT0001",
            "bot_id": "B0BOT0001",
        }
        config = SlackConfig.model_validate({**given, **changed})
        return SlackChannel(config, http)

    return make


@pytest.fixture
def channel(connect: Connect) -> SlackChannel:
    """The channel with its usual settings."""
    return connect()
