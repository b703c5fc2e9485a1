"""The fake Slack delivers as Slack does: signed, repeated, doubled by mentions, over sockets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from coachline_lab import FakeSlack
from coachline_lab.slack import Channel, Installation
from lab.webhook_sink import Taken, WebhookSink

BUTTON = {
    "type": "actions",
    "block_id": "b",
    "elements": [
        {
            "type": "button",
            "action_id": "a",
            "value": "v",
            "text": {"type": "plain_text", "text": "Yes"},
        }
    ],
}


@pytest.fixture
async def sink(sink: WebhookSink, slack: FakeSlack, app: Installation) -> WebhookSink:
    """The app's request URL, verified."""
    assert await slack.set_request_url(app.app, sink.url)
    sink.taken.clear()
    return sink


def _events(taken: list[Taken]) -> list[dict[str, Any]]:
    return [one.json()["event"] for one in taken]


async def test_every_delivery_is_signed(
    slack: FakeSlack, app: Installation, channel: Channel, web: AsyncWebClient, sink: WebhookSink
) -> None:
    await web.chat_postMessage(channel=channel.id, text="?", blocks=[BUTTON])
    await slack.say("what is a payload", channel=channel, mention=True)
    await slack.press("Yes", channel=channel)
    await slack.command("what is a payload", channel=channel)
    await slack.idle()
    verifier = SignatureVerifier(app.app.signing_secret)
    assert len(sink.taken) >= 5
    for taken in sink.taken:
        assert verifier.is_valid_request(taken.body, dict(taken.headers))
    assert not SignatureVerifier("other").is_valid_request(
        sink.taken[0].body, dict(sink.taken[0].headers)
    )


async def test_a_mention_in_a_channel_is_two_events_of_one_message(
    slack: FakeSlack, app: Installation, channel: Channel, sink: WebhookSink
) -> None:
    said = await slack.say("hello", channel=channel, mention=True)
    await slack.idle()
    envelopes = [taken.json() for taken in sink.taken]
    assert Counter(one["event"]["type"] for one in envelopes) == {"message": 1, "app_mention": 1}
    assert len({one["event_id"] for one in envelopes}) == 2
    assert {one["event"]["ts"] for one in envelopes} == {said.ts}
    for one in envelopes:
        assert (one["team_id"], one["api_app_id"]) == (app.team.id, app.app.id)
        assert one["authorizations"][0]["user_id"] == app.bot.id
        assert one["event_context"]


async def test_a_direct_message_is_one_event(slack: FakeSlack, sink: WebhookSink) -> None:
    await slack.say("hello & <you>")
    await slack.idle()
    (event,) = _events(sink.taken)
    assert (event["channel_type"], event["text"]) == ("im", "hello &amp; &lt;you&gt;")


async def test_a_failed_delivery_comes_three_times_more(
    slack: FakeSlack, sink: WebhookSink
) -> None:
    for _ in range(4):
        sink.answer(500)
    await slack.say("hello")
    await slack.idle()
    retries = [one.headers.get("x-slack-retry-num") for one in sink.taken]
    assert retries == [None, "1", "2", "3"]
    assert {one.headers.get("x-slack-retry-reason") for one in sink.taken[1:]} == {"http_error"}
    assert len({one.json()["event_id"] for one in sink.taken}) == 1


async def test_retries_end_with_a_2xx_or_when_they_are_not_wanted(
    slack: FakeSlack, sink: WebhookSink
) -> None:
    sink.answer(503)
    await slack.say("taken at the second")
    await slack.idle()
    assert len(sink.taken) == 2
    sink.answer(404, headers={"x-slack-no-retry": "1"})
    await slack.say("not wanted")
    await slack.idle()
    assert len(sink.taken) == 3


async def test_retries_keep_slacks_schedule(slack: FakeSlack, sink: WebhookSink) -> None:
    slack.events.time_scale = 0.002
    for _ in range(4):
        sink.answer(500)
    await slack.say("hello")
    await slack.idle()
    at = [attempt.at for attempt in slack.events.attempts]
    assert at[1] - at[0] < 0.12 <= at[2] - at[1]
    assert at[3] - at[2] >= 0.6


