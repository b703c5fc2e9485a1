"""Standard Webhooks: what is signed is accepted, and nothing else is."""

from __future__ import annotations

import base64
import secrets as random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_kit.errors import SignatureMismatch
from channel_kit.signing import (
    generate_secret,
    parse_secret,
    public_key,
    sign,
    verify,
)

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
BODY = b'{"type":"message","text":"h\xc3\xa9llo"}'


def encoded(length: int) -> str:
    return base64.b64encode(random.token_bytes(length)).decode()


def zeros(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


def private_secret() -> str:
    return "whsk_" + encoded(32)


def signed(secret: str, *, body: bytes = BODY, timestamp: datetime = NOW) -> dict[str, str]:
    return sign([parse_secret(secret)], message_id="msg_1", timestamp=timestamp, body=body)


def accepts(secret: str, headers: dict[str, str], body: bytes = BODY) -> bool:
    try:
        verify([parse_secret(secret)], headers, body, now=NOW)
    except SignatureMismatch:
        return False
    return True


@pytest.mark.parametrize("make", [generate_secret, private_secret], ids=["v1", "v1a"])
def test_what_was_signed_is_accepted(make: Callable[[], str]) -> None:
    secret = make()
    assert accepts(secret, signed(secret))


def test_the_vector_of_the_specification_is_reproduced() -> None:
    """The example that Standard Webhooks' own libraries are tested with."""
    headers = sign(
        [parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_public_key_proves_what_its_private_key_signed() -> None:
    secret = private_secret()
    assert accepts(public_key(secret), signed(secret))
    assert not accepts(public_key(private_secret()), signed(secret))


def test_a_private_key_with_its_public_half_is_the_same_key() -> None:
    seed = random.token_bytes(32)
    short = "whsk_" + base64.b64encode(seed).decode()
    public = base64.b64decode(public_key(short).removeprefix("whpk_"))
    long = "whsk_" + base64.b64encode(seed + public).decode()
    assert accepts(short, signed(long))


def test_each_of_two_secrets_is_accepted_while_rotating() -> None:
    old, new, stranger = generate_secret(), generate_secret(), generate_secret()
    both = [parse_secret(new), parse_secret(old)]
    verify(both, signed(old), BODY, now=NOW)
    verify(both, signed(new), BODY, now=NOW)
    with pytest.raises(SignatureMismatch):
        verify(both, signed(stranger), BODY, now=NOW)


def test_every_secret_signs_while_rotating() -> None:
    old, new = generate_secret(), private_secret()
    headers = sign([parse_secret(new), parse_secret(old)], message_id="m", timestamp=NOW, body=BODY)
    assert [s.split(",")[0] for s in headers["webhook-signature"].split(" ")] == ["v1a", "v1"]
    assert accepts(old, headers)
    assert accepts(public_key(new), headers)


def test_the_time_zone_of_the_timestamp_does_not_matter() -> None:
    secret = generate_secret()
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert signed(secret, timestamp=elsewhere) == signed(secret)


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(-301, False), (-300, True), (300, True), (301, False)]
)
def test_the_window_is_300_seconds_both_ways(seconds: int, accepted: bool) -> None:
    secret = generate_secret()
    headers = signed(secret, timestamp=NOW + timedelta(seconds=seconds))
    assert accepts(secret, headers) is accepted


@pytest.mark.parametrize("make", [generate_secret, private_secret], ids=["v1", "v1a"])
@given(position=st.integers(0, len(BODY) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_is_refused(make: Callable[[], str], position: int, flip: int) -> None:
    secret = make()
    changed = bytearray(BODY)
    changed[position] ^= flip
    assert not accepts(secret, signed(secret), bytes(changed))


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "v1",
        "v1,",
        "v1,!!!!",
        "v1,YQ",
        "v1a,YQ==",
        "v1,é",
        "v2,YQ==",
        "\udcff",
        "a.b",
        "a\nb",
        "x" * 9000,
        "1_0",
        "+1763467200",
        "-1",
        "١٢٣",
        "9" * 5000,
        "nan",
        "1763467200.0",
        " ".join(["v1,YQ=="] * 400),
    ],
)
def test_a_malformed_header_is_a_mismatch(header: str, value: str | None) -> None:
    secret = generate_secret()
    headers = signed(secret)
    if value is None:
        del headers[header]
    else:
        headers[header] = value
    assert not accepts(secret, headers)


@given(
    headers=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        st.text(st.characters(), max_size=50),
    ),
    body=st.binary(max_size=50),
)
def test_no_input_raises_anything_but_a_mismatch(headers: dict[str, str], body: bytes) -> None:
    assert not accepts(generate_secret(), headers, body)


