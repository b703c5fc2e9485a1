"""Is an answer that goes into a message shown once, whatever happens on the way?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from channel_kit.abilities import Draft, Filling, Placeholder, Streaming
from channel_kit.conformance.asking import asked_of
from channel_kit.conformance.platform import Fault
from channel_kit.conformance.subject import Subject
from channel_kit.contract import Channel, Receipt, Reply
from channel_kit.errors import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    ReplyRejected,
)

NAMES: Final[Mapping[Fault, type[ChannelError]]] = {
    Fault.RATE_LIMITED: RateLimited,
    Fault.CONNECTION_REFUSED: ChannelUnavailable,
    Fault.CUT_AFTER_REQUEST: OutcomeUnknown,
    Fault.SERVER_ERROR: OutcomeUnknown,
    Fault.REPLY_REJECTED: ReplyRejected,
    Fault.RECIPIENT_GONE: RecipientUnreachable,
    Fault.CREDENTIALS_REJECTED: CredentialsRejected,
}
"""What the gateway needs each failure to be called, as for ``send``."""


class FillingQuestions(Subject):
    """Questions about messages that an answer is put into."""

    @asked_of(Placeholder)
    @pytest.mark.asyncio
    async def test_a_reserved_place_shows_no_answer_yet(self) -> None:
        """One message, without a word of the answer: it may be left behind by a crash."""
        for thread in self.threads():
            reply = self.reply("The whole answer.", thread=thread)
            async with self.platform() as (platform, channel):
                assert isinstance(channel, Placeholder)
                assert await channel.reserve(reply)
                (shown,) = self.shown(platform.calls)
            assert shown.strip(), thread
            assert not set(shown.split()) & set(reply.text.split()), thread

    @asked_of(Placeholder)
    @pytest.mark.asyncio
    async def test_a_failed_reservation_is_named(self) -> None:
        """By the name that makes the gateway do the right thing next."""
        for fault, name in NAMES.items():
            async with self.platform(fault) as (_, channel):
                assert isinstance(channel, Placeholder)
                assert isinstance(await self.leaf(channel.reserve(self.reply())), name), fault

    @asked_of(Filling)
    @pytest.mark.asyncio
    async def test_filling_twice_shows_the_answer_once(self) -> None:
        """After an unknown outcome the gateway simply does it again."""
        for thread in self.threads():
            reply = self.reply("The whole answer.", thread=thread)
            async with self.platform() as (platform, channel):
                handle = await self._handle(channel, reply)
                if handle is None:
                    continue
                assert isinstance(channel, Filling)
                receipts = [await channel.fill(handle, reply) for _ in range(2)]
                assert self.shown(platform.calls) == [reply.text], thread
            first, second = receipts
            assert isinstance(first, Receipt)
            assert first.external_id == second.external_id

    @asked_of(Filling)
    @pytest.mark.asyncio
    async def test_a_failed_filling_is_named(self) -> None:
        """By the name that makes the gateway do the right thing next."""
        handle = await self._some_handle()
        for fault, name in NAMES.items():
            async with self.platform(fault) as (_, channel):
                assert isinstance(channel, Filling)
                error = await self.leaf(channel.fill(handle, self.reply()))
                assert isinstance(error, name), fault

    @asked_of(Filling)
    @pytest.mark.asyncio
    async def test_what_is_discarded_is_gone(self) -> None:
        """No answer comes: nothing is left that looks as if one did."""
        for thread in self.threads():
            reply = self.reply(thread=thread)
            async with self.platform() as (platform, channel):
                handle = await self._handle(channel, reply)
                if handle is None:
                    continue
                assert isinstance(channel, Filling)
                await channel.discard(handle, thread)
                assert self.shown(platform.calls) == [], thread

    @asked_of(Filling)
    @pytest.mark.asyncio
    async def test_discarding_what_is_gone_already_is_no_error(self) -> None:
        """It is what was wanted. Any other failure is a leaf."""
        handle, thread = await self._some_handle(), self.hello().thread
        async with self.platform(Fault.MESSAGE_GONE) as (_, channel):
            assert isinstance(channel, Filling)
            await channel.discard(handle, thread)
        async with self.platform(Fault.SERVER_ERROR) as (_, channel):
            assert isinstance(channel, Filling)
            await self.leaf(channel.discard(handle, thread))

    async def _some_handle(self) -> str:
        async with self.platform() as (_, channel):
            handle = await self._handle(channel, self.reply())
        assert handle is not None, "an ordinary message has no handle"
        return handle

    async def _handle(self, channel: Channel, reply: Reply) -> str | None:
        """Return a message that is there already; None where a draft is no message."""
        if isinstance(channel, Placeholder):
            return await channel.reserve(reply)
        assert isinstance(channel, Streaming), "nothing makes the message that could be filled"
        return await channel.stream(Draft(reply.id, reply.thread, "The whole"))
