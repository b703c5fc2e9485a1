"""``coachline lab``: every platform on this machine, with a page to write on as a learner."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console

from coachline.cli.support import complete, fail, open_services, run
from coachline.foundation.errors import SettingsInvalid
from coachline.foundation.settings import load_settings

_UP_SECONDS = 120.0
_LOOK_SECONDS = 0.2
_STOP_SECONDS = 40.0


def lab(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose coach answers.")] = "demo",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Of the page; 0: a free one.")
    ] = 8090,
) -> None:
    """Try Telegram, Slack and SMS here: no account, no tunnel, a page to write on."""
    if find_spec("coachline_lab") is None:
        fail("The lab comes with the source: clone the project and run `make setup` there.")

    async def work() -> None:
        async with _gateway():
            await _run(tenant, port)

    run(work)


async def _run(tenant: str, port: int) -> None:
    from coachline.local import Lab

    console = Console(highlight=False)
    async with open_services() as services:
        found = await services.tenants.get_by_name(tenant)
        try:
            async with Lab(services.connections, found.id, port=port) as opened:
                console.print(
                    f"\nWrite as a learner: [bold]{opened.url}/[/]   Ctrl-C ends the lab."
                )
                await _until_told()
        except OSError as error:
            fail(f"Port {port} cannot be used: {error.strerror}. Try another one with --port.")
    console.print("The lab is closed.")


@asynccontextmanager
async def _gateway() -> AsyncIterator[None]:
    """A running `coachline up`: the one that is there, else one of our own until the end."""
    if _is_up():
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
    """Whether the gateway answers; its demo is made before it does."""
    settings = complete(load_settings())
    if settings.database_url is None:
        return False
    url = f"http://127.0.0.1:{settings.port}/health/ready"
    try:
        async with aiohttp.ClientSession(trust_env=False) as http, http.get(url) as answer:
            return answer.status == HTTPStatus.OK
    except aiohttp.ClientError:
        return False


def _is_up() -> bool:
    return complete(load_settings()).database_url is not None


async def _until_told() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, told.set)
    try:
        await told.wait()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
