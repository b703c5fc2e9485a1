"""What comes in: three shapes of body, one reader, and whose concern it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from channel_kit import EventKind, InboundEvent, PayloadUnreadable, WebhookRequest
from channel_slack import SlackChannel, SlackConfig
from channel_slack.inbound import account_in, parse_events

SAMPLES = Path(__file__).parent.parent / "samples"
NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
COMMAND = {"command": "/coach", "team_id": "T1", "user_id": "U1", "channel_id": "C1"}
KNOWN = {"team_id": "T0COACH01", "app_id": "A0COACH01", "bot_user_id": "U0BOT0001"}


def config(**given: Any) -> SlackConfig:
    return SlackConfig.model_validate({"signing_secret": "s", "bot_token": "xoxb-1", **given})


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())["body"]


def body(name: str) -> bytes:
    found = sample(name)
    return (found if isinstance(found, str) else json.dumps(found)).encode()


def parse(name: str, **given: Any) -> tuple[InboundEvent, ...]:
    return parse_events(body(name), config(**given), received_at=NOW)


def request(name: str) -> WebhookRequest:
    return WebhookRequest(
        url="https://coach.example/", headers={}, body=body(name), received_at=NOW
    )


def changed(name: str, **fields: Any) -> bytes:
    payload = sample(name)
    payload["event"] = {**payload["event"], **fields}
    return json.dumps(payload).encode()


def test_there_are_at_least_twenty_five_samples_of_every_shape() -> None:
    kinds = {
        e["kind"]
        for p in SAMPLES.glob("*.json")
        for e in json.loads(p.read_text())["expected"]
        if "kind" in e
    }
    assert len(list(SAMPLES.glob("*.json"))) >= 25
    assert kinds == set(EventKind) - {EventKind.RECEIPT}


def test_one_post_told_twice_is_one_event() -> None:
    (mention,), (message,) = parse("app_mention", **KNOWN), parse("app_mention_as_message", **KNOWN)
    assert sample("app_mention")["event_id"] != sample("app_mention_as_message")["event_id"]
    assert mention.external_id == message.external_id
    assert (mention.text, mention.thread, mention.sender) == (
        message.text,
        message.thread,
        message.sender,
    )


def test_what_goes_on_in_a_thread_is_left_to_the_gateway_unless_it_names_others() -> None:
    (event,) = parse("thread_of_others", **KNOWN)
    assert not event.is_addressed
    for named in ("<@U0BOB0001> sure", "sure <!here>", "<!subteam^S1|@all>"):
        body_of = changed("thread_of_others", text=named)
        assert parse_events(body_of, config(**KNOWN), received_at=NOW) == ()
    ours = changed("thread_of_others", text="<@U0BOT0001> <@U0BOB0001> sure")
    (event,) = parse_events(ours, config(**KNOWN), received_at=NOW)
    assert event.is_addressed
    outside = changed("thread_of_others", thread_ts=None)
    assert parse_events(outside, config(**KNOWN), received_at=NOW) == ()


def test_only_where_nobody_else_reads_is_it_private() -> None:
    for name in ("message", "app_mention", "command", "thread_reply_to_us", "home_opened"):
        (event,) = parse(name, **KNOWN)
        channel = event.thread.split("/")[1]
        assert event.is_private is (channel == "home" or channel.startswith("D")), name


def test_a_retry_is_the_same_event_and_is_not_thrown_away() -> None:
    (first,), (again,) = parse("message", **KNOWN), parse("message_redelivered", **KNOWN)
    assert first.external_id == again.external_id


@pytest.mark.parametrize(
    "name",
    ["app_mention_as_message", "thread_reply_to_us", "own_edit_echo", "own_echo", "reaction"],
)
def test_who_we_are_is_read_from_the_delivery_before_it_was_found_out(name: str) -> None:
    assert [e.external_id for e in parse(name)] == [e.external_id for e in parse(name, **KNOWN)]


def test_the_same_secret_in_another_workspace_gives_no_event_here() -> None:
    assert parse("other_workspace", **KNOWN) == ()
    (event,) = parse("other_workspace", team_id="T9PARTNER")
    assert event.sender.id.startswith("T9PARTNER:")


def test_raw_is_kept_without_what_somebody_could_act_with() -> None:
    for name in ("message", "command", "button"):
        (event,) = parse(name, **KNOWN)
        assert not {"token", "response_url", "response_urls"} & set(event.raw)
    (event,) = parse("message", **KNOWN)
    assert event.raw["event"]["client_msg_id"] == sample("message")["event"]["client_msg_id"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"user": 5}, "event.user: is not an id"),
        ({"user": "U1/U2"}, "event.user: is not an id"),
        ({"user": "U\x00"}, "event.user: is not an id"),
        ({"channel": None}, "event.channel: is not an id"),
        ({"channel": "D/1"}, "event.channel: is not an id"),
        ({"ts": "soon"}, "event.ts: is not a timestamp"),
        ({"ts": 1795003198.0001}, "event.ts: is not a timestamp"),
        ({"ts": "9" * 400}, "event.ts: is not a timestamp"),
        ({"thread_ts": "1/2"}, "event.thread_ts: is not a timestamp"),
        ({"text": ["hunter2"]}, "event.text: is not a string"),
        ({"files": "hunter2"}, "event.files: is not a list"),
        ({"type": None}, None),
    ],
)
def test_a_wrong_field_is_named_and_its_content_is_not_shown(
    fields: dict[str, Any], problem: str | None
) -> None:
    if problem is None:
        assert parse_events(changed("message", **fields), config(), received_at=NOW) == ()
        return
    with pytest.raises(PayloadUnreadable, match=problem) as caught:
        parse_events(changed("message", **fields), config(), received_at=NOW)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "form",
    [
        "payload=",
        "payload=hunter2",
        "payload=%5B%5D",
        "payload=%7B%7D&payload=%7B%7D",
        "a=%ff",
        "a=1&b",
        "&".join(f"f{n}=1" for n in range(65)),
        urlencode({"payload": '{"type": "block_actions"}'}),
        urlencode({"command": "/coach", "text": "hi"}),
        urlencode(COMMAND),
        urlencode({"nothing": "known"}),
        urlencode({**COMMAND, "trigger_id": "hunter2\x01"}),
        urlencode({**COMMAND, "trigger_id": "hunter2" * 100}),
    ],
)
def test_a_form_that_slack_does_not_send_is_unreadable(form: str) -> None:
    with pytest.raises(PayloadUnreadable) as caught:
        parse_events(form.encode(), config(), received_at=NOW)
    assert "hunter2" not in str(caught.value)


def test_an_edit_that_is_deaf_to_text_is_no_edit() -> None:
    edit = sample("edit")
    edit["event"]["message"]["text"] = edit["event"]["previous_message"]["text"]
    assert parse_events(json.dumps(edit).encode(), config(), received_at=NOW) == ()


def test_an_edit_without_a_before_is_one_if_slack_says_so() -> None:
    edit = sample("edit")
    del edit["event"]["previous_message"]
    (event,) = parse_events(json.dumps(edit).encode(), config(), received_at=NOW)
    assert event.text == "How do I begin again?"
    del edit["event"]["message"]["edited"]
    assert parse_events(json.dumps(edit).encode(), config(), received_at=NOW) == ()


def test_a_deletion_that_does_not_say_whose_is_left_out() -> None:
    assert parse_events(changed("delete", previous_message=None), config(), received_at=NOW) == ()


def test_a_file_of_ours_keeps_its_address_and_every_other_loses_it() -> None:
    for url in (
        "https://files.slack.com@evil.example/x",
        "https://files.slack.com.evil.example/x",
        "http://files.slack.com/x",
        "https://files.slack.com:444/x",
        "https://user@files.slack.com/x",
        "https://[::1/x",
        "file:///etc/passwd",
    ):
        files = [{"name": "x", "url_private_download": url}]
        found = parse_events(changed("message", files=files), config(), received_at=NOW)
        assert found[0].attachments[0].reference is None, url
    files = [{"url_private_download": "https://FILES.slack.com:443/x"}, {"mode": "tombstone"}]
    (event,) = parse_events(changed("message", files=files), config(), received_at=NOW)
    assert [a.reference for a in event.attachments] == ["https://FILES.slack.com:443/x"]


def test_dropped_events_are_told_to_whoever_reads_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert parse("app_rate_limited") == ()
    assert "slack_rate_limited team=T0COACH01 minute=1795003140" in caplog.text


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("message", "A0COACH01:T0COACH01"),
        ("shared_channel", "A0COACH01:T0COACH01"),
        ("command", "A0COACH01:T0COACH01"),
        ("button", "A0COACH01:T0COACH01"),
        ("app_uninstalled", "A0COACH01:T0COACH01"),
        ("app_rate_limited", "A0COACH01:T0COACH01"),
        ("url_verification", None),
        ("ssl_check", None),
    ],
)
def test_every_shape_says_whose_it_is(name: str, account: str | None) -> None:
    assert account_in(body(name), config()) == account


def test_a_body_is_about_the_account_that_connecting_named(channel: SlackChannel) -> None:
    assert channel.account_in(request("message")) == "A0COACH01:T0COACH01@127.0.0.1"


def test_our_own_workspace_is_ours_even_if_we_do_not_know_which_app_we_are() -> None:
    said = body("message")
    assert account_in(said, config(team_id="T0COACH01", bot_id="B0BOT0001")) is None
    assert account_in(said, config(team_id="T0OTHER01")) == "A0COACH01:T0COACH01"


def test_bytes_that_cannot_be_read_are_nobodys(channel: SlackChannel) -> None:
    broken = request("message").model_copy(update={"body": b"\xff"})
    assert channel.account_in(broken) is None
    assert channel.acknowledge(broken).body == b""


def test_the_challenge_goes_back_and_everything_else_is_answered_with_nothing(
    channel: SlackChannel,
) -> None:
    word = sample("url_verification")["challenge"]
    assert channel.acknowledge(request("url_verification")).body == word.encode()
    for name in ("message", "command", "button", "ssl_check"):
        answer = channel.acknowledge(request(name))
        assert (answer.status, answer.body) == (200, b"")
