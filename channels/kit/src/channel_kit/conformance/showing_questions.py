"""What is shown before the answer, and told at once: drafts, typing, acknowledgements."""

from __future__ import annotations

import contextlib
from typing import Final

import pytest

from channel_kit.abilities import Acknowledgement, Acknowledging, Draft, Filling, Streaming, Typing
from channel_kit.conformance.asking import asked_of
from channel_kit.conformance.platform import Fault
from channel_kit.conformance.subject import LEAVES, Subject

BROKEN: Final = (
    Fault.RATE_LIMITED,
    Fault.CONNECTION_REFUSED,
    Fault.CUT_AFTER_REQUEST,
    Fault.SERVER_ERROR,
    Fault.REPLY_REJECTED,
    Fault.RECIPIENT_GONE,
    Fault.CREDENTIALS_REJECTED,
    Fault.REDIRECT,
)
"""What a call may meet that is no answer to it."""

MOST_ACKNOWLEDGED_BYTES: Final = 4096


class ShowingQuestions(Subject):
    """Questions about what comes beside an answer. All of it is best effort."""

    @asked_of(Streaming)
    @pytest.mark.asyncio
    async def test_a_draft_becomes_the_answer(self) -> None:
        """It grows; its message, where it has one, then shows the answer and nothing else."""
        for thread in self.threads():
            reply = self.reply("The whole answer, at last.", thread=thread)
            async with self.platform() as (platform, channel):
                assert isinstance(channel, Streaming)
                assert channel.stream_seconds(thread) > 0
                handle, shown = None, ""
                for text in ("The whole", "The whole answer", "The hole answer"):
                    draft = Draft(reply.id, thread, text, shown=shown, handle=handle)
                    handle, shown = await channel.stream(draft), text
                if handle is None or not isinstance(channel, Filling):
                    continue
                await channel.fill(handle, reply)
                assert self.shown(platform.calls) == [reply.text], thread

    @asked_of(Streaming)
    @pytest.mark.asyncio
    async def test_a_draft_that_is_not_shown_is_a_leaf(self) -> None:
        """The gateway stops streaming and goes on; any other error would end the turn."""
        for fault in BROKEN:
            async with self.platform(fault) as (_, channel):
                assert isinstance(channel, Streaming)
                await self.leaf(channel.stream(Draft("draft-1", self.hello().thread, "Half an")))

    @asked_of(Typing)
    @pytest.mark.asyncio
    async def test_typing_is_shown_or_ends_in_a_leaf(self) -> None:
        """Nothing of it may ever stop an answer."""
        for thread in self.threads():
            for fault in (Fault.NONE, *BROKEN):
                async with self.platform(fault) as (_, channel):
                    assert isinstance(channel, Typing)
                    assert channel.typing_seconds > 0
                    expected = () if fault is Fault.NONE else LEAVES
                    with contextlib.suppress(*expected):
                        await channel.show_typing(thread)

    @asked_of(Acknowledging)
    def test_every_delivery_is_acknowledged(self) -> None:
        """In a few bytes, always the same, without an error: the events are stored already."""
        for name, (_, request) in self.recorded().items():
            channel = self.connect()
            assert isinstance(channel, Acknowledging)
            said = channel.acknowledge(request)
            assert isinstance(said, Acknowledgement), name
            assert 200 <= said.status < 300, name
            assert len(said.body) <= MOST_ACKNOWLEDGED_BYTES, name
            assert said == channel.acknowledge(request), f"{name}: not pure"
