"""Does a channel that fetches its events lose none of them?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest

from channel_kit.abilities import Deliver, Polling
from channel_kit.conformance.asking import asked_of
from channel_kit.conformance.showing_questions import BROKEN
from channel_kit.conformance.subject import Mailbox, Subject
from channel_kit.contract import InboundEvent

_PATIENCE_SECONDS: Final = 5.0
_AT_ONCE_SECONDS: Final = 0.1
_TEXTS: Final = ("The first.", "The second.")


class _CannotStore(Exception):
    """What a database that is away says to ``deliver``."""


class PollingQuestions(Subject):
    """Questions about ``poll``."""

    @asked_of(Polling)
    @pytest.mark.asyncio
    async def test_what_it_fetches_is_confirmed_once_it_is_stored(self) -> None:
        """Not a moment before: what is confirmed never comes again."""
        async with self.mailbox(_TEXTS) as mailbox:
            seen: list[str] = []
            heard: list[None] = []

            async def deliver(events: Sequence[InboundEvent]) -> None:
                early = _until(lambda: mailbox.confirmed() > len(seen), _AT_ONCE_SECONDS)
                assert not await early, "confirmed before it was stored"
                seen.extend(event.text for event in events)

            async with _polling(mailbox, deliver, heard) as task:
                done = _until(lambda: mailbox.confirmed() == len(_TEXTS) or task.done())
                assert await done, f"{mailbox.confirmed()} of {len(_TEXTS)} messages are confirmed"
                assert not task.done(), "it stopped by itself"
            assert seen == list(_TEXTS)
            assert heard, "nobody was told that the platform was heard"

    @asked_of(Polling)
    @pytest.mark.asyncio
    async def test_what_could_not_be_stored_comes_again(self) -> None:
        """``deliver`` fails once, the gateway begins anew: the same events, by the same ids."""
        async with self.mailbox(_TEXTS) as mailbox:
            first: list[InboundEvent] = []
            second: list[InboundEvent] = []

            async def fail(events: Sequence[InboundEvent]) -> None:
                first.extend(events)
                raise _CannotStore

            async def store(events: Sequence[InboundEvent]) -> None:
                second.extend(events)

            async with _polling(mailbox, fail, []) as task:
                assert await _until(lambda: bool(first)), "nothing was fetched"
                assert await _until(task.done), "it goes on although nothing could be stored"
                assert mailbox.confirmed() == 0, "confirmed although it was not stored"
            async with _polling(mailbox, store, []):
                assert await _until(lambda: mailbox.confirmed() == len(_TEXTS)), "not confirmed"
            known = dict.fromkeys(event.external_id for event in second)
            assert set(known) >= {event.external_id for event in first}
            assert [event.text for event in second][-len(_TEXTS) :] == list(_TEXTS)

    @asked_of(Polling)
    @pytest.mark.asyncio
    async def test_a_probe_that_fails_is_a_leaf(self) -> None:
        """It tells a silent platform from one that is away or refuses us."""
        async with self.platform() as (_, channel):
            assert isinstance(channel, Polling)
            await channel.probe()
        for fault in BROKEN:
            async with self.platform(fault) as (_, channel):
                assert isinstance(channel, Polling)
                await self.leaf(channel.probe())


@asynccontextmanager
async def _polling(
    mailbox: Mailbox, deliver: Deliver, heard: list[None]
) -> AsyncIterator[asyncio.Task[None]]:
    channel = mailbox.channel
    assert isinstance(channel, Polling)
    assert channel.polls, "the channel of the mailbox does not fetch"
    task = asyncio.ensure_future(channel.poll(deliver, lambda: heard.append(None)))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, _CannotStore):
            await task


async def _until(condition: object, seconds: float = _PATIENCE_SECONDS) -> bool:
    assert callable(condition)
    clock = asyncio.get_running_loop()
    end = clock.time() + seconds
    while not condition():
        if clock.time() > end:
            return False
        await asyncio.sleep(0.005)
    return True