async def test_the_challenge_must_come_back(slack: FakeSlack, app: Installation) -> None:
    async with WebhookSink() as other:
        other.answer(200, body="something else")
        assert not await slack.set_request_url(app.app, other.url)
        assert await slack.set_request_url(app.app, other.url)
    assert app.app.request_url == other.url


async def test_own_words_come_back_as_echoes(
    slack: FakeSlack, app: Installation, web: AsyncWebClient, channel: Channel, sink: WebhookSink
) -> None:
    sent = await web.chat_postMessage(channel=channel.id, text="hello")
    await web.chat_update(channel=channel.id, ts=sent["ts"], text="hello again")
    await web.chat_delete(channel=channel.id, ts=sent["ts"])
    await slack.idle()
    events = sorted(_events(sink.taken), key=lambda event: str(event["event_ts"]))
    assert [event.get("subtype") for event in events] == [
        None,
        "message_changed",
        "message_deleted",
    ]
    assert events[0]["bot_id"] == app.bot_id
    assert events[1]["message"]["user"] == app.bot.id
    assert events[1]["previous_message"]["text"] == "hello"


async def test_what_people_do_is_told(
    slack: FakeSlack, app: Installation, channel: Channel, sink: WebhookSink
) -> None:
    said = await slack.say("hello", channel=channel)
    await slack.edit(said, "hello there")
    await slack.people.metadata_edit(said)
    await slack.people.react(said, "thumbsup")
    await slack.delete(said)
    await slack.people.join(channel, "U0NEW")
    await slack.people.invite_app(channel)
    await slack.people.say_as_bot("beep", channel=channel)
    await slack.people.say_as_bot("boop", channel=channel, is_classic=True)
    await slack.around.open_home()
    await slack.around.deactivate("U0NEW")
    await slack.around.uninstall()
    await slack.idle()
    told = Counter((event["type"], event.get("subtype")) for event in _events(sink.taken))
    assert told == {
        ("message", None): 2,
        ("message", "message_changed"): 2,
        ("message", "message_deleted"): 1,
        ("message", "channel_join"): 1,
        ("message", "bot_message"): 1,
        ("reaction_added", None): 1,
        ("member_joined_channel", None): 1,
        ("app_home_opened", None): 1,
        ("user_change", None): 1,
        ("tokens_revoked", None): 1,
        ("app_uninstalled", None): 1,
    }


async def test_a_button_is_a_form_that_comes_once(
    slack: FakeSlack, channel: Channel, web: AsyncWebClient, sink: WebhookSink
) -> None:
    sent = await web.chat_postMessage(channel=channel.id, text="?", blocks=[BUTTON])
    await slack.idle()
    sink.taken.clear()
    sink.answer(500)
    pressed = await slack.press("Yes", channel=channel)
    (taken,) = sink.taken
    payload = json.loads(parse_qs(taken.body.decode())["payload"][0])
    assert pressed.status == 500
    assert payload["type"] == "block_actions"
    assert payload["actions"][0]["value"] == "v"
    assert payload["container"]["message_ts"] == sent["ts"]


async def test_a_command_is_a_form_and_its_response_url_writes(
    slack: FakeSlack, channel: Channel, http: aiohttp.ClientSession, sink: WebhookSink
) -> None:
    said = await slack.command("what is a payload", channel=channel)
    form = parse_qs(sink.taken[0].body.decode())
    assert form["command"] == ["/coach"]
    assert form["text"] == ["what is a payload"]
    async with http.post(said.response_url, json={"text": "an answer"}) as response:
        assert response.status == 200
    assert slack.ledger.visible(said.thread) == ["an answer"]


