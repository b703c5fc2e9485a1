"""Who signed these bytes: asked of Slack's own verifier too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk.signature import SignatureVerifier

from channel_kit import SignatureMismatch, WebhookRequest
from channel_slack.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign, verify

KEY, OLD_KEY = b"8f742231b10e8888abcd99yyyzzz85a5", b"00742231b10e8888abcd99yyyzzz85a5"
NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
SECONDS = str(int(NOW.timestamp()))
BODY = b"token=xyzz0WbapA4vBCDEFasx0q6G&command=%2Fcoach&text=payload"


def request(body: bytes = BODY, *, at: datetime = NOW, **headers: str | None) -> WebhookRequest:
    given = {"timestamp": SECONDS, "signature": sign(KEY, SECONDS, body), **headers}
    names = {"timestamp": TIMESTAMP_HEADER, "signature": SIGNATURE_HEADER}
    return WebhookRequest(
        url="https://coach.example/",
        headers={names[name]: value for name, value in given.items() if value is not None},
        body=body,
        received_at=at,
    )


def test_what_slacks_own_verifier_signs_is_accepted_and_the_same() -> None:
    theirs = SignatureVerifier(KEY.decode()).generate_signature(timestamp=SECONDS, body=BODY)
    assert theirs == sign(KEY, SECONDS, BODY)
    verify([KEY], request(signature=theirs))


def test_slacks_documented_example_is_reproduced() -> None:
    """docs.slack.dev, "Verifying requests from Slack"."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    assert sign(KEY, "1531420618", body).startswith("v0=a2114d57b48e")


def test_both_secrets_are_accepted_while_one_replaces_the_other() -> None:
    verify([b"new", KEY], request())
    with pytest.raises(SignatureMismatch):
        verify([b"new", OLD_KEY], request())


@pytest.mark.parametrize("away", [-300, 0, 300])
def test_the_window_is_three_hundred_seconds_both_ways(away: int) -> None:
    verify([KEY], request(at=NOW + timedelta(seconds=away)))
    beyond = away + (1 if away >= 0 else -1) * 301
    with pytest.raises(SignatureMismatch, match="300 s"):
        verify([KEY], request(at=NOW + timedelta(seconds=beyond)))


@pytest.mark.parametrize(
    "timestamp", [None, "", "soon", "1.5", "-1", "１７９５００３２００", "9" * 11, "9" * 5000, " 1"]
)
def test_a_timestamp_that_is_none_is_a_mismatch(timestamp: str | None) -> None:
    with pytest.raises(SignatureMismatch, match="missing or malformed"):
        verify([KEY], request(timestamp=timestamp))


@pytest.mark.parametrize(
    "signature", [None, "", "v0=", "v0=é", "\udcff", "v1=" + "0" * 64, "v0=" + "0" * 64]
)
def test_a_signature_that_is_none_is_a_mismatch(signature: str | None) -> None:
    with pytest.raises(SignatureMismatch):
        verify([KEY], request(signature=signature))


def test_the_check_of_our_certificate_must_be_signed_like_everything_else() -> None:
    with pytest.raises(SignatureMismatch):
        verify([KEY], request(b"ssl_check=1", signature=None))
