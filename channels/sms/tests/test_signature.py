"""Only what Twilio signed for this address is taken; its own library is asked about the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # it has no types

from channel_kit import SignatureMismatch, WebhookRequest
from channel_sms import SmsChannel, SmsConfig
from channel_sms.signature import MOST_FIELDS, OVERRIDES
from coachline_lab.twilio import FakeTwilio
from coachline_lab.twilio.webhooks import sign

TOKEN, SECOND, SHARED = "primary-token", "secondary-token", "shared-key-secret"
KEY_ID = "webhooks_sharedkey_01"
CONFIG = {
    "account_sid": "AC" + "0" * 32,
    "auth_token": TOKEN,
    "secondary_auth_token": SECOND,
    "shared_keys": {KEY_ID: SHARED},
    "from_number": "+15550006789",
}
URL = "https://coach.example/webhooks/0198?b=2&a=1"
FIELDS = [("MessageSid", "SM1"), ("From", "+1555"), ("Body", " Grüße 👋 & more "), ("FromCity", "")]
SETTINGS = f"key={KEY_ID},algorithm=HMAC_SHA256"


class Fields(list[tuple[str, str]]):
    """A form as Twilio's library wants it, with fields that are there twice."""

    def __iter__(self) -> Any:
        return iter(dict(self.pairs))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(super().__iter__())

    def getlist(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


def their_signature(
    url: str, fields: list[tuple[str, str]], token: str = TOKEN, algorithm: str = "HMAC_SHA1"
) -> str:
    return str(RequestValidator(token).compute_signature(url, Fields(fields), algorithm))


def request(
    *,
    url: str = URL,
    fields: list[tuple[str, str]] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> WebhookRequest:
    form = FIELDS if fields is None else fields
    return WebhookRequest(
        url=url,
        headers={
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "x-twilio-signature": their_signature(URL, FIELDS),
            **(headers or {}),
        },
        body=urlencode(form).encode() if body is None else body,
        received_at=datetime(2026, 11, 18, tzinfo=UTC),
    )


def verify(given: WebhookRequest, **config: Any) -> None:
    SmsChannel(SmsConfig.model_validate(CONFIG | config), None).verify(given)  # type: ignore[arg-type]  # makes no call


def is_refused(given: WebhookRequest) -> bool:
    with pytest.raises(SignatureMismatch) as caught:
        verify(given)
    shown = f"{caught.value!r}"
    return not any(secret in shown for secret in (TOKEN, SECOND, SHARED))


@pytest.mark.parametrize("token", [TOKEN, SECOND])
def test_both_auth_tokens_are_accepted_while_they_rotate(token: str) -> None:
    verify(request(headers={"x-twilio-signature": their_signature(URL, FIELDS, token)}))


@pytest.mark.parametrize(
    ("ours", "signed"),
    [
        ("https://c.example/w", "https://c.example:443/w"),
        ("https://c.example:443/w", "https://c.example/w"),
        ("http://c.example/w", "http://c.example:80/w"),
        ("https://c.example:8443/w?a=b:1", "https://c.example/w?a=b:1"),
        ("https://[::1]:8443/w", "https://[::1]:8443/w"),
        ("https://c.example/w?x=1", f"https://c.example/w?x=1{OVERRIDES}"),
    ],
)
def test_the_port_and_our_own_overrides_may_be_signed_or_not(ours: str, signed: str) -> None:
    verify(request(url=ours, headers={"x-twilio-signature": their_signature(signed, FIELDS)}))


def test_a_shared_key_proves_by_sha_256() -> None:
    signature = their_signature(URL, FIELDS, SHARED, "HMAC_SHA256")
    verify(
        request(
            headers={
                "x-twilio-signature": signature,
                "x-twilio-webhooks-signature-settings": SETTINGS,
            }
        )
    )


def test_a_json_body_is_proven_by_its_hash_in_the_address() -> None:
    body = json.dumps({"text": "Grüße"}).encode()
    verify(signed_json(body))
    assert is_refused(signed_json(body).model_copy(update={"body": body + b" "}))


def signed_json(
    body: bytes, content_type: str = "application/json", also: str = ""
) -> WebhookRequest:
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}{also}"
    signature = str(RequestValidator(TOKEN).compute_signature(url, {}))
    headers = {"content-type": content_type, "x-twilio-signature": signature}
    return request(url=url, body=body, headers=headers)


def other(**changed: Any) -> WebhookRequest:
    return request(**changed)


FORGERIES = {
    "no header": request().model_copy(update={"headers": {}}),
    "an empty header": other(headers={"x-twilio-signature": ""}),
    "another token": other(headers={"x-twilio-signature": their_signature(URL, FIELDS, "x")}),
    "plain http": other(url=URL.replace("https", "http")),
    "another host": other(url=URL.replace("coach.", "couch.")),
    "another port": other(url=URL.replace(".example/", ".example:8080/")).model_copy(
        update={
            "headers": {
                "x-twilio-signature": their_signature(
                    URL.replace(".example/", ".example:8081/"), FIELDS
                )
            }
        }
    ),
    "a trailing slash": other(url=URL.replace("0198?", "0198/?")),
    "another order of the query": other(url=URL.replace("b=2&a=1", "a=1&b=2")),
    "a dropped blank field": other(fields=[*FIELDS[:-1], ("Other", "")]),
    "stripped blanks": other(fields=[(n, v.strip()) for n, v in FIELDS]),
    "a changed body": other(fields=[*FIELDS[:2], ("Body", "Buy!"), FIELDS[3]]),
    "an added field": other(fields=[*FIELDS, ("Extra", "1")]),
    "a second value": other(fields=[*FIELDS, ("Body", "Buy!")]),
    "JSON without its hash": other(
        body=b"{}",
        headers={
            "content-type": "application/json",
            "x-twilio-signature": their_signature(URL, []),
        },
    ),
    "JSON called a form, and emptied": signed_json(b'{"a": 1}').model_copy(update={"body": b""}),
    "JSON called a form, and changed": signed_json(
        b'{"a": 1}', "application/x-www-form-urlencoded"
    ).model_copy(update={"body": b"="}),
    "JSON signed as a form": other(
        body=b"{}",
        headers={
            "content-type": "application/json; charset=utf-8",
            "x-twilio-signature": their_signature(URL, [("{}", "")]),
        },
    ),
    "JSON with a second hash": signed_json(b"{}", also="&bodySHA256=0"),
    "a form with a blank hash": other(
        url=f"{URL}&bodySHA256=",
        headers={"x-twilio-signature": their_signature(f"{URL}&bodySHA256=", FIELDS)},
    ),
    "nothing, though it is signed": other(
        body=b"", headers={"x-twilio-signature": their_signature(URL, [])}
    ),
    "SHA-1 called SHA-256": other(headers={"x-twilio-webhooks-signature-settings": SETTINGS}),
    "SHA-256 with the auth token": other(
        headers={
            "x-twilio-signature": their_signature(URL, FIELDS, TOKEN, "HMAC_SHA256"),
            "x-twilio-webhooks-signature-settings": SETTINGS,
        }
    ),
    "SHA-1 with a shared key": other(
        headers={
            "x-twilio-signature": their_signature(URL, FIELDS, SHARED),
            "x-twilio-webhooks-signature-settings": f"key={KEY_ID},algorithm=HMAC_SHA1",
        }
    ),
    "a key of nobody": other(
        headers={"x-twilio-webhooks-signature-settings": "key=x,algorithm=HMAC_SHA256"}
    ),
    "too many fields": other(fields=[(f"n{n}", "") for n in range(MOST_FIELDS + 1)]),
    "bytes that are no text": other(body=b"Body=\xff\xfe"),
    "an address that is none": other(url="coach.example"),
    "an address with half a bracket": other(url="https://[::1/webhooks"),
    "a signature that is not ASCII": other(headers={"x-twilio-signature": "é\udcff"}),
    "settings that are junk": other(headers={"x-twilio-webhooks-signature-settings": ",=,=é"}),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_everything_forged_is_a_mismatch_and_nothing_else(forgery: WebhookRequest) -> None:
    assert is_refused(forgery)


def test_what_is_not_signed_at_all_is_told_from_what_is_signed_wrongly() -> None:
    with pytest.raises(SignatureMismatch, match="not signed"):
        verify(FORGERIES["no header"])
    with pytest.raises(SignatureMismatch, match="no secret"):
        verify(FORGERIES["another token"])


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
            st.text(st.characters(codec="utf-8"), max_size=12),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_form_is_judged_as_twilios_library_judges_it(pairs: list[tuple[str, str]]) -> None:
    # What a parser gives back, as both read the same bytes.
    body = urlencode(pairs)
    read = parse_qsl(body, keep_blank_values=True)
    signature = their_signature(URL, read)
    assert RequestValidator(TOKEN).validate(URL, Fields(read), signature)
    verify(request(fields=pairs, headers={"x-twilio-signature": signature}))
    assert is_refused(request(fields=pairs, headers={"x-twilio-signature": signature[::-1]}))


@pytest.mark.parametrize("key", [None, (KEY_ID, SHARED)])
async def test_the_labs_twilio_signs_as_twilios_library_wants_it(
    key: tuple[str, str] | None,
) -> None:
    async with FakeTwilio() as fake:
        fake.account.shared_key = key
        delivery = await fake.say("Grüße 👋 & more ")
        headers = sign(fake.account, URL, delivery.fields)
    secret, algorithm = (SHARED, "HMAC_SHA256") if key else (fake.account.token, "HMAC_SHA1")
    given = headers["X-Twilio-Signature"]
    assert RequestValidator(secret).validate(URL, dict(delivery.fields), given, algorithm)
