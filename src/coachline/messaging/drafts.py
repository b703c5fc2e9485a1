"""Shows an answer while the model writes it, where the channel can. Best effort by nature."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from channel_kit import ChannelError, Streaming
from coachline.foundation.clock import Clock
from coachline.messaging.connections import Connections
from coachline.messaging.turns import Turn

_LAST_DRAFT_SECONDS = 1.0

log = structlog.get_logger()


class _Draft:
    """One answer in the making. The newest text wins; older ones are skipped, never queued."""

    def __init__(self, channel: Streaming | None, turn: Turn, clock: Clock) -> None:
        self._channel = channel
        self._turn = turn
        self._clock = clock
        self._sending: asyncio.Task[None] | None = None
        self._next_at = 0.0

    async def show(self, text: str) -> None:
        """Show the whole answer so far, if the channel's pace allows. Raises nothing."""
        if self._channel is None or (self._sending is not None and not self._sending.done()):
            return
        now = self._clock.monotonic()
        if not text or now < self._next_at:
            return
        self._next_at = now + self._channel.stream_interval_seconds
        self._sending = asyncio.create_task(self._send(self._channel, text))

    async def _send(self, channel: Streaming, text: str) -> None:
        try:
            await channel.stream(draft_id=str(self._turn.id), thread=self._turn.thread, text=text)
        except ChannelError as error:
            log.info("draft.stopped", turn_id=str(self._turn.id), error=type(error).__name__)
            self._channel = None
        except Exception:
            # A broken channel; the answer itself is what counts.
            log.exception("draft.stopped", turn_id=str(self._turn.id))
            self._channel = None

    async def close(self) -> None:
        """Let the draft under way end, so that it never comes after the answer."""
        if self._sending is None:
            return
        done, _ = await asyncio.wait({self._sending}, timeout=_LAST_DRAFT_SECONDS)
        if not done:
            self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)


class Drafts:
    """Opens drafts on channels that stream."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    @asynccontextmanager
    async def open(self, turn: Turn) -> AsyncIterator[_Draft]:
        """A draft of the turn's answer, closed at the end."""
        live = await self._connections.live(turn.lease.tenant_id, turn.connection_id)
        channel = live.channel
        streaming = channel if isinstance(channel, Streaming) and channel.streams else None
        draft = _Draft(streaming, turn, self._clock)
        try:
            yield draft
        finally:
            await draft.close()
