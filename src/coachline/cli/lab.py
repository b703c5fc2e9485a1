"""``coachline lab``: every platform on this machine, with a page to write on as a learner."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from coachline.cli.support import complete, fail, open_services, run
from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.settings import Settings, load_settings

_LOOPBACK = "127.0.0.1"
_UP_SECONDS = 120.0
_LOOK_SECONDS = 0.2
_ASK_SECONDS = 5.0
_STOP_SECONDS = 40.0


def lab(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose coach answers.")] = "demo",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Of the page; 0: a free one.")
    ] = 8090,
) -> None:
    """Try Telegram, Slack and SMS here: no account, no tunnel, a page to write on."""
    if find_spec("coachline_lab") is None:
        fail("The lab comes with the source: clone the project and run `make up` there once.")
    _check_port(port)

    async def work() -> None:
        with _ended_by_signals():
            try:
                async with _gateway():
                    await _run(tenant, port)
            except asyncio.CancelledError:
                # Told to end; what was open is closed by now.
                Console(highlight=False).print("The lab is closed.")

    run(work)


def _check_port(port: int) -> None:
    """Fail before anything is started, rather than after half a minute."""
    try:
        socket.create_server((_LOOPBACK, port)).close()
    except OSError as error:
        fail(f"Port {port} cannot be used: {error.strerror}. Try another one with --port.")


async def _run(tenant: str, port: int) -> None:
    from coachline.local import Lab

    async with open_services() as services:
        _check_outgoing(services.settings)
        found = await services.tenants.get_by_name(tenant)
        async with Lab(services.connections, found.id, port=port) as opened:
            Console(highlight=False).print(
                f"\nWrite as a learner: [bold]{opened.url}/[/]   Ctrl-C ends the lab."
            )
            await asyncio.Event().wait()


def _check_outgoing(settings: Settings) -> None:
    if not any(ip_address(_LOOPBACK) in network for network in settings.outgoing_allow):
        raise SettingsInvalid(
            "The lab's platforms are on this machine, where replies may not go: set "
            "COACHLINE_OUTGOING_ALLOW=127.0.0.0/8 for `serve`, `work` and this command."
        )


@asynccontextmanager
async def _gateway() -> AsyncIterator[None]:
    """A running gateway: the one that is there, else a `coachline up` until the end."""
    settings = complete(load_settings())
    if settings.database_url is not None:
        if await _ask(settings) is None:
            raise SettingsInvalid(
                f"No gateway answers at http://{_LOOPBACK}:{settings.port}. Start `coachline "
                "serve` and `coachline work`, or set COACHLINE_PORT to the port of yours."
            )
        yield
        return
    Console(highlight=False).print("No `coachline up` runs here: starting one.\n")
    # A session of its own: Ctrl-C is ours, and the lab's connections are closed before it stops.
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("coachline")), "up", start_new_session=True
    )
    try:
        async with asyncio.timeout(_UP_SECONDS):
            while not await _is_ready():
                if process.returncode is not None:
                    raise SettingsInvalid("`coachline up` did not start; its lines above say why.")
                await asyncio.sleep(_LOOK_SECONDS)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()


async def _is_ready() -> bool:
    """Whether the gateway works; its demo is made before it does."""
    settings = complete(load_settings())
    return settings.database_url is not None and await _ask(settings) == HTTPStatus.OK


async def _ask(settings: Settings) -> int | None:
    """The status of the gateway's readiness, None when nobody answers."""
    import aiohttp

    url = f"http://{_LOOPBACK}:{settings.port}/health/ready"
    limit = aiohttp.ClientTimeout(total=_ASK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(trust_env=False, timeout=limit) as http,
            http.get(url) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Cancel the running task at SIGINT and SIGTERM, so that it closes what it opened."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, lambda: task and task.cancel())
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
