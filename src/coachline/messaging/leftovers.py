"""Takes messages away that no answer will be written into."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import structlog

from channel_kit import Channel, ChannelError, Filling

_DISCARD_SECONDS = 5.0

log = structlog.get_logger()


class LeftOver(NamedTuple):
    """A message that nothing will be written into, and where it is."""

    handle: str
    thread: str


async def discard(channel: Channel, handle: str, thread: str) -> bool:
    """Take the message ``handle`` away, if the platform lets us. Raises nothing.

    Returns:
        Whether it is surely gone.
    """
    if not isinstance(channel, Filling):
        return False
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            await channel.discard(handle, thread)
    except (ChannelError, TimeoutError) as error:
        log.info("leftover.stays", channel=channel.name, error=type(error).__name__)
        return False
    except Exception:
        # A broken channel; what is left over harms nobody.
        log.exception("leftover.stays", channel=channel.name)
        return False
    return True
