"""What comes in beyond the samples: doubtful claims, odd consent, broken forms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from channel_kit import InboundEvent, PayloadUnreadable, WebhookRequest
from channel_sms import SmsChannel, SmsConfig

CONFIG = {
    "account_sid": "AC" + "0" * 32,
    "auth_token": "a-test-token",
    "from_number": "+15550006789",
}
FORM = {"MessageSid": "SM1", "From": "+15557650001", "To": "+15550006789", "Body": "Hi"}
CHANNEL = SmsChannel(SmsConfig.model_validate(CONFIG), None)  # type: ignore[arg-type]  # makes no call


FORM_TYPE = "application/x-www-form-urlencoded"


def request(
    body: bytes,
    url: str = "https://c.example/w",
    content_type: str = FORM_TYPE,
) -> WebhookRequest:
    return WebhookRequest(
        url=url,
        headers={"content-type": content_type},
        body=body,
        received_at=datetime(2026, 11, 18, tzinfo=UTC),
    )


def parse(
    url: str = "https://c.example/w",
    *,
    changed: Mapping[str, str | None] | None = None,
    **more: Any,
) -> list[InboundEvent]:
    given = {**FORM, **(changed or {}), **more}
    form = {name: value for name, value in given.items() if value is not None}
    return list(CHANNEL.parse(request(urlencode(form).encode(), url)))


@pytest.mark.parametrize("field", ["MessageSid", "From"])
@pytest.mark.parametrize("value", [None, "", "a\x00b", "x" * 513])
def test_an_id_that_is_missing_or_odd_is_unreadable(field: str, value: str | None) -> None:
    with pytest.raises(PayloadUnreadable) as caught:
        parse(changed={field: value})
    assert "a\x00b" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff", FORM_TYPE),
        (b"&".join([b"a=1"] * 501), FORM_TYPE),
        (b'{"MessageSid": "SM1"}', "application/json"),
    ],
)
def test_what_is_no_form_is_unreadable(body: bytes, content_type: str) -> None:
    with pytest.raises(PayloadUnreadable):
        CHANNEL.parse(request(body, content_type=content_type))


@pytest.mark.parametrize(
    ("said", "told", "consent", "text"),
    [
        ("STOPALL", None, "stop", ""),
        (" revoke\n", None, "stop", ""),
        ("Stop!", None, "stop", "Stop!"),
        ("stop.", None, "stop", "stop."),
        ("UNSTOP", None, "start", ""),
        ("whatever", "STOP", "stop", ""),
        ("stop", "START", "start", ""),
    ],
)
def test_consent_is_confirmed_by_us_only_where_twilio_did_not(
    said: str, told: str | None, consent: str, text: str
) -> None:
    (event,) = parse(Body=said, OptOutType=told)
    assert (event.kind, event.consent, event.text) == ("consent", consent, text)


def test_advanced_opt_out_on_whatsapp_is_twilios_answer_too() -> None:
    (event,) = parse(From="whatsapp:+15557650001", Body="STOP", OptOutType="STOP")
    assert (event.consent, event.text) == ("stop", "")


def test_the_first_of_two_equal_fields_counts() -> None:
    body = urlencode([*FORM.items(), ("Body", "other")]).encode()
    (event,) = CHANNEL.parse(request(body))
    assert event.text == "Hi"


def test_files_count_by_their_fields_up_to_ten() -> None:
    fields = {f"MediaUrl{n}": f"https://api.twilio.com/Media/{n}" for n in range(12)}
    (event,) = parse(changed={"NumMedia": "99", **fields})
    assert len(event.attachments) == 10
    assert event.attachments[0].kind == "other"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.twilio.com/x",
        "https://api.twilio.com:8443/x",
        "https://user@api.twilio.com/x",
        "https://api.twilio.com@evil.example/x",
        "https://[::1/x",
        "file:///etc/passwd",
    ],
)
def test_a_file_elsewhere_has_no_reference(url: str) -> None:
    (event,) = parse(MediaUrl0=url, MediaContentType0="image/png")
    assert event.attachments[0].reference is None


@pytest.mark.parametrize(
    ("status", "error", "is_unreachable", "problem"),
    [
        ("failed", "21610", True, "21610: the recipient opted out with STOP"),
        ("undelivered", "30005", True, "30005: the number is unknown or no longer in service"),
        (
            "undelivered",
            "30003",
            False,
            "30003: the handset could not be reached (off, or out of coverage)",
        ),
        ("failed", "99999", False, "Twilio's error 99999"),
        ("canceled", "", False, None),
        ("failed", "", False, "failed"),
        ("failed", "9" * 5000, False, "failed"),
        ("delivered", "21610", False, "21610: the recipient opted out with STOP"),
    ],
)
def test_a_status_says_what_became_of_which_reply(
    status: str, error: str, is_unreachable: bool, problem: str | None
) -> None:
    url = "https://c.example/w?reply=0198%2Fa"
    if len(error) > 500:
        with pytest.raises(PayloadUnreadable):
            parse(url, MessageStatus=status, ErrorCode=error)
        return
    (event,) = parse(url, MessageStatus=status, ErrorCode=error)
    assert event.receipt is not None
    assert event.receipt.reply_id == "0198/a"
    assert event.receipt.is_unreachable is is_unreachable
    if status != "canceled":
        assert event.receipt.problem == problem
    assert event.thread == FORM["To"]


def test_answers_are_twiml_that_says_nothing_and_nothing_at_all() -> None:
    message = CHANNEL.acknowledge(request(urlencode(FORM).encode()))
    assert (message.status, message.content_type) == (200, "text/xml; charset=utf-8")
    assert message.body.endswith(b"<Response/>")
    status = CHANNEL.acknowledge(request(urlencode({**FORM, "MessageStatus": "sent"}).encode()))
    assert (status.status, status.body) == (204, b"")
    assert CHANNEL.acknowledge(request(b"\xff")).status == 200
