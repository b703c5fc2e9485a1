"""Slack's request signature, version 0, over the raw bytes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from channel_kit import SignatureMismatch, WebhookRequest

TIMESTAMP_HEADER: Final = "x-slack-request-timestamp"
SIGNATURE_HEADER: Final = "x-slack-signature"

WINDOW_SECONDS: Final = 300
"""How far the timestamp may be away: docs.slack.dev, "Verifying requests from Slack"."""

# Ten digits last until the year 2286; more is nobody's clock.
_MOST_DIGITS: Final = 10


def sign(key: bytes, timestamp: str, body: bytes) -> str:
    """Return the ``X-Slack-Signature`` of a body at a time in seconds."""
    content = b"v0:" + timestamp.encode("ascii") + b":" + body
    return "v0=" + hmac.new(key, content, hashlib.sha256).hexdigest()


def verify(keys: Sequence[bytes], request: WebhookRequest) -> None:
    """Prove that a holder of one of ``keys`` signed the request, within the window.

    Raises:
        SignatureMismatch: nobody did, too long ago, or the headers are not what Slack sends.
    """
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    # isdigit() alone takes digits of every script, and int() thousands of them.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MOST_DIGITS):
        raise SignatureMismatch(f"{TIMESTAMP_HEADER} is missing or malformed")
    if abs(request.received_at.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        raise SignatureMismatch(f"{TIMESTAMP_HEADER} is more than {WINDOW_SECONDS} s away")
    signature = request.headers.get(SIGNATURE_HEADER, "")
    # compare_digest refuses text beyond ASCII with a TypeError, and must not answer 500 for it.
    if not signature.isascii():
        raise SignatureMismatch(f"{SIGNATURE_HEADER} is malformed")
    genuine = [hmac.compare_digest(sign(key, timestamp, request.body), signature) for key in keys]
    if not any(genuine):
        raise SignatureMismatch("the signing secret did not sign these bytes")