async def test_a_file_needs_the_token(
    slack: FakeSlack, app: Installation, http: aiohttp.ClientSession, sink: WebhookSink
) -> None:
    await slack.people.upload(b"the content", text="see")
    await slack.idle()
    (event,) = _events(sink.taken)
    address = event["files"][0]["url_private_download"]
    async with http.get(address, headers={"Authorization": f"Bearer {app.token}"}) as response:
        assert await response.read() == b"the content"
    async with http.get(address) as response:
        assert (response.status, response.content_type) == (200, "text/html")


async def test_a_socket_says_hello_and_gets_what_was_not_acknowledged_again(
    slack: FakeSlack, http: aiohttp.ClientSession, as_token: Callable[[str], AsyncWebClient]
) -> None:
    app = slack.install(slack.add_app(uses_socket=True))
    slack.sockets.ack_seconds = 0.1
    web = as_token(app.token)
    with pytest.raises(SlackApiError, match="not_allowed_token_type"):
        await web.apps_connections_open(app_token=app.token)
    opened = await web.apps_connections_open(app_token=app.app.app_token)
    async with http.ws_connect(opened["url"]) as socket:
        assert (await socket.receive_json(timeout=5))["type"] == "hello"
        await slack.say("hello", app=app)
        first = await socket.receive_json(timeout=5)
        again = await socket.receive_json(timeout=5)
        await socket.send_json({"envelope_id": again["envelope_id"]})
        await slack.idle()
        assert (first["retry_attempt"], again["retry_attempt"]) == (0, 1)
        assert first["payload"] == again["payload"]
        await slack.sockets.refresh(app.app)
        assert (await socket.receive_json(timeout=5))["reason"] == "refresh_requested"


async def test_a_socket_can_be_green_but_deaf(
    slack: FakeSlack, http: aiohttp.ClientSession, as_token: Callable[[str], AsyncWebClient]
) -> None:
    app = slack.install(slack.add_app(uses_socket=True))
    web = as_token(app.token)
    opened = await web.apps_connections_open(app_token=app.app.app_token)
    async with http.ws_connect(opened["url"]) as socket:
        await socket.receive_json(timeout=5)
        await slack.sockets.go_deaf(app.app)
        await slack.say("hello", app=app)
        await slack.idle()
        assert not socket.closed
        assert {attempt.status for attempt in slack.events.attempts} == {0}


async def test_events_go_to_one_of_several_sockets(
    slack: FakeSlack, http: aiohttp.ClientSession, as_token: Callable[[str], AsyncWebClient]
) -> None:
    app = slack.install(slack.add_app(uses_socket=True))
    web = as_token(app.token)
    opened = [await web.apps_connections_open(app_token=app.app.app_token) for _ in range(2)]
    sockets = [await http.ws_connect(one["url"]) for one in opened]
    for socket in sockets:
        await socket.receive_json(timeout=5)
    seen = []
    for _ in range(4):
        await slack.say("hello", app=app)
    for socket in sockets * 2:
        envelope = await socket.receive_json(timeout=5)
        await socket.send_json({"envelope_id": envelope["envelope_id"]})
        seen.append(envelope["payload"]["event_id"])
    await slack.idle()
    assert len(set(seen)) == 4
    for socket in sockets:
        await socket.close()


async def test_events_double_vanish_and_come_again_on_demand(
    slack: FakeSlack, sink: WebhookSink
) -> None:
    slack.inbound.duplicate = 1.0
    slack.inbound.drop_first = 1
    await slack.say("hello")
    await slack.idle()
    slack.redeliver(1)
    await slack.idle()
    assert len({one.json()["event_id"] for one in sink.taken}) == 1
    assert len(sink.taken) == 3


async def test_workspaces_and_apps_are_apart(slack: FakeSlack, sink: WebhookSink) -> None:
    other = slack.install(slack.add_app("Rival"), slack.add_team("Other"))
    said = await slack.say("hello", app=other)
    await slack.idle()
    assert sink.taken == []
    assert {attempt.account for attempt in slack.events.attempts} == {other.account}
    assert said.thread.startswith(other.team.id)
