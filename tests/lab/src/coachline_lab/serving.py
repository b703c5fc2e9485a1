"""A server on the loopback, and how a fault meets one call of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from coachline_lab.faults import Fault, Mode

BODY_BYTES: Final = 64 * 2**20
_GATEWAY_PAGE: Final = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n"
    "</body>\r\n</html>\r\n"
)


class LoopbackServer:
    """Serves an application on 127.0.0.1 and nowhere else; port 0 takes a free one."""

    def __init__(self, app: web.Application, port: int = 0) -> None:
        self._app = app
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The address without a path. Its port is known once the server runs."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runner = runner
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._port = int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


async def answer_under(
    fault: Fault,
    request: web.Request,
    *,
    accept: Callable[[], Awaitable[web.StreamResponse]],
    refuse: Callable[[Fault], web.StreamResponse],
) -> web.StreamResponse:
    """Answer one call as ``fault`` wants it.

    Args:
        accept: does what was asked and returns the platform's answer.
        refuse: the platform's own words for RATE_LIMITED, REJECTED and the server errors.
    """
    if fault.mode is Mode.CUT_BEFORE_ACCEPT:
        return cut(request)
    if fault.mode is Mode.HTML_ERROR:
        return web.Response(status=502, text=_GATEWAY_PAGE, content_type="text/html")
    if not fault.is_accepting and fault.mode is not Mode.DYING_STREAM:
        return refuse(fault)
    response = await accept()
    if response.status >= 400:
        return response  # an invalid call was never accepted
    if fault.mode is Mode.CUT_AFTER_ACCEPT:
        return cut(request)
    if fault.mode is Mode.SERVER_ERROR_AFTER_ACCEPT:
        return refuse(fault)
    if fault.mode is Mode.SLOW:
        await asyncio.sleep(fault.seconds)
    return response


def cut(request: web.Request) -> web.StreamResponse:
    """Break the TCP connection instead of answering."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
