"""Is each failure called by the name that makes the gateway do the right thing next?"""

from __future__ import annotations

import contextlib
import io
import logging

import pytest

from channel_kit.conformance.platform import REDIRECT_PATH, RETRY_AFTER_SECONDS, Fault
from channel_kit.conformance.subject import Subject
from channel_kit.errors import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    ReplyRejected,
)

_FAULTS_WITH_AN_ERROR = tuple(
    fault
    for fault in Fault
    if fault not in (Fault.NONE, Fault.NO_ANSWER, Fault.UNREADABLE_ANSWER, Fault.MESSAGE_GONE)
)


class FailureQuestions(Subject):
    """Questions about ``send`` on a platform that does not work."""

    @pytest.mark.asyncio
    async def test_a_rate_limit_says_how_long_to_wait(self) -> None:
        """Surely not sent; tried again when the platform asks for it."""
        error = await self._failure(Fault.RATE_LIMITED)
        assert isinstance(error, RateLimited)
        assert error.retry_after == pytest.approx(RETRY_AFTER_SECONDS)

    @pytest.mark.asyncio
    async def test_a_refused_connection_is_unavailable(self) -> None:
        """Surely not sent; tried again later."""
        assert type(await self._failure(Fault.CONNECTION_REFUSED)) is ChannelUnavailable

    @pytest.mark.asyncio
    async def test_a_cut_connection_is_an_unknown_outcome(self) -> None:
        """The platform had read the request: sending again may show the answer twice."""
        assert type(await self._failure(Fault.CUT_AFTER_REQUEST)) is OutcomeUnknown

    @pytest.mark.asyncio
    async def test_a_server_error_is_an_unknown_outcome(self) -> None:
        """A 5xx may come from a proxy in front of a platform that did take the reply."""
        assert type(await self._failure(Fault.SERVER_ERROR)) is OutcomeUnknown

    @pytest.mark.asyncio
    async def test_a_refused_reply_is_rejected(self) -> None:
        """It would be refused every time: not tried again."""
        assert type(await self._failure(Fault.REPLY_REJECTED)) is ReplyRejected

    @pytest.mark.asyncio
    async def test_a_recipient_who_is_gone_is_unreachable(self) -> None:
        """Blocked or left: the gateway stops writing to this person."""
        assert type(await self._failure(Fault.RECIPIENT_GONE)) is RecipientUnreachable

    @pytest.mark.asyncio
    async def test_refused_credentials_are_named(self) -> None:
        """The gateway disables the connection and tells the tenant."""
        assert type(await self._failure(Fault.CREDENTIALS_REJECTED)) is CredentialsRejected

    @pytest.mark.asyncio
    async def test_a_redirect_is_not_followed(self) -> None:
        """It would carry the tenant's secrets to wherever it leads."""
        async with self.platform(Fault.REDIRECT) as (platform, channel):
            with pytest.raises(ChannelError):
                await channel.send(self.reply())
        assert REDIRECT_PATH not in [call.path for call in platform.calls]

    @pytest.mark.asyncio
    async def test_an_unreadable_answer_is_no_surprise(self) -> None:
        """A success that cannot be read is a receipt or an error of the contract."""
        async with self.platform(Fault.UNREADABLE_ANSWER) as (_, channel):
            with contextlib.suppress(ChannelError):
                await channel.send(self.reply())

    @pytest.mark.asyncio
    async def test_no_failure_shows_a_secret(self) -> None:
        """Not in the error or what it came from, not in the log, not on the terminal."""
        log, terminal = io.StringIO(), io.StringIO()
        handler = logging.StreamHandler(log)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
                errors = [await self._failure(fault) for fault in _FAULTS_WITH_AN_ERROR]
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
        shown = "".join(map(_everything, errors)) + log.getvalue() + terminal.getvalue()
        for secret in self.secrets():
            assert secret not in shown, "a secret is shown"

    async def _failure(self, fault: Fault) -> ChannelError:
        async with self.platform(fault) as (_, channel):
            with pytest.raises(ChannelError) as caught:
                await channel.send(self.reply())
        return caught.value


def _everything(error: BaseException | None) -> str:
    """Return what a traceback of ``error`` would show of it and of its causes."""
    shown = ""
    while error is not None:
        shown += f"{error} {error!r} "
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return shown
