"""Files that came along: from Slack and nowhere else, and not endless."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from channel_kit import (
    Attachment,
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    Fetching,
    OutcomeUnknown,
    RateLimited,
    ReplyRejected,
)
from channel_slack import SlackChannel
from channel_slack import files as files_module

TOKEN = "xoxb-not-a-real-token"


def at(slack: Any, **more: Any) -> Attachment:
    return Attachment(kind="document", reference=f"{slack.url}plan.pdf", **more)


def file(slack: Any, **response: Any) -> None:
    slack.on("plan.pdf", lambda: {"content_type": "application/pdf", **response})


async def test_a_file_is_fetched_with_the_bot_token(channel: SlackChannel, slack: Any) -> None:
    assert isinstance(channel, Fetching)
    file(slack, body=b"%PDF")
    assert await channel.fetch(at(slack), limit_bytes=4) == b"%PDF"
    assert slack.headers[0]["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "reference",
    [
        None,
        "",
        "http://127.0.0.1:9/plan.pdf",
        "https://files.slack.com.evil.example/plan.pdf",
        "https://files.slack.com@evil.example/plan.pdf",
        "http://files.slack.com/plan.pdf",
        "file:///etc/passwd",
        "https://[::1",
    ],
)
async def test_the_token_goes_nowhere_else(
    connect: Callable[..., SlackChannel], reference: str | None
) -> None:
    """Nothing listens there, and nothing is even tried: another error would come of that."""
    with pytest.raises(ReplyRejected, match="not at Slack"):
        await connect().fetch(Attachment(kind="other", reference=reference), limit_bytes=10)


async def test_a_login_page_is_no_file(channel: SlackChannel, slack: Any) -> None:
    file(slack, content_type="text/html", body=b"<html>Sign in")
    with pytest.raises(CredentialsRejected, match="files:read"):
        await channel.fetch(at(slack), limit_bytes=1000)
    assert await channel.fetch(at(slack, mime_type="text/html"), limit_bytes=1000)


async def test_a_redirect_to_the_login_page_is_not_followed(
    channel: SlackChannel, slack: Any
) -> None:
    file(slack, status=302, headers={"Location": f"{slack.url}login"})
    with pytest.raises(CredentialsRejected, match="files:read"):
        await channel.fetch(at(slack), limit_bytes=1000)
    assert [name for name, _ in slack.calls] == ["plan.pdf"]


async def test_a_file_that_says_how_large_it_is_is_not_even_asked_for(
    channel: SlackChannel, slack: Any
) -> None:
    with pytest.raises(ReplyRejected, match="larger than 10 bytes"):
        await channel.fetch(at(slack, size_bytes=11), limit_bytes=10)
    assert slack.calls == []


@pytest.mark.parametrize("encoding", ["identity", "chunked"])
async def test_a_file_that_lies_about_its_size_is_given_up(
    channel: SlackChannel, slack: Any, encoding: str
) -> None:
    async def pour() -> Any:
        for _ in range(50):
            yield b"x" * 65_536

    file(slack, body=pour() if encoding == "chunked" else b"x" * 3_000_000)
    with pytest.raises(ReplyRejected, match="larger than"):
        await channel.fetch(at(slack, size_bytes=5), limit_bytes=1_000_000)


@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        (404, ReplyRejected),
        (410, ReplyRejected),
        (403, ReplyRejected),
        (401, CredentialsRejected),
        (429, RateLimited),
        (500, OutcomeUnknown),
    ],
)
async def test_every_status_has_its_leaf(
    channel: SlackChannel, slack: Any, status: int, leaf: type[ChannelError]
) -> None:
    file(slack, status=status)
    with pytest.raises(ChannelError) as caught:
        await channel.fetch(at(slack), limit_bytes=10)
    assert type(caught.value) is leaf


async def test_a_host_that_is_away_is_unavailable(connect: Callable[..., SlackChannel]) -> None:
    channel = connect(api_url="http://127.0.0.1:9/api/")
    with pytest.raises(ChannelUnavailable):
        await channel.fetch(
            Attachment(kind="other", reference="http://127.0.0.1:9/x"), limit_bytes=10
        )


async def test_a_file_that_never_comes_is_given_up(
    channel: SlackChannel, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "FETCH_LIMITS", aiohttp.ClientTimeout(total=0.1))

    async def never() -> Any:
        await asyncio.Event().wait()
        yield b""

    file(slack, body=never())
    with pytest.raises(OutcomeUnknown):
        await channel.fetch(at(slack), limit_bytes=10)


async def test_an_app_that_is_not_installed_fetches_nothing(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    waiting = connect(bot_token=None, client_id="1.2", client_secret="s")
    with pytest.raises(CredentialsRejected):
        await waiting.fetch(at(slack), limit_bytes=10)
    assert slack.calls == []
