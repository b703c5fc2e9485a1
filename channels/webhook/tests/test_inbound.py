"""What comes in: read strictly, refused with a reason that shows nothing of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channel_kit import PayloadUnreadable
from channel_webhook.inbound import MOST_TEXT_BYTES, parse_events

HEADERS = {"webhook-id": "delivery-1", "webhook-timestamp": "1795003200"}
MESSAGE: dict[str, Any] = {
    "type": "message",
    "id": "evt-1",
    "sender": {"id": "ada", "name": "Ada"},
    "text": "hunter2",
}


def body(**changed: Any) -> bytes:
    return json.dumps({**MESSAGE, **changed}).encode()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"type": None}, "type: "),
        ({"type": ["message"]}, "type: "),
        ({"type": "x\x00"}, "type: .*control character"),
        ({"id": 7}, "id: .*string"),
        ({"id": ""}, "id: .*at least 1"),
        ({"id": "x" * 513}, "id: .*at most 512"),
        ({"id": "a\x00b"}, "id: .*control character"),
        ({"id": "a\ud800"}, "id: "),
        ({"sender": None}, "sender: "),
        ({"sender": "ada"}, "sender: "),
        ({"sender": {}}, "sender.id: "),
        ({"sender": {"id": "al\x00ice"}}, "sender.id: .*control character"),
        ({"sender": {"id": "ada", "name": "x" * 257}}, "sender.name: .*at most 256"),
        ({"thread": {"id": 1}}, "thread: .*string"),
        ({"text": 5}, "text: .*string"),
        ({"text": " \x00\n"}, "a message needs a text"),
        ({"text": "x" * (MOST_TEXT_BYTES + 1)}, "longer than 65536 bytes"),
        ({"text": "é" * (MOST_TEXT_BYTES // 2 + 1)}, "longer than 65536 bytes"),
        ({"type": "edit"}, "an? edit needs reply_to"),
        ({"type": "delete"}, "needs reply_to"),
        ({"type": "consent"}, "a consent needs consent"),
        ({"type": "consent", "consent": "maybe"}, "consent: "),
        ({"type": "consent", "consent": "blocked"}, "consent: "),
    ],
)
def test_a_wrong_field_is_named_and_its_content_is_not_shown(
    changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PayloadUnreadable, match=reason) as caught:
        parse_events(HEADERS, body(**changed))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "timestamp", [None, "", "x", "9" * 30], ids=["missing", "empty", "no number", "year 10^22"]
)
def test_a_missing_time_is_unreadable(timestamp: str | None) -> None:
    headers = {"webhook-id": "1"} | ({} if timestamp is None else {"webhook-timestamp": timestamp})
    with pytest.raises(PayloadUnreadable, match="webhook-timestamp"):
        parse_events(headers, body())


def test_text_at_the_limit_is_taken() -> None:
    (event,) = parse_events(HEADERS, body(text="é" * (MOST_TEXT_BYTES // 2)))
    assert len(event.text.encode()) == MOST_TEXT_BYTES


def test_text_name_and_raw_are_cleaned_and_ids_are_kept() -> None:
    sender = {"id": "ada ❤️", "name": "A\x00da\ud800"}
    (event,) = parse_events(
        HEADERS, body(sender=sender, text="a\x00b\ud800", extra={"k\x00": "\x00v"})
    )
    assert event.text == "ab\ufffd"
    assert event.sender.name == "Ada\ufffd"
    assert event.sender.id == event.thread == "ada ❤️"
    assert event.raw["extra"] == {"k": "v"}
    assert event.raw["text"] == "ab\ufffd"


def test_the_body_names_the_event_and_the_delivery_does_so_otherwise() -> None:
    (named,) = parse_events(HEADERS, body())
    (unnamed,) = parse_events(HEADERS, body(id=None))
    assert (named.external_id, unnamed.external_id) == ("evt-1", "delivery-1")


@pytest.mark.parametrize("own", ["reply", "reply.draft"])
def test_our_own_words_are_left_out_whatever_else_is_in_them(own: str) -> None:
    assert parse_events(HEADERS, json.dumps({"type": own}).encode()) == ()


def test_a_field_named_consent_is_the_senders_own_in_any_other_type() -> None:
    (event,) = parse_events(HEADERS, body(consent=True))
    assert (event.kind, event.consent) == ("message", None)
