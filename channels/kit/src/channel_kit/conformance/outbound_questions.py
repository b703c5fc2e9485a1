"""Does a reply arrive: where it should, whole, in order, once?"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from channel_kit.conformance.platform import Fault
from channel_kit.conformance.subject import Subject
from channel_kit.conformance.tasks import watch_tasks
from channel_kit.contract import Receipt
from channel_kit.errors import ReplyRejected
from channel_kit.text import split

_PATIENCE_SECONDS = 5


class OutboundQuestions(Subject):
    """Questions about ``send`` on a platform that works."""

    @pytest.mark.asyncio
    async def test_a_reply_arrives_in_its_thread(self) -> None:
        """What came from a thread is answered there, in one call, with a receipt."""
        reply = self.reply("Good morning!")
        async with self.platform() as (platform, channel):
            receipt = await channel.send(reply)
        assert isinstance(receipt, Receipt)
        assert receipt.accepted_at.tzinfo is not None
        (call,) = platform.calls
        sent = self.read_call(call)
        assert (sent.thread, sent.text) == (reply.thread, reply.text)

    @pytest.mark.asyncio
    async def test_a_long_answer_arrives_whole_and_in_order(self) -> None:
        """Parts as long as the channel says that it takes: one call each, nothing cut off."""
        limits = self.channel.capabilities
        text = "Grüße, 世界 \N{WAVING HAND SIGN} and so on. " * (limits.max_text // 10)
        parts = split(text, limits.max_text, limits.text_unit)[:3]
        async with self.platform() as (platform, channel):
            for number, part in enumerate(parts, 1):
                await channel.send(self.reply(part, part=number, parts=len(parts)))
        assert [self.read_call(call).text for call in platform.calls] == parts

    @pytest.mark.asyncio
    async def test_a_blank_reply_is_not_sent(self) -> None:
        """Platforms refuse it, or show an empty bubble."""
        async with self.platform() as (platform, channel):
            with pytest.raises(ReplyRejected):
                await channel.send(self.reply(" \n\t"))
        assert platform.calls == []

    @pytest.mark.asyncio
    async def test_a_second_attempt_has_the_same_key(self) -> None:
        """Only for a channel that says that sending twice shows once."""
        if not self.channel.capabilities.idempotent_send:
            return
        first, other = self.reply(), self.reply()
        async with self.platform() as (platform, channel):
            for reply in (first, first.model_copy(update={"attempt": 2}), other):
                await channel.send(reply)
        keys = [self.read_call(call).key for call in platform.calls]
        assert None not in keys
        assert keys[0] == keys[1] != keys[2]

    @pytest.mark.asyncio
    async def test_nothing_runs_on_after_a_cancelled_send(self) -> None:
        """At shutdown the gateway cancels, and must not wait for a platform that hangs."""
        async with self.platform(Fault.NO_ANSWER) as (platform, channel):
            with watch_tasks() as begun:
                sending = asyncio.create_task(channel.send(self.reply()))
                await asyncio.wait_for(platform.called.wait(), _PATIENCE_SECONDS)
                sending.cancel()
                await asyncio.wait([sending], timeout=_PATIENCE_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(platform.abandoned.wait(), _PATIENCE_SECONDS)
            hung_up = platform.abandoned.is_set()
        left = {task for task in begun if not task.done()}
        for task in left:
            task.cancel()
        assert sending.cancelled(), "send went on although it was cancelled"
        assert hung_up, "the request went on although send was cancelled"
        assert not left, "send left a task behind"
