"""Socket Mode: envelopes over WebSockets that an app opens."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from coachline_lab.slack.arguments import Arguments
from coachline_lab.slack.refusals import Refusal
from coachline_lab.slack.world import App, World

MOST_SOCKETS = 10


class Sockets:
    """The open sockets of every app. An envelope goes to any one of them.

    ``ack_seconds`` is how long an envelope waits for its acknowledgement, ``ping_seconds`` how
    often a socket is pinged.
    """

    def __init__(self, world: World, ack_seconds: float = 3.0) -> None:
        self.ack_seconds = ack_seconds
        self.ping_seconds = 5.0
        self.base_url = ""
        self._world = world
        self._tickets: dict[str, App] = {}
        self._open: dict[str, list[web.WebSocketResponse]] = {}
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._next = 0

    def add_to(self, app: web.Application) -> None:
        """Serve the sockets in ``app``."""
        app.router.add_get("/link/", self._serve)

    async def connections_open(self, arguments: Arguments) -> dict[str, Any]:
        """``apps.connections.open``: a ticket for one socket.

        Raises:
            Refusal: the token is no app's, or the app does not use sockets.
        """
        if not arguments.token:
            raise Refusal("not_authed")
        if arguments.token.startswith("xoxb-"):
            raise Refusal("not_allowed_token_type")
        app = self._world.app_tokens.get(arguments.token)
        if app is None:
            raise Refusal("invalid_auth")
        if not app.uses_socket:
            raise Refusal("socket_mode_not_enabled")
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = app
        address = self.base_url.replace("http://", "ws://", 1)
        return {"url": f"{address}/link/?ticket={ticket}&app_id={app.id}"}

    def count(self, app: App) -> int:
        """How many sockets an app has open."""
        return len(self._open.get(app.id, ()))

    async def send(
        self,
        app: App,
        kind: str,
        payload: dict[str, Any],
        *,
        retry_attempt: int = 0,
        retry_reason: str = "",
    ) -> dict[str, Any] | None:
        """Send an envelope to one of the app's sockets; its acknowledgement, or None."""
        sockets = self._open.get(app.id, [])
        if not sockets:
            return None
        self._next += 1
        socket = sockets[self._next % len(sockets)]
        envelope_id = secrets.token_hex(16)
        envelope: dict[str, Any] = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": retry_attempt, "retry_reason": retry_reason}
        acknowledged = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = acknowledged
        try:
            async with asyncio.timeout(self.ack_seconds):
                await socket.send_json(envelope)
                said: dict[str, Any] = await acknowledged
                return said
        except (TimeoutError, ConnectionError):
            return None
        finally:
            del self._waiting[envelope_id]

    async def refresh(self, app: App, reason: str = "refresh_requested") -> None:
        """Ask every socket of an app to go and come again, as Slack does every few hours."""
        for socket in list(self._open.get(app.id, ())):
            with suppress(ConnectionError):  # gone by itself
                await socket.send_json(
                    {"type": "disconnect", "reason": reason, "debug_info": {"host": "lab"}}
                )
                await socket.close()

    async def go_deaf(self, app: App) -> None:
        """Forget the sockets of an app without closing them: they stay open, and nothing comes."""
        self._open.pop(app.id, []).clear()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        app = self._tickets.pop(request.query.get("ticket", ""), None)
        if app is None:
            raise web.HTTPForbidden
        sockets = self._open.setdefault(app.id, [])
        if len(sockets) >= MOST_SOCKETS:
            raise web.HTTPTooManyRequests
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sockets.append(socket)
        await socket.send_json(
            {
                "type": "hello",
                "num_connections": len(sockets),
                "debug_info": {"host": "lab", "approximate_connection_time": 18060},
                "connection_info": {"app_id": app.id},
            }
        )
        pinging = asyncio.create_task(self._ping(socket, sockets))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledge(message.data)
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)
            if socket in sockets:
                sockets.remove(socket)
        return socket

    async def _ping(
        self, socket: web.WebSocketResponse, sockets: list[web.WebSocketResponse]
    ) -> None:
        """Ping as Slack does, until the socket ends or is forgotten."""
        while socket in sockets and not socket.closed:
            await socket.ping()
            await asyncio.sleep(self.ping_seconds)

    def _acknowledge(self, data: str) -> None:
        try:
            said = json.loads(data)
        except ValueError:
            return
        envelope_id = said.get("envelope_id") if isinstance(said, dict) else None
        waiting = self._waiting.get(str(envelope_id))
        if waiting is not None and not waiting.done():
            waiting.set_result(said)
