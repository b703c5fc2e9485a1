"""Shows an answer while the model writes it, where the channel can. Best effort by nature."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from channel_kit import (
    Channel,
    ChannelError,
    Draft,
    Filling,
    Paced,
    RateLimited,
    Reply,
    Streaming,
    Typing,
)
from coachline.foundation.clock import Clock
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.errors import LeaseLost
from coachline.foundation.faults import hit
from coachline.messaging.connections import Connections
from coachline.messaging.ledger import TurnLedger
from coachline.messaging.leftovers import discard
from coachline.messaging.pace import Pace
from coachline.messaging.turns import Turn

# Calls are let end. Cut off, the first one makes a message that nobody knows of, and a later one
# may be carried out after the answer is written into the same message, and take its place.
_LAST_DRAFT_SECONDS = 5.0
_TYPING_SHARE = 0.8
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 24 * 3600.0

log = structlog.get_logger()


class _Draft:
    """One answer in the making. The newest text wins; older ones are skipped, never queued."""

    def __init__(
        self, channel: Channel, turn: Turn, ledger: TurnLedger, pace: Pace, clock: Clock
    ) -> None:
        can_stream = isinstance(channel, Streaming) and channel.streams
        self.handle = turn.handle
        self._channel = channel
        self._streaming = channel if can_stream and isinstance(channel, Streaming) else None
        self._turn = turn
        self._ledger = ledger
        self._pace = pace
        self._clock = clock
        # None: the ledger may know the message. It was told, and its answer has not come.
        self._is_kept: bool | None = turn.handle is not None
        self._shown = ""
        self._next_at = 0.0
        # A lease is renewed when a third of it is over, so this stops nobody who can renew it.
        left_seconds = turn.lease.deadline - clock.monotonic()
        self._margin_seconds = min(_LAST_DRAFT_SECONDS, max(0.0, left_seconds / 6))
        self._sending: asyncio.Task[None] | None = None
        self._typing: asyncio.Task[None] | None = None

    def show_typing(self) -> None:
        """Show that somebody thinks, until there is something to read."""
        channel = self._channel
        if isinstance(channel, Typing) and channel.capabilities.typing:
            self._typing = asyncio.create_task(self._type(channel))

    async def _type(self, channel: Typing) -> None:
        try:
            while True:
                await channel.show_typing(self._turn.thread)
                await asyncio.sleep(channel.typing_seconds * _TYPING_SHARE)
        except ChannelError as error:
            log.info("typing.stopped", turn_id=str(self._turn.id), error=type(error).__name__)
        except Exception:
            # A broken channel; the answer itself is what counts.
            log.exception("typing.stopped", turn_id=str(self._turn.id))

    async def show(self, text: str) -> None:
        """Show the whole answer so far, if the channel's pace allows. Raises nothing."""
        streaming = self._streaming
        if streaming is None or (self._sending is not None and not self._sending.done()):
            return
        now = self._clock.monotonic()
        if not text or text == self._shown or now < self._next_at:
            return
        self._next_at = now + streaming.stream_seconds(self._turn.thread)
        self._sending = asyncio.create_task(self._send(streaming, text))

    async def _send(self, streaming: Streaming, text: str) -> None:
        turn = self._turn
        draft = Draft(
            id=str(turn.id),
            thread=turn.thread,
            text=text,
            shown=self._shown,
            handle=self.handle,
            in_reply_to=tuple(event.external_id for event in turn.events),
        )
        try:
            # Whoever has the conversation then may have written the answer where this draft is
            # shown, and a draft that is under way for long, or in a process that was frozen in
            # between, would take its place.
            left = turn.lease.deadline - self._clock.monotonic() - self._margin_seconds
            if left <= 0:
                raise LeaseLost("Too little of the lease is left to show a draft.")
            # The first one takes nothing's place, and is waited for: who knows it can take it away.
            makes_message = isinstance(self._channel, Filling) and self.handle is None
            async with asyncio.timeout(None if makes_message else left):
                handle = await streaming.stream(draft)
            hit("draft:shown")
            self._shown = text
            if self._typing is not None:
                self._typing.cancel()
            if handle is not None and not self._is_kept:
                # Before anything else is shown there: a crash must not leave it to nobody.
                await self._keep(handle)
        except RateLimited as error:
            # What a platform says may be anything, even no number.
            pause = error.retry_after if error.retry_after > 0 else _PAUSE_SECONDS
            pause = min(pause, _LONGEST_PAUSE_SECONDS)
            self._next_at = self._clock.monotonic() + pause
            await self._hold(text, pause)
        except (ChannelError, LeaseLost, DatabaseUnavailable, TimeoutError) as error:
            log.info("draft.stopped", turn_id=str(turn.id), error=type(error).__name__)
            self._streaming = None
        except Exception:
            # A broken channel; the answer itself is what counts.
            log.exception("draft.stopped", turn_id=str(turn.id))
            self._streaming = None

    async def _keep(self, handle: str) -> None:
        """Have the ledger remember the message; only a refusal says that it does not."""
        self.handle, self._is_kept = handle, None
        try:
            await self._ledger.keep_handle(self._turn, handle)
        except LeaseLost:
            self._is_kept = False
            raise
        self._is_kept = True
        hit("draft:kept")

    async def _hold(self, text: str, seconds: float) -> None:
        """Let the answer itself wait as well: the same bucket serves it."""
        channel, turn = self._channel, self._turn
        if isinstance(channel, Paced):
            tolls = channel.tolls(Reply(id=str(turn.id), thread=turn.thread, text=text))
            lease = turn.lease
            await self._pace.hold(lease.tenant_id, turn.connection_id, tolls, seconds=seconds)

    async def close(self) -> None:
        """Let the draft under way end, so that it never comes after the answer."""
        if self._typing is not None:
            self._typing.cancel()
        if self._sending is not None:
            done, _ = await asyncio.wait({self._sending}, timeout=_LAST_DRAFT_SECONDS)
            # What the ledger says of the message is waited for: it has a limit of its own.
            if not done and self._is_kept is not None:
                self._sending.cancel()
        tasks = [task for task in (self._typing, self._sending) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.handle is not None and self._is_kept is False:
            # No answer knows of this message, here or where somebody else has the conversation by
            # now. One that the ledger may know is left: its answer may stand in it already.
            await discard(self._channel, self.handle, self._turn.thread)


class Drafts:
    """Opens drafts on channels that stream, and shows typing on those that can."""

    def __init__(
        self, connections: Connections, ledger: TurnLedger, pace: Pace, clock: Clock
    ) -> None:
        self._connections = connections
        self._ledger = ledger
        self._pace = pace
        self._clock = clock

    @asynccontextmanager
    async def open(self, turn: Turn) -> AsyncIterator[_Draft]:
        """A draft of the turn's answer, closed at the end.

        The message that a try before this one left is written on. Where a draft is a message, the
        ledger knows it from the first one on, and the reply is written into it.
        """
        live = await self._connections.live(turn.lease.tenant_id, turn.connection_id)
        draft = _Draft(live.channel, turn, self._ledger, self._pace, self._clock)
        draft.show_typing()
        try:
            yield draft
        finally:
            await draft.close()
