"""Is an account connected once and for what it is, and found by every delivery?"""

from __future__ import annotations

import contextlib
from typing import Final

import pytest

from channel_kit.abilities import Connected, Connecting, Routed
from channel_kit.conformance.asking import asked_of
from channel_kit.conformance.inbound_questions import GARBAGE
from channel_kit.conformance.platform import Fault
from channel_kit.conformance.showing_questions import BROKEN
from channel_kit.conformance.subject import LEAVES, NOWHERE, Subject
from channel_kit.errors import ChannelUnavailable, CredentialsRejected

INBOUND_URL: Final = "https://coach.example/webhooks/0198c0de"


class ConnectingQuestions(Subject):
    """Questions about ``connect`` and ``account_in``."""

    @asked_of(Connecting)
    @pytest.mark.asyncio
    async def test_an_account_has_one_name(self) -> None:
        """The same at every connecting, by which it is connected once in an installation."""
        found = [await self._connected() for _ in range(2)]
        assert found[0].account
        assert found[0].title.strip()
        assert found[0].account == found[1].account
        merged = {**self.config(NOWHERE), **found[0].config}
        self.channel.Config.model_validate(merged)

    @asked_of(Connecting)
    @pytest.mark.asyncio
    async def test_what_connecting_shows_is_no_secret(self) -> None:
        """All of it is shown to people, except what goes into the settings."""
        found = await self._connected()
        shown = f"{found.account} {found.title} {found.steps} {found.write_to}"
        for secret in self.secrets():
            assert secret not in shown, "a secret is shown"

    @asked_of(Connecting)
    @pytest.mark.asyncio
    async def test_wrong_credentials_are_not_connected(self) -> None:
        """Told from a platform that is away: only a person can put the first right."""
        for fault in (*BROKEN, Fault.UNREADABLE_ANSWER):
            async with self.platform(fault) as (_, channel):
                assert isinstance(channel, Connecting)
                error = await self.leaf(channel.connect(INBOUND_URL))
            if fault is Fault.CREDENTIALS_REJECTED:
                assert isinstance(error, CredentialsRejected)
            if fault is Fault.CONNECTION_REFUSED:
                assert isinstance(error, ChannelUnavailable)

    @asked_of(Connecting)
    @pytest.mark.asyncio
    async def test_disconnecting_may_be_repeated(self) -> None:
        """And ends, where the platform is broken, in a leaf or in nothing."""
        async with self.platform() as (_, channel):
            assert isinstance(channel, Connecting)
            await channel.disconnect()
            await channel.disconnect()
        for fault in BROKEN:
            async with self.platform(fault) as (_, channel):
                assert isinstance(channel, Connecting)
                with contextlib.suppress(*LEAVES):
                    await channel.disconnect()

    @asked_of(Routed)
    @pytest.mark.asyncio
    async def test_a_delivery_names_the_account_that_was_connected(self) -> None:
        """By the name that ``connect`` gave, without an error and without asking anybody."""
        channel = self.connect()
        assert isinstance(channel, Routed)
        for name, (_, request) in self.recorded().items():
            account = channel.account_in(request)
            assert account is None or account, name
            assert account == channel.account_in(request), f"{name}: not pure"
        for body in GARBAGE:
            channel.account_in(self.genuine(body))
        if isinstance(channel, Connecting):
            connected = await self._connected()
            assert channel.account_in(self.genuine()) == connected.account

    async def _connected(self) -> Connected:
        async with self.platform() as (_, channel):
            assert isinstance(channel, Connecting)
            connected = await channel.connect(INBOUND_URL)
        assert isinstance(connected, Connected)
        return connected
