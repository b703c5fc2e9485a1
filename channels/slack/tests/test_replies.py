"""What goes out: once, without a ping or a preview, and found again by its mark."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from channel_kit import (
    Attachment,
    ChannelError,
    ChannelUnavailable,
    Choice,
    Citation,
    CredentialsRejected,
    OutcomeUnknown,
    Paced,
    RateLimited,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
    Toll,
)
from channel_slack import SlackChannel
from channel_slack import client as client_module
from channel_slack import transport as transport_module

REPLY = Reply(
    id="0198c0de-0000-7000-8000-000000000001",
    thread="T0COACH01/C0GENERAL/1795003200.000300/U0ADA0001",
    text="Begin **small** [1] & ask <@U0BOB0001> or @here.",
    in_reply_to=("m:T0COACH01:C0GENERAL:1795003200.000300",),
    citations=(Citation(number=1, title="Habits", source="habits.md"),),
    choices=(Choice(label="Go on", value="more"),),
    hint="Say more for the rest.",
    part=2,
    parts=2,
)
DIRECT = REPLY.model_copy(update={"thread": "T0COACH01/D0ADA0001//U0ADA0001"})
HOME = REPLY.model_copy(update={"thread": "T0COACH01/home//U0ADA0001"})
UNKNOWN_DIRECT = REPLY.model_copy(update={"thread": "T0COACH01/U0ADA0001//U0ADA0001"})
SINCE = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
TS = "1795003201.000400"


def without_key(metadata: dict[str, Any]) -> dict[str, Any]:
    payload = {k: v for k, v in metadata["event_payload"].items() if k != "mac"}
    return {**metadata, "event_payload": payload}


async def test_a_reply_is_posted_once_marked_unread_by_slack_and_without_previews(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("chat.postMessage", {"channel": "C0GENERAL", "ts": TS})
    receipt = await channel.send(REPLY)
    (call,) = slack.called("chat.postMessage")
    assert call["channel"] == "C0GENERAL"
    assert call["thread_ts"] == "1795003200.000300"
    assert call["text"] == "Begin small [1] &amp; ask &lt;@U0BOB0001&gt; or @here."
    assert [call[name] for name in ("unfurl_links", "unfurl_media", "link_names", "mrkdwn")] == [
        False
    ] * 4
    assert call["parse"] == "none"
    assert without_key(call["metadata"]) == {
        "event_type": "coachline_reply",
        "event_payload": {"id": REPLY.id, "part": 2},
    }
    assert [block["type"] for block in call["blocks"]] == [
        "rich_text",
        "context",
        "context",
        "actions",
    ]
    assert receipt.external_id == f"m:T0COACH01:C0GENERAL:{TS}"
    assert slack.headers[0]["authorization"] == "Bearer xoxb-not-a-real-token"


async def test_a_direct_message_has_no_thread(channel: SlackChannel, slack: Any) -> None:
    await channel.send(DIRECT)
    (call,) = slack.called("chat.postMessage")
    assert (call["channel"], "thread_ts" in call) == ("D0ADA0001", False)


async def test_a_person_without_a_direct_message_yet_gets_one(
    channel: SlackChannel, slack: Any
) -> None:
    slack.on("chat.postMessage", {"channel": "D0ADA0001", "ts": TS})
    receipt = await channel.send(UNKNOWN_DIRECT)
    assert slack.called("chat.postMessage")[0]["channel"] == "U0ADA0001"
    assert receipt.external_id == f"m:T0COACH01:D0ADA0001:{TS}"


async def test_the_home_tab_is_published_which_can_be_done_twice(
    channel: SlackChannel, slack: Any
) -> None:
    assert (await channel.send(HOME)).external_id is None
    (call,) = slack.called("views.publish")
    assert call["user_id"] == "U0ADA0001"
    assert call["view"]["type"] == "home"
    assert call["view"]["blocks"][0]["type"] == "rich_text"
    assert await channel.find(HOME, since=SINCE) is None
    assert [name for name, _ in slack.calls] == ["views.publish"]


async def test_a_dropped_connection_never_sends_twice(channel: SlackChannel, slack: Any) -> None:
    """The library's own handlers would: it was seen to post two messages."""
    slack.on("chat.postMessage", ConnectionResetError())
    with pytest.raises(OutcomeUnknown):
        await channel.send(REPLY)
    assert len(slack.calls) == 1


