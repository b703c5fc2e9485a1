"""Can the channel tell whether the platform took a reply that it did not confirm?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from channel_kit.abilities import Reconciling
from channel_kit.conformance.asking import asked_of
from channel_kit.conformance.platform import Fault
from channel_kit.conformance.showing_questions import BROKEN
from channel_kit.conformance.subject import Subject
from channel_kit.contract import Receipt


class ReconcilingQuestions(Subject):
    """Questions about ``find``."""

    @asked_of(Reconciling)
    @pytest.mark.asyncio
    async def test_what_was_taken_without_an_answer_is_found(self) -> None:
        """The platform had it when the connection broke: sent again, it would be shown twice."""
        since = datetime.now(UTC)
        # Where sending twice shows once, as on a profile page, there is nothing to be found.
        for thread in await self._threads_with_messages():
            reply = self.reply("Did this one arrive?", thread=thread)
            async with self.platform(Fault.CUT_AFTER_REQUEST) as (platform, channel):
                assert isinstance(channel, Reconciling)
                assert channel.reconcile_seconds >= 0
                await self.leaf(channel.send(reply))
                platform.fault = Fault.NONE
                receipt = await channel.find(reply, since=since)
            assert isinstance(receipt, Receipt), f"not found in {thread}"
            assert receipt.external_id

    @asked_of(Reconciling)
    @pytest.mark.asyncio
    async def test_what_was_never_sent_is_not_found(self) -> None:
        """Beside another reply that was: None means "surely not", and it is sent again."""
        since = datetime.now(UTC)
        for thread in self.threads():
            async with self.platform() as (_, channel):
                assert isinstance(channel, Reconciling)
                await channel.send(self.reply("This one did arrive.", thread=thread))
                never = self.reply("This one was never sent.", thread=thread)
                assert await channel.find(never, since=since) is None, thread

    @asked_of(Reconciling)
    @pytest.mark.asyncio
    async def test_a_look_that_fails_is_a_leaf(self) -> None:
        """Never "None": what cannot be told now is asked again later."""
        for fault in (*BROKEN, Fault.UNREADABLE_ANSWER):
            async with self.platform(fault) as (_, channel):
                assert isinstance(channel, Reconciling)
                await self.leaf(channel.find(self.reply(), since=datetime.now(UTC)))

    async def _threads_with_messages(self) -> list[str]:
        found: list[str] = []
        for thread in self.threads():
            async with self.platform() as (platform, channel):
                await channel.send(self.reply(thread=thread))
                found += [thread] if self.shown(platform.calls) else []
        assert found, "no reply becomes a message"
        return found
