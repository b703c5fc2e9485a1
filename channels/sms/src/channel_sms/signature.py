"""Twilio's two signatures over the public address and the form, and everything that is neither.

The rules are those of Twilio's "Webhooks security" page and of the ``RequestValidator`` of its own
library; the comparison here fails closed where the library raises or lets something through.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from channel_kit import SignatureMismatch, WebhookRequest
from channel_sms.config import SmsConfig

SIGNATURE_HEADER: Final = "x-twilio-signature"
SETTINGS_HEADER: Final = "x-twilio-webhooks-signature-settings"

OVERRIDES: Final = "#rc=3&rp=all&ct=2000&rt=8000"
"""Connection overrides for the addresses that we give to Twilio: without them it tries a failed
delivery again only if no connection came about. 3 retries of every failure, 2 s to connect, 8 s
for the answer. Twilio keeps the fragment to itself; whether it signs it is not documented, so both
are accepted."""

MOST_FIELDS: Final = 500
"""A message with ten files has about 50."""

_SHA256: Final = "HMAC_SHA256"
_BODY_HASH: Final = "bodySHA256"
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


def verify_signature(config: SmsConfig, request: WebhookRequest) -> None:
    """Pass a request that the holder of one of the connection's secrets signed for this address.

    Raises:
        SignatureMismatch: nobody did. The message names the reason and shows no value.
    """
    given = request.headers.get(SIGNATURE_HEADER, "").encode("utf-8", "replace")
    if not given:
        raise SignatureMismatch("the request is not signed")
    if not request.body:
        raise SignatureMismatch("an empty body says nothing that could be signed")
    algorithm, secrets = _secrets(config, request.headers.get(SETTINGS_HEADER, ""))
    signed = _signed_fields(request)
    addresses = list(_addresses(request.url))
    matches = [
        hmac.compare_digest(_signature(secret, address + signed, algorithm), given)
        for secret in secrets
        for address in addresses
    ]
    if not any(matches):
        raise SignatureMismatch("no secret of this connection made the signature")


def read_form(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form in order: blank ones kept, nothing stripped.

    Raises:
        ValueError: it is not UTF-8, or has more than :data:`MOST_FIELDS` fields.
    """
    return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)


def is_json(headers: Mapping[str, str]) -> bool:
    """Tell whether the body is said to be JSON, which is signed in another way than a form."""
    return headers.get("content-type", "").partition(";")[0].strip().lower().endswith("json")


def _secrets(config: SmsConfig, settings: str) -> tuple[str, list[str]]:
    """Return the hash and the secrets that the settings header asks for; without it, SHA-1."""
    if not settings.strip():
        return "sha1", config.auth_tokens()
    named = {
        name.strip(): value.strip()
        for name, _, value in (part.partition("=") for part in settings.split(","))
    }
    secret = config.shared_key(named.get("key", ""))
    # A shared key belongs to SHA-256 only: nobody may choose the weaker hash for it.
    if named.get("algorithm", "").upper() != _SHA256 or secret is None:
        raise SignatureMismatch("the signature's settings name no key of this connection")
    return "sha256", [secret]


def _signed_fields(request: WebhookRequest) -> str:
    """Return what follows the address in the signed text."""
    try:
        hashes = parse_qs(urlsplit(request.url).query, keep_blank_values=True).get(_BODY_HASH)
        if hashes is not None:
            # Whatever the body calls itself: read as a form, an empty one would add nothing to
            # the signed address, and a signature of any JSON would fit it.
            _check_body_hash(hashes, request.body)
            return ""
        if is_json(request.headers):
            raise SignatureMismatch("a JSON body is only signed together with bodySHA256")
        fields: dict[str, set[str]] = {}
        for name, value in read_form(request.body):
            fields.setdefault(name, set()).add(value)
    except ValueError:
        raise SignatureMismatch("the address or the form cannot be read") from None
    return "".join(name + value for name in sorted(fields) for value in sorted(fields[name]))


def _check_body_hash(hashes: list[str], body: bytes) -> None:
    actual = hashlib.sha256(body).hexdigest().encode()
    if not all(
        hmac.compare_digest(actual, claimed.encode("utf-8", "replace")) for claimed in hashes
    ):
        raise SignatureMismatch("the body is not the one that was signed")


def _addresses(url: str) -> Iterator[str]:
    """Yield the address with and without its port: Twilio is not consistent about that."""
    whole = re.fullmatch(
        r"(?P<scheme>[a-z]+)://(?P<host>[^/?#]*?)(?P<port>:\d+)?(?P<rest>[/?#].*)?", url, re.S
    )
    if whole is None:
        raise SignatureMismatch("the address cannot be read")
    scheme, host, rest = whole["scheme"], whole["host"], whole["rest"] or ""
    port = whole["port"] or f":{_DEFAULT_PORTS.get(scheme, 443)}"
    for place in (host, host + port):
        yield f"{scheme}://{place}{rest}"
        yield f"{scheme}://{place}{rest}{OVERRIDES}"


def _signature(secret: str, text: str, algorithm: str) -> bytes:
    signed = text.encode("utf-8", "replace")
    return base64.b64encode(hmac.digest(secret.encode(), signed, algorithm))
