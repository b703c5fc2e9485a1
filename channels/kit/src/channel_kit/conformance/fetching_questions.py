"""Are files fetched from the platform, up to a limit, and from nowhere else?"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

import pytest

from channel_kit.abilities import Fetching
from channel_kit.conformance.asking import asked_of
from channel_kit.conformance.platform import (
    REDIRECT_PATH,
    Answer,
    Call,
    Fault,
    ScriptedPlatform,
)
from channel_kit.conformance.subject import FILE, LEAVES, Subject
from channel_kit.errors import ReplyRejected

# The platform's own refusals are those of its API: a store of files has others.
_WIRE: Final = (
    Fault.RATE_LIMITED,
    Fault.CONNECTION_REFUSED,
    Fault.CUT_AFTER_REQUEST,
    Fault.SERVER_ERROR,
    Fault.REDIRECT,
)


class FetchingQuestions(Subject):
    """Questions about ``fetch``."""

    @asked_of(Fetching)
    @pytest.mark.asyncio
    async def test_a_file_is_fetched_up_to_its_limit(self) -> None:
        """Whole when it fits to the byte, not at all when it is one byte too large."""
        async with self.platform() as (platform, channel):
            assert isinstance(channel, Fetching)
            file = self.file(platform.url)
            assert await channel.fetch(file, limit_bytes=len(FILE)) == FILE
            # The platform said nothing about its size, so it has to be counted.
            unknown = file.model_copy(update={"size_bytes": None})
            for attachment in (file, unknown):
                with pytest.raises(ReplyRejected):
                    await channel.fetch(attachment, limit_bytes=len(FILE) - 1)

    @asked_of(Fetching)
    @pytest.mark.asyncio
    async def test_a_file_elsewhere_is_not_fetched(self) -> None:
        """Who names the file would otherwise choose where we send our credentials."""
        async with self.platform() as (platform, channel), ScriptedPlatform() as elsewhere:
            assert isinstance(channel, Fetching)
            for attachment in self.foreign_files(platform.url, elsewhere.url):
                with pytest.raises(ReplyRejected):
                    await channel.fetch(attachment, limit_bytes=len(FILE))
            assert elsewhere.calls == []

    @asked_of(Fetching)
    @pytest.mark.asyncio
    async def test_a_file_that_moved_takes_no_secret_along(self) -> None:
        """Followed or not: the host that a redirect names learns nothing."""
        async with self.platform() as (platform, channel), ScriptedPlatform() as elsewhere:
            assert isinstance(channel, Fetching)
            honest, moved = (
                platform.respond,
                Answer(302, {"Location": elsewhere.url + REDIRECT_PATH}),
            )

            def respond(call: Call, earlier: Sequence[Call]) -> Answer:
                answer = honest(call, earlier)
                return moved if answer.body == FILE else answer

            platform.respond = respond
            with contextlib.suppress(*LEAVES):
                await channel.fetch(self.file(platform.url), limit_bytes=len(FILE))
            for call in elsewhere.calls:
                shown = f"{call.path} {dict(call.headers)} {call.body!r}"
                assert not {"authorization", "cookie"} & set(call.headers)
                assert not any(secret in shown for secret in self.secrets())

    @asked_of(Fetching)
    @pytest.mark.asyncio
    async def test_a_file_that_cannot_be_had_is_a_leaf(self) -> None:
        """The answer is written without it; any other error would end the turn."""
        for fault in _WIRE:
            async with self.platform(fault) as (platform, channel):
                assert isinstance(channel, Fetching)
                await self.leaf(channel.fetch(self.file(platform.url), limit_bytes=len(FILE)))
