"""Answers that go on for as long as somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

_LOOK_SECONDS: Final = 2.0

EVENT_STREAM: Final = "text/event-stream"
"""The media type of server-sent events."""

KEEP_ALIVE: Final = ": keep-alive\n\n"
"""A comment of the format: it tells only that the connection is there."""


async def while_allowed(
    stream: AsyncIterator[T], is_allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[T]:
    """What ``stream`` yields, until whoever listens may not any more; asked every two seconds.

    The stream itself goes on undisturbed by the questions, and is closed at the end.
    """
    loop = asyncio.get_running_loop()
    ask_at = loop.time() + _LOOK_SECONDS
    coming = asyncio.ensure_future(anext(stream))
    try:
        while True:
            await asyncio.wait({coming}, timeout=max(0.0, ask_at - loop.time()))
            if loop.time() >= ask_at:
                if not await is_allowed():
                    return
                ask_at = loop.time() + _LOOK_SECONDS
            if not coming.done():
                continue
            try:
                found = coming.result()
            except StopAsyncIteration:
                return
            coming = asyncio.ensure_future(anext(stream))
            yield found
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        if (close := getattr(stream, "aclose", None)) is not None:
            await close()


def render_event(event_id: object, kind: str, data: str) -> str:
    """One server-sent event; ``data`` has no line breaks, as compact JSON has none."""
    return f"id: {event_id}\nevent: {kind}\ndata: {data}\n\n"
