"""``coachline chat``: talk to a tenant's coach in a terminal or through a pipe."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.markup import escape

from coachline.cli.support import open_services, run
from coachline.foundation.errors import CoachlineError

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.cli.chat_line import Answer, ChatLine

_READ_BYTES: Final = 65_536
_QUIT: Final = frozenset({"/quit", "/exit", "/q"})


def chat(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose coach to talk to.")] = "demo",
    wait_seconds: Annotated[
        float, typer.Option(min=1, help="How long to wait for one answer.")
    ] = 180.0,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON line an answer.")] = False,
) -> None:
    """Talk to a tenant's coach in the terminal; lines of a pipe are messages, too."""

    async def work() -> None:
        async with open_services() as services:
            await _talk(services, tenant, wait_seconds=wait_seconds, as_json=as_json)

    run(work)


async def _talk(services: Services, tenant: str, *, wait_seconds: float, as_json: bool) -> None:
    # Imported here: what listens for answers is nothing that another command should load.
    from coachline.cli.chat_line import open_line

    found = await services.tenants.get_by_name(tenant)
    is_person = sys.stdin.isatty()
    console = Console(highlight=False, quiet=as_json)
    async with open_line(services, found.id) as line:
        if is_person:
            console.print(f"[dim]Talking to {escape(tenant)}. /quit or Ctrl-D ends.[/]\n")
        async for text in _read_messages(console, is_person=is_person):
            try:
                answer = await _ask(line, text, console, wait_seconds=wait_seconds)
            except CoachlineError as error:
                if not is_person:
                    raise
                console.print(f"[red]{escape(error.message)}[/]\n")
                continue
            _show(answer, console, as_json=as_json)


async def _ask(line: ChatLine, text: str, console: Console, *, wait_seconds: float) -> Answer:
    live = Live(console=console, transient=True, auto_refresh=False)
    with live if console.is_terminal and not console.quiet else nullcontext():

        def show(so_far: str) -> None:
            if live.is_started:
                live.update(Markdown(so_far), refresh=True)

        return await line.ask(text, show, wait_seconds=wait_seconds)


def _show(answer: Answer, console: Console, *, as_json: bool) -> None:
    if as_json:
        line = {
            "event_id": str(answer.event_id) if answer.event_id else None,
            "text": answer.text,
            "citations": answer.citations,
            "seconds": round(answer.seconds, 3),
        }
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    console.print(Markdown(answer.text))
    for source in answer.citations:
        says = escape(f"[{source['number']}] {source['title']} · {source['source']}")
        console.print(f"[dim]{says}[/]", soft_wrap=True)
    console.print()


async def _read_messages(console: Console, *, is_person: bool) -> AsyncIterator[str]:
    """The lines of standard input that say something, until its end or ``/quit``."""
    lines = _read_lines(sys.stdin.fileno())
    while True:
        if is_person:
            console.print("[bold cyan]you ›[/] ", end="")
        try:
            line = await lines.get()
        except asyncio.CancelledError:  # Ctrl-C
            console.print()
            raise
        if line is None and is_person:  # Ctrl-D
            console.print()
        if line is None or line.strip().lower() in _QUIT:
            return
        if line.strip():
            yield line.strip()


def _read_lines(descriptor: int) -> asyncio.Queue[str | None]:
    """Lines as they come, then None.

    A thread of its own reads the bare descriptor: a pool's thread that waits for a key would keep
    the process from ending on Ctrl-C, and an event loop cannot watch a file.
    """
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(line: str | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        held = b""
        while data := os.read(descriptor, _READ_BYTES):
            *whole, held = (held + data).split(b"\n")
            for line in whole:
                put(line.decode(errors="replace"))
        if held:
            put(held.decode(errors="replace"))
        put(None)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return lines
