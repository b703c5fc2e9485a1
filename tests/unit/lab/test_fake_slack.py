"""The fake Slack is one for slack-sdk: its clients, its errors, its check of every signature."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth import AuthorizeUrlGenerator
from slack_sdk.web.async_client import AsyncWebClient

from coachline_lab import FakeSlack, Mode, asked_in
from coachline_lab.slack import Channel, Installation, Said

AsToken = Callable[[str], AsyncWebClient]


@asynccontextmanager
async def _refused(error: str) -> AsyncIterator[None]:
    with pytest.raises(SlackApiError) as raised:
        yield
    assert raised.value.response["error"] == error


async def test_the_token_says_who_the_bot_is(app: Installation, web: AsyncWebClient) -> None:
    answer = await web.auth_test()
    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == (
        app.team.id,
        app.bot.id,
        app.bot_id,
    )
    assert "chat:write" in answer.headers["x-oauth-scopes"]
    assert (await web.bots_info(bot=app.bot_id))["bot"]["app_id"] == app.app.id


async def test_tokens_are_checked(slack: FakeSlack, app: Installation, as_token: AsToken) -> None:
    async with _refused("invalid_auth"):
        await as_token("xoxb-wrong").auth_test()
    async with _refused("not_authed"):
        await as_token("").auth_test()
    await slack.around.revoke()
    async with _refused("token_revoked"):
        await as_token(app.token).auth_test()


async def test_a_missing_scope_is_named(app: Installation, web: AsyncWebClient) -> None:
    app.scopes = "channels:history"
    async with _refused("missing_scope"):
        await web.chat_postMessage(channel="C1", text="x")


async def test_a_message_is_shown_changed_and_taken_away(
    slack: FakeSlack, app: Installation, channel: Channel, web: AsyncWebClient
) -> None:
    sent = await web.chat_postMessage(channel=channel.id, text="first", thread_ts="1.000001")
    thread = f"{app.team.id}/{channel.id}/1.000001"
    assert slack.ledger.visible(thread) == ["first"]
    await web.chat_update(channel=channel.id, ts=sent["ts"], text="second")
    assert slack.ledger.visible(thread) == ["second"]
    await web.chat_delete(channel=channel.id, ts=sent["ts"])
    assert slack.ledger.visible(thread) == []
    async with _refused("message_not_found"):
        await web.chat_update(channel=channel.id, ts=sent["ts"], text="third")


async def test_only_own_messages_can_be_changed(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient
) -> None:
    said = await slack.say("hello", channel=channel)
    async with _refused("cant_update_message"):
        await web.chat_update(channel=channel.id, ts=said.ts, text="mine")


async def test_long_text_is_cut_and_the_answer_warns(channel: Channel, web: AsyncWebClient) -> None:
    sent = await web.chat_postMessage(channel=channel.id, text="x" * 40_001)
    assert len(sent["message"]["text"]) == 40_000
    assert sent["warning"] == "message_truncated"


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ([{"type": "divider"}] * 51, "invalid_blocks"),
        ([{"type": "blink"}], "invalid_blocks"),
        (
            [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}],
            "invalid_blocks",
        ),
        ([{"type": "markdown", "text": "x" * 6001}] * 2, "msg_blocks_too_long"),
        (
            [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}] * 5,
            "msg_blocks_too_long",
        ),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], "invalid_blocks"),
    ],
    ids=["51", "unknown", "section", "markdown", "all", "header"],
)
async def test_blocks_have_limits(
    channel: Channel, web: AsyncWebClient, blocks: list[dict[str, Any]], error: str
) -> None:
    async with _refused(error):
        await web.chat_postMessage(channel=channel.id, text="x", blocks=blocks)


async def test_nothing_to_say_is_refused(channel: Channel, web: AsyncWebClient) -> None:
    async with _refused("no_text"):
        # The library's own method would warn before the platform can refuse.
        await web.api_call("chat.postMessage", json={"channel": channel.id, "text": " "})
    async with _refused("msg_too_long"):
        await web.chat_postMessage(channel=channel.id, markdown_text="x" * 12_001)


@pytest.mark.parametrize(
    ("text", "pings"),
    [
        ("<!channel> up", ["<!channel>"]),
        ("<@U0LEA>", ["<@U0LEA>"]),
        ("&lt;!channel&gt; @channel", []),
    ],
)
async def test_the_ledger_knows_who_would_be_pinged(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient, text: str, pings: list[str]
) -> None:
    await web.chat_postMessage(channel=channel.id, text=text)
    assert slack.ledger.accepted[-1].details["pings"] == pings


async def test_strangers_channels_cannot_be_written_to(
    slack: FakeSlack, app: Installation, web: AsyncWebClient
) -> None:
    public = slack.world.add_channel(app.team, "elsewhere")
    private = slack.world.add_channel(app.team, "secret", kind="group")
    for given, error in (
        (public.id, "not_in_channel"),
        (private.id, "channel_not_found"),
        ("C404", "channel_not_found"),
    ):
        async with _refused(error):
            await web.chat_postMessage(channel=given, text="x")


async def test_a_persons_id_opens_the_direct_message(
    slack: FakeSlack, app: Installation, web: AsyncWebClient
) -> None:
    user = slack.add_user(app.team, "Ada")
    sent = await web.chat_postMessage(channel=user.id, text="hello")
    opened = await web.conversations_open(users=user.id)
    assert sent["channel"] == opened["channel"]["id"]
    assert slack.ledger.visible(f"{app.team.id}/{sent['channel']}/") == ["hello"]


async def test_history_is_paged_ranged_and_carries_metadata_on_demand(
    channel: Channel, web: AsyncWebClient
) -> None:
    marker = {"event_type": "reply", "event_payload": {"id": "r1"}}
    sent = [
        await web.chat_postMessage(channel=channel.id, text=f"{number}", metadata=marker)
        for number in range(5)
    ]
    newest = await web.conversations_history(channel=channel.id, limit=2)
    assert [one["text"] for one in newest["messages"]] == ["4", "3"]
    assert "metadata" not in newest["messages"][0]
    rest = await web.conversations_history(
        channel=channel.id,
        limit=3,
        cursor=newest["response_metadata"]["next_cursor"],
        include_all_metadata=True,
    )
    assert [one["text"] for one in rest["messages"]] == ["2", "1", "0"]
    assert rest["messages"][0]["metadata"] == marker
    assert not rest["has_more"]
    since = await web.conversations_history(channel=channel.id, oldest=sent[3]["ts"])
    assert [one["text"] for one in since["messages"]] == ["4"]
    inclusive = await web.conversations_history(
        channel=channel.id, oldest=sent[3]["ts"], inclusive=True
    )
    assert [one["text"] for one in inclusive["messages"]] == ["4", "3"]


async def test_a_thread_is_read_from_its_beginning(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient
) -> None:
    root = await slack.say("root", channel=channel)
    for number in range(3):
        await web.chat_postMessage(channel=channel.id, text=f"{number}", thread_ts=root.ts)
    read = await web.conversations_replies(channel=channel.id, ts=root.ts)
    assert [one["text"] for one in read["messages"]] == ["root", "0", "1", "2"]
    # Replies stand in their thread only.
    history = await web.conversations_history(channel=channel.id)
    assert [one["text"] for one in history["messages"]] == ["root"]


async def _stream(web: AsyncWebClient, said: Said, user: str = "U0LEA") -> str:
    started = await web.chat_startStream(
        channel=said.channel,
        thread_ts=said.ts,
        markdown_text="One ",
        recipient_team_id="T",
        recipient_user_id=user,
    )
    return str(started["ts"])


async def test_a_stream_grows_and_ends(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient
) -> None:
    said = await slack.say("hello", channel=channel)
    ts = await _stream(web, said)
    await web.chat_appendStream(channel=channel.id, ts=ts, markdown_text="step.")
    assert slack.ledger.visible(said.thread) == ["One step."]
    assert not slack.ledger.accepted[-1].is_answer
    async with _refused("streaming_state_conflict"):
        await web.chat_update(channel=channel.id, ts=ts, text="other")
    await web.chat_stopStream(channel=channel.id, ts=ts, markdown_text=" Done.")
    assert (await slack.wait_for_answer(said.thread)).text == "One step. Done."
    async with _refused("message_not_in_streaming_state"):
        await web.chat_appendStream(channel=channel.id, ts=ts, markdown_text="x")


@pytest.mark.parametrize("by_gap", [True, False], ids=["gap", "on demand"])
async def test_a_stream_dies_and_its_message_can_be_edited(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient, by_gap: bool
) -> None:
    if by_gap:
        slack.streaming.gap_seconds = -1
    else:
        slack.faults.next(1, Mode.DYING_STREAM)
        slack.faults.next(1, Mode.DYING_STREAM, method="chat.appendStream")
    said = await slack.say("hello", channel=channel)
    ts = await _stream(web, said)
    async with _refused("message_not_in_streaming_state"):
        await web.chat_appendStream(channel=channel.id, ts=ts, markdown_text="x")
    await web.chat_update(channel=channel.id, ts=ts, text="whole")
    assert slack.ledger.visible(said.thread) == ["whole"]


async def test_a_stream_in_a_channel_needs_its_recipient(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient
) -> None:
    said = await slack.say("hello", channel=channel)
    async with _refused("missing_recipient_team_id"):
        await web.chat_startStream(channel=channel.id, thread_ts=said.ts)


async def test_a_status_lasts_until_the_message(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient
) -> None:
    said = await slack.say("hello", channel=channel)
    await web.assistant_threads_setStatus(
        channel_id=channel.id, thread_ts=said.ts, status="is thinking"
    )
    assert slack.status(said) == "is thinking"
    await web.chat_postMessage(channel=channel.id, thread_ts=said.ts, text="done")
    assert slack.status(said) == ""


async def test_reactions_homes_and_people(
    slack: FakeSlack, app: Installation, channel: Channel, web: AsyncWebClient
) -> None:
    said = await slack.say("hello", channel=channel)
    await web.reactions_add(channel=channel.id, timestamp=said.ts, name="eyes")
    async with _refused("already_reacted"):
        await web.reactions_add(channel=channel.id, timestamp=said.ts, name="eyes")
    user = slack.add_user(app.team, "Ada")
    assert (await web.users_info(user=user.id))["user"]["real_name"] == "Ada"
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    await web.views_publish(user_id=user.id, view=view)
    published = slack.home(app, user)
    assert published is not None
    assert published["blocks"] == view["blocks"]


@pytest.mark.parametrize(
    ("mode", "accepted"),
    [
        (Mode.RATE_LIMITED, 0),
        (Mode.SERVER_ERROR, 0),
        (Mode.SERVER_ERROR_AFTER_ACCEPT, 1),
        (Mode.HTML_ERROR, 0),
        (Mode.CUT_AFTER_ACCEPT, 1),
        (Mode.CUT_BEFORE_ACCEPT, 0),
    ],
)
async def test_faults_meet_calls(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient, mode: Mode, accepted: int
) -> None:
    slack.faults.next(1, mode, method="chat.postMessage", retry_after=9)
    with pytest.raises((SlackApiError, aiohttp.ClientError)) as raised:
        await web.chat_postMessage(channel=channel.id, text="hello")
    assert len(slack.ledger.accepted) == accepted
    if mode is Mode.RATE_LIMITED:
        assert isinstance(raised.value, SlackApiError)
        assert raised.value.response.headers["Retry-After"] == "9"


async def test_tiers_are_kept_on_demand(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient
) -> None:
    slack.rates.is_kept = True
    slack.rates.per_minute["conversations.history"] = 1
    await web.conversations_history(channel=channel.id)
    async with _refused("ratelimited"):
        await web.conversations_history(channel=channel.id)


async def test_installing_by_a_click_gives_a_token_once(
    slack: FakeSlack, http: aiohttp.ClientSession, as_token: AsToken
) -> None:
    team = slack.add_team("Beta")
    app = slack.add_app(redirect_urls=["https://gateway.example/slack"])
    made = AuthorizeUrlGenerator(
        client_id=app.client_id,
        redirect_uri="https://gateway.example/slack/done",
        scopes=["chat:write"],
        authorization_url=slack.authorize_url,
    ).generate("state-1")
    async with http.get(made) as page:
        assert "Allow in Beta" in await page.text()
    back = parse_qs(urlsplit(slack.oauth.approve(made, team)).query)
    assert back["state"] == ["state-1"]
    exchange = {"code": back["code"][0], "redirect_uri": "https://gateway.example/slack/done"}

    async def exchanged(secret: str) -> dict[str, Any]:
        # As slack-sdk does it; its own call warns, because of a class of aiohttp's that is going.
        basic = aiohttp.encode_basic_auth(app.client_id, secret)
        url = f"{slack.api_url}oauth.v2.access"
        async with http.post(url, data=exchange, headers={"Authorization": basic}) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    assert (await exchanged("wrong"))["error"] == "bad_client_secret"
    answer = await exchanged(app.client_secret)
    assert (answer["team"]["id"], answer["app_id"]) == (team.id, app.id)
    assert (await as_token(answer["access_token"]).auth_test())["team_id"] == team.id
    assert (await exchanged(app.client_secret))["error"] == "invalid_code"
    async with http.get(f"{made}&allow={team.id}", allow_redirects=False) as response:
        assert response.headers["Location"].startswith("https://gateway.example/slack/done?code=")


async def test_the_ledger_judges_an_echoing_bot(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient
) -> None:
    asked = []
    for number in range(5):
        said = await slack.say(f"question {number}", channel=channel)
        await web.chat_postMessage(
            channel=channel.id, thread_ts=said.ts, text=f"re: question {number}"
        )
        asked += asked_in(said.thread, [f"question {number}"])
    verdict = slack.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