async def test_a_proxy_of_the_environment_is_not_asked(
    channel: SlackChannel, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    await channel.send(REPLY)
    assert len(slack.calls) == 1


async def test_a_redirect_is_refused(channel: SlackChannel, slack: Any) -> None:
    slack.on("chat.postMessage", lambda: {"status": 302, "headers": {"Location": "/api/x"}})
    with pytest.raises(ReplyRejected):
        await channel.send(REPLY)
    assert [name for name, _ in slack.calls] == ["chat.postMessage"]


@pytest.mark.parametrize(
    ("module", "name", "limit"),
    [
        (transport_module, "LIMITS", aiohttp.ClientTimeout(total=0.1)),
        (client_module, "_LONGEST_CALL_SECONDS", 0.1),
    ],
)
async def test_a_slack_that_does_not_answer_is_an_unknown_outcome(
    connect: Callable[..., SlackChannel],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    limit: Any,
) -> None:
    monkeypatch.setattr(module, name, limit)
    silent = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        silent.set()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(OutcomeUnknown):
            await connect(api_url=f"http://127.0.0.1:{port}/api/").send(REPLY)
        await asyncio.wait_for(silent.wait(), 5)


async def test_an_endless_answer_is_given_up(
    channel: SlackChannel, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "_MOST_BYTES", 1_000)
    slack.on("chat.postMessage", lambda: {"body": b"x" * 1_000_000})
    with pytest.raises(OutcomeUnknown):
        await channel.send(REPLY)


async def test_bytes_that_are_not_http_are_an_unknown_outcome(
    connect: Callable[..., SlackChannel],
) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(OutcomeUnknown):
            await connect(api_url=f"http://127.0.0.1:{port}/").send(REPLY)


async def test_a_connection_that_does_not_come_about_is_unavailable(
    connect: Callable[..., SlackChannel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full backlog: the handshake never ends, so nothing was ever written."""
    limits = aiohttp.ClientTimeout(total=5, connect=0.2)
    monkeypatch.setattr(transport_module, "LIMITS", limits)
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for occupant in (first, second):
            occupant.setblocking(False)
            occupant.connect_ex(deaf.getsockname())
        with pytest.raises(ChannelUnavailable):
            await connect(api_url=f"http://127.0.0.1:{deaf.getsockname()[1]}/").send(REPLY)


async def test_a_failed_tls_handshake_is_unavailable(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    with pytest.raises(ChannelUnavailable):
        await connect(api_url=slack.url.replace("http://", "https://")).send(REPLY)


def guarded(connect: Callable[..., SlackChannel], url: str, **connector: Any) -> SlackChannel:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(**connector))
    given = connect(api_url=url)
    return SlackChannel(given._config, session)


async def test_a_name_that_does_not_resolve_is_unavailable(
    connect: Callable[..., SlackChannel],
) -> None:
    class NoNames(aiohttp.abc.AbstractResolver):
        async def resolve(self, *args: object, **kwargs: object) -> Any:
            raise OSError("no such name")

        async def close(self) -> None:
            """Holds nothing."""

    channel = guarded(connect, "https://slack.example/api/", resolver=NoNames())
    with pytest.raises(ChannelUnavailable):
        await channel.send(REPLY)
    await channel._http.close()


class Refused(OSError):
    """What the gateway's outgoing client raises for an address that it may not reach."""

    is_address_refused = True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_refused_address_is_rejected_and_never_connected(
    connect: Callable[..., SlackChannel], slack: Any, host: str
) -> None:
    def refuse(address: object) -> socket.socket:
        raise Refused("the address is not allowed")

    url = slack.url.replace("127.0.0.1", host)
    channel = guarded(connect, url, socket_factory=refuse)
    with pytest.raises(ReplyRejected, match="not allowed"):
        await channel.send(REPLY)
    with pytest.raises(ReplyRejected, match="not allowed"):
        await channel.fetch(Attachment(kind="other", reference=f"{url}x"), limit_bytes=1)
    await channel._http.close()
    assert slack.calls == []


@pytest.mark.parametrize(
    ("error", "thread", "leaf"),
    [
        ("ratelimited", REPLY.thread, RateLimited),
        ("internal_error", REPLY.thread, OutcomeUnknown),
        ("fatal_error", REPLY.thread, OutcomeUnknown),
        ("service_unavailable", REPLY.thread, OutcomeUnknown),
        ("not_authed", REPLY.thread, CredentialsRejected),
        ("invalid_auth", REPLY.thread, CredentialsRejected),
        ("account_inactive", REPLY.thread, CredentialsRejected),
        ("token_revoked", REPLY.thread, CredentialsRejected),
        ("token_expired", REPLY.thread, CredentialsRejected),
        ("channel_not_found", DIRECT.thread, RecipientUnreachable),
        ("is_archived", DIRECT.thread, RecipientUnreachable),
        ("channel_not_found", REPLY.thread, ReplyRejected),
        ("is_archived", REPLY.thread, ReplyRejected),
        ("not_in_channel", REPLY.thread, ReplyRejected),
        ("user_disabled", REPLY.thread, RecipientUnreachable),
        ("cannot_dm_bot", DIRECT.thread, RecipientUnreachable),
        ("msg_too_long", REPLY.thread, ReplyRejected),
        ("msg_blocks_too_long", REPLY.thread, ReplyRejected),
        ("invalid_blocks", REPLY.thread, ReplyRejected),
        ("no_text", REPLY.thread, ReplyRejected),
        ("restricted_action", REPLY.thread, ReplyRejected),
        ("something_new", REPLY.thread, ReplyRejected),
        ("<script>xoxb-1", REPLY.thread, ReplyRejected),
    ],
)
async def test_every_refusal_has_its_leaf(
    channel: SlackChannel, slack: Any, error: str, thread: str, leaf: type[ChannelError]
) -> None:
    slack.on("chat.postMessage", {"error": error})
    with pytest.raises(ChannelError) as caught:
        await channel.send(REPLY.model_copy(update={"thread": thread}))
    assert type(caught.value) is leaf
    assert "xoxb" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("response", "leaf"),
    [
        ({"status": 500, "text": "<html>"}, OutcomeUnknown),
        ({"status": 503}, OutcomeUnknown),
        ({"status": 200, "text": "<html>", "content_type": "text/html"}, OutcomeUnknown),
        ({"status": 200, "text": "[]"}, OutcomeUnknown),
        ({"status": 200, "body": b"\xff"}, OutcomeUnknown),
        ({"status": 200, "text": '{"ok": true}'}, OutcomeUnknown),
        ({"status": 200, "text": '{"ok": true, "ts": 5}'}, OutcomeUnknown),
        ({"status": 401}, CredentialsRejected),
        ({"status": 404}, ReplyRejected),
        ({"status": 413, "text": "<html>"}, ReplyRejected),
    ],
)
async def test_every_status_has_its_leaf(
    channel: SlackChannel, slack: Any, response: dict[str, Any], leaf: type[ChannelError]
) -> None:
    slack.on("chat.postMessage", lambda: response)
    with pytest.raises(ChannelError) as caught:
        await channel.send(REPLY)
    assert type(caught.value) is leaf


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("17", 17), ("0", 0), ("9" * 5000, 3600), ("soon", 30), ("-5", 30), (None, 30)],
)
async def test_slack_says_how_long_to_wait(
    channel: SlackChannel, slack: Any, value: str | None, seconds: float
) -> None:
    headers = {} if value is None else {"Retry-After": value}
    slack.on("chat.postMessage", lambda: {"status": 429, "headers": headers, "text": "{}"})
    with pytest.raises(RateLimited) as caught:
        await channel.send(REPLY)
    assert caught.value.retry_after == seconds