def test_a_signature_may_come_without_its_padding() -> None:
    secret = generate_secret()
    headers = signed(secret)
    headers["webhook-signature"] = headers["webhook-signature"].rstrip("=")
    assert accepts(secret, headers)


@pytest.mark.parametrize(("others", "accepted"), [(15, True), (16, False)])
def test_one_of_sixteen_signatures_is_looked_for_and_of_more_none(
    others: int, accepted: bool
) -> None:
    secret = generate_secret()
    headers = signed(secret)
    headers["webhook-signature"] = " ".join(["v1,YQ=="] * others + [headers["webhook-signature"]])
    assert accepts(secret, headers) is accepted


def test_the_longest_id_and_the_longest_timestamp_are_accepted() -> None:
    secret = parse_secret(generate_secret())
    far = datetime(6000, 1, 1, tzinfo=UTC)
    headers = sign([secret], message_id="x" * 512, timestamp=far, body=BODY)
    assert len(headers["webhook-timestamp"]) == 12
    verify([secret], headers, BODY, now=far)


def test_an_id_cannot_move_into_the_body() -> None:
    """`a` + `1` + `2.x` and `a.1` + `2` + `x` have the same signed content."""
    secret = generate_secret()
    seconds = str(int(NOW.timestamp()))
    headers = signed(secret, body=f"{seconds}.x".encode())
    headers |= {"webhook-id": f"msg_1.{seconds}"}
    assert not accepts(secret, headers, b"x")


def test_nobody_is_accepted_without_a_secret() -> None:
    with pytest.raises(SignatureMismatch):
        verify([], signed(generate_secret()), BODY, now=NOW)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "starts with"),
        (" ", "starts with"),
        ("whsec", "starts with"),
        ("whsec_", "24 to 64"),
        ("whsec_" + zeros(23), "24 to 64"),
        ("whsec_" + zeros(65), "24 to 64"),
        ("whsec_éééé", "not base64"),
        ("whsec_a b c d", "not base64"),
        ("whpk_" + zeros(31), "whpk_ public key holds 32 bytes"),
        ("whsk_" + zeros(33), "32 or 64"),
        ("whsk_" + zeros(64), "belong together"),
        ("sk_" + zeros(32), "starts with"),
    ],
)
def test_a_bad_secret_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_secret(text)
    assert len(text) < 10 or text not in str(caught.value)


def test_a_secret_is_not_in_its_representation() -> None:
    text = generate_secret()
    assert text.removeprefix("whsec_") not in repr(parse_secret(text))


def test_generated_secrets_are_long_and_differ() -> None:
    first, second = generate_secret(), generate_secret()
    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32


@pytest.mark.parametrize("message_id", ["", "a.b", "a b\n", "é", "x" * 513])
def test_an_id_that_would_not_verify_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        sign([parse_secret(generate_secret())], message_id=message_id, timestamp=NOW, body=BODY)


def test_signing_needs_a_signing_secret_and_a_zone() -> None:
    secret = parse_secret(generate_secret())
    with pytest.raises(ValueError, match="no secret"):
        sign([], message_id="m", timestamp=NOW, body=BODY)
    with pytest.raises(ValueError, match="cannot sign"):
        sign([parse_secret(public_key(private_secret()))], message_id="m", timestamp=NOW, body=BODY)
    with pytest.raises(ValueError, match="time zone"):
        sign([secret], message_id="m", timestamp=NOW.replace(tzinfo=None), body=BODY)
    with pytest.raises(ValueError, match="whsk_"):
        public_key(generate_secret())
