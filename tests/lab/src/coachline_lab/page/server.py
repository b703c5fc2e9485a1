"""The lab's page and the little API behind it, on the loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

from aiohttp import web

from coachline_lab.page.seats import Seat
from coachline_lab.serving import LoopbackServer

_WAIT_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.05
_LONGEST_TEXT: Final = 4000
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"html": "text/html", "css": "text/css", "js": "text/javascript"}
)
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:"
)


class LabPage:
    """Serves the page for these seats. An async context manager.

    Only requests that name this server as their host are answered, and only this page's own
    scripts may post: another page in the same browser can neither read nor write here.
    """

    def __init__(self, seats: Sequence[Seat], *, port: int = 0) -> None:
        self._seats = {seat.name: seat for seat in seats}
        app = web.Application(client_max_size=64 * 1024, middlewares=[self._only_from_here])
        app.router.add_get("/", self._file)
        app.router.add_get("/{name:(?:lab\\.css|lab\\.js|bubbles\\.js)}", self._file)
        app.router.add_get("/state", self._state)
        app.router.add_post("/new", self._renew)
        app.router.add_post("/{seat}/{act:say|press|edit}", self._act)
        self._server = LoopbackServer(app, port)

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.stop()

    @property
    def url(self) -> str:
        """The page's address."""
        return self._server.url

    @web.middleware
    async def _only_from_here(self, request: web.Request, handler: Any) -> web.StreamResponse:
        # Any other name may have been made to lead here (DNS rebinding).
        own = {self._server.url, self._server.url.replace("127.0.0.1", "localhost")}
        host = f"http://{request.host}"
        if host not in own or request.headers.get("Origin", host) != host:
            raise web.HTTPForbidden(text="This page is for this machine only.")
        response: web.StreamResponse = await handler(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "index.html")
        text = (files("coachline_lab.page") / "static" / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=_TYPES[name.rpartition(".")[2]])

    async def _state(self, request: web.Request) -> web.Response:
        """Everything there is to see; with ``since``, when something changed."""
        since = request.query.get("since", "")
        until = time.monotonic() + _WAIT_SECONDS
        # Three books and their drafts: looking costs less than telling everybody.
        while self._version() == since and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        return web.json_response({"version": self._version(), "seats": self._shown()})

    def _version(self) -> str:
        return "-".join(f"{seat.learner}.{seat.version}" for seat in self._seats.values())

    def _shown(self) -> list[dict[str, Any]]:
        return [
            {
                "name": seat.name,
                "title": seat.title,
                "learner": seat.learner,
                "whereabouts": seat.whereabouts,
                "about": seat.about,
                "ideas": list(seat.ideas),
                "command": seat.command,
                "guide": seat.guide,
                "can_edit": seat.can_edit,
                "writing": seat.writing(),
                "lines": [asdict(line) for line in seat.lines()],
            }
            for seat in self._seats.values()
        ]

    async def _renew(self, request: web.Request) -> web.Response:
        """Let somebody else sit down everywhere."""
        await _body(request)
        for seat in self._seats.values():
            seat.renew()
        return web.json_response({})

    async def _act(self, request: web.Request) -> web.Response:
        seat = self._seats.get(request.match_info["seat"])
        if seat is None:
            raise web.HTTPNotFound(text="There is no such platform here.")
        given = await _body(request)
        try:
            await _do(seat, request.match_info["act"], given)
        except (LookupError, ValueError) as error:
            raise web.HTTPConflict(text=str(error)) from None
        return web.json_response({})


async def _body(request: web.Request) -> Mapping[str, str]:
    # A form of another page cannot have this type.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="JSON, please.")
    try:
        given = json.loads(await request.read())
    except ValueError:
        raise web.HTTPBadRequest(text="This is no JSON.") from None
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        raise web.HTTPBadRequest(text="An object of texts, please.")
    return given


async def _do(seat: Seat, act: str, given: Mapping[str, str]) -> None:
    text = given.get("text", "").strip()
    if act != "press" and not 0 < len(text) <= _LONGEST_TEXT:
        raise ValueError(f"Write 1 to {_LONGEST_TEXT} characters.")
    if act == "say":
        await seat.say(text)
    elif act == "edit":
        await seat.edit(given.get("message", ""), text)
    else:
        await seat.press(given.get("message", ""), given.get("button", ""))