async def test_a_scope_that_is_missing_is_named(channel: SlackChannel, slack: Any) -> None:
    slack.on("chat.postMessage", {"error": "missing_scope", "needed": "chat:write"})
    with pytest.raises(ReplyRejected, match="lacks the scope chat:write"):
        await channel.send(REPLY)


async def test_an_app_that_is_not_installed_yet_says_so(
    connect: Callable[..., SlackChannel], slack: Any
) -> None:
    waiting = connect(bot_token=None, client_id="1.2", client_secret="s")
    with pytest.raises(CredentialsRejected, match="not installed yet"):
        await waiting.send(REPLY)
    assert slack.calls == []


@pytest.mark.parametrize("thread", ["", "T/C", "T/C/1/U/x", "/C/1/U", "T//1/U", "T/C/1/"])
async def test_a_thread_of_another_channel_is_rejected(
    channel: SlackChannel, slack: Any, thread: str
) -> None:
    with pytest.raises(ReplyRejected, match="not an address"):
        await channel.send(REPLY.model_copy(update={"thread": thread}))
    assert slack.calls == []


def test_a_message_draws_on_its_channel_and_on_the_workspace(channel: SlackChannel) -> None:
    assert isinstance(channel, Paced)
    assert list(channel.tolls(REPLY)) == [
        Toll("channel:C0GENERAL", 1.0, 3.0),
        Toll("workspace", 5.0, 20.0),
    ]
    assert [toll.bucket for toll in channel.tolls(HOME)] == ["views"]


async def test_no_error_holds_the_token(channel: SlackChannel, slack: Any) -> None:
    slack.on("chat.postMessage", {"error": "xoxb-not-a-real-token"})
    with pytest.raises(ChannelError) as caught:
        await channel.send(REPLY)
    assert "xoxb" not in f"{caught.value!r}"
    assert caught.value.__suppress_context__
    assert json.dumps(slack.calls).count("xoxb") == 0
