"""Text files that came with a message, fetched through the channel they came on."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from channel_kit import Attachment, ChannelError
from channel_kit.abilities import Fetching
from channel_kit.text import clean
from coachline.messaging.connections import Connections
from coachline.messaging.turns import Turn

LARGEST_TEXT_BYTES: Final = 256 * 1024
_FETCH_SECONDS: Final = 15.0

log = structlog.get_logger()


class Files:
    """Fetches what a learner sent along. A file that cannot be had never stops a turn."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def fetch_text(self, turn: Turn, attachment: Attachment) -> str | None:
        """Return the words of a text file, or None when it is none, too large or not to be had.

        At most :data:`LARGEST_TEXT_BYTES` are taken; the text is UTF-8, made harmless by
        :func:`channel_kit.text.clean`.
        """
        live = await self._connections.live(turn.lease.tenant_id, turn.connection_id)
        if not is_text(attachment) or not isinstance(live.channel, Fetching):
            return None
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                data = await live.channel.fetch(attachment, limit_bytes=LARGEST_TEXT_BYTES)
        except (ChannelError, TimeoutError) as error:
            log.info("file.not_fetched", turn_id=str(turn.id), error=type(error).__name__)
            return None
        except Exception:
            # A broken channel; the message itself is what counts.
            log.exception("file.not_fetched", turn_id=str(turn.id))
            return None
        return _decode(data)


def is_text(attachment: Attachment) -> bool:
    """Whether a file says that it is a text of a size that is read."""
    kind = (attachment.mime_type or "").partition(";")[0].strip().lower()
    return kind.startswith("text/") and (attachment.size_bytes or 0) <= LARGEST_TEXT_BYTES


def _decode(data: bytes) -> str | None:
    if len(data) > LARGEST_TEXT_BYTES:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else clean(text).strip() or None
