"""Standard Webhooks 1.0.0: signing and verifying raw bytes.

Rules from https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md:
``v1`` is HMAC-SHA256, ``v1a`` is ed25519; the signed content is ``{id}.{timestamp}.{raw body}``;
secrets are written ``whsec_`` (shared), ``whsk_`` (private key) and ``whpk_`` (public key), each
followed by base64. Several secrets at once are what rotation looks like.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channel_kit.errors import SignatureMismatch

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

WINDOW_SECONDS: Final = 300
"""How far a timestamp may lie from the receiving clock, in either direction."""

_SHARED_BYTES: Final = range(24, 65)
_GENERATED_BYTES: Final = 32
_SEED_BYTES: Final = 32
_SEED_AND_PUBLIC_BYTES: Final = 64
_LONGEST_ID: Final = 512
# A rotation carries two or three; more is somebody buying our ed25519 time.
_MOST_SIGNATURES: Final = 16
_LONGEST_TIMESTAMP: Final = 12


class Secret(Protocol):
    """One secret of an endpoint; made by :func:`parse_secret`, its value is in no ``repr``."""

    @property
    def version(self) -> str:
        """The signature version it makes and checks: ``v1`` or ``v1a``."""
        ...

    def sign(self, content: bytes) -> bytes:
        """Return the raw signature of ``content``.

        Raises:
            ValueError: it is a public key.
        """
        ...

    def matches(self, content: bytes, signature: bytes) -> bool:
        """Tell in constant time whether ``signature`` is this secret's for ``content``."""
        ...


class _SharedSecret:
    version = "v1"

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, content: bytes) -> bytes:
        return hmac.new(self._key, content, hashlib.sha256).digest()

    def matches(self, content: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(content), signature)


class _PublicKey:
    version = "v1a"

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._public = key

    def sign(self, content: bytes) -> bytes:
        raise ValueError("a public key (whpk_) cannot sign")

    def exported(self) -> str:
        raw = self._public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return "whpk_" + base64.b64encode(raw).decode()

    def matches(self, content: bytes, signature: bytes) -> bool:
        try:
            self._public.verify(signature, content)
        except InvalidSignature:
            return False
        return True


class _PrivateKey(_PublicKey):
    def __init__(self, key: Ed25519PrivateKey) -> None:
        super().__init__(key.public_key())
        self._private = key

    def sign(self, content: bytes) -> bytes:
        return self._private.sign(content)


def generate_secret() -> str:
    """Return a new shared secret: ``whsec_`` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(random.token_bytes(_GENERATED_BYTES)).decode()


def generate_private_key() -> str:
    """Return a new ed25519 key: ``whsk_`` and its 32-byte seed; see :func:`public_key`."""
    return "whsk_" + base64.b64encode(random.token_bytes(_SEED_BYTES)).decode()


def parse_secret(text: str) -> Secret:
    """Read a ``whsec_``, ``whsk_`` or ``whpk_`` secret; the message of an error never shows it.

    A private key is the 32-byte seed, or the seed followed by its public key (64 bytes).

    Raises:
        ValueError: blank, another prefix, not base64, or the wrong length.
    """
    prefix, separator, encoded = text.partition("_")
    if not separator or prefix not in ("whsec", "whsk", "whpk"):
        raise ValueError("a secret starts with whsec_, whsk_ or whpk_")
    key = _decode(encoded)
    if key is None:
        raise ValueError(f"what follows {prefix}_ is not base64")
    if prefix == "whsec":
        if len(key) not in _SHARED_BYTES:
            raise ValueError("a whsec_ secret holds 24 to 64 bytes")
        return _SharedSecret(key)
    if prefix == "whpk":
        if len(key) != _SEED_BYTES:
            raise ValueError("a whpk_ public key holds 32 bytes")
        return _PublicKey(Ed25519PublicKey.from_public_bytes(key))
    return _private_key(key)


def sign(
    secrets: Sequence[Secret], *, message_id: str, timestamp: datetime, body: bytes
) -> dict[str, str]:
    """Return the three headers that prove ``body``, signed with every secret.

    ``message_id`` is the receiver's idempotency key, the same over all attempts; ``timestamp`` is
    the time of this attempt, in any time zone.

    Raises:
        ValueError: no secret, a public key among them, an id that is empty, long, not printable
            ASCII or has a ``.`` (which would let the signed content be cut elsewhere), or a
            timestamp without a zone.
    """
    if not secrets:
        raise ValueError("there is no secret to sign with")
    if not _is_id(message_id):
        raise ValueError("a message id is 1 to 512 printable ASCII characters other than '.'")
    if timestamp.tzinfo is None:
        raise ValueError("the timestamp has no time zone")
    seconds = str(int(timestamp.timestamp()))
    content = _content(message_id, seconds, body)
    signatures = (f"{s.version},{base64.b64encode(s.sign(content)).decode()}" for s in secrets)
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: seconds,
        SIGNATURE_HEADER: " ".join(signatures),
    }


def verify(
    secrets: Sequence[Secret], headers: Mapping[str, str], body: bytes, *, now: datetime
) -> None:
    """Prove that a holder of one of ``secrets`` signed these bytes within 300 s of ``now``.

    ``headers`` has lower-case names; ``now`` is timezone-aware.

    Raises:
        SignatureMismatch: whatever is wrong, malformed headers included; nothing else is raised.
    """
    message_id = headers.get(ID_HEADER, "")
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    signatures = headers.get(SIGNATURE_HEADER, "").split(" ")
    if not _is_id(message_id):
        raise SignatureMismatch(f"{ID_HEADER} is missing or malformed")
    seconds = _seconds(timestamp)
    if seconds is None:
        raise SignatureMismatch(f"{TIMESTAMP_HEADER} is missing or malformed")
    if abs(now.timestamp() - seconds) > WINDOW_SECONDS:
        raise SignatureMismatch(f"{TIMESTAMP_HEADER} is more than {WINDOW_SECONDS} s away")
    if len(signatures) > _MOST_SIGNATURES:
        raise SignatureMismatch(f"{SIGNATURE_HEADER} has more than {_MOST_SIGNATURES} signatures")
    content = _content(message_id, timestamp, body)
    # A list, not a generator: every pair is compared, so time does not tell which one matched.
    matched = [_matches(s, content, item) for s in secrets for item in signatures]
    if not any(matched):
        raise SignatureMismatch(f"{SIGNATURE_HEADER} has no signature of this endpoint")


def public_key(secret: str) -> str:
    """Return the ``whpk_`` text that belongs to a ``whsk_`` secret, to be given away.

    Raises:
        ValueError: it is not a private key.
    """
    key = parse_secret(secret)
    if not isinstance(key, _PrivateKey):
        raise ValueError("only a whsk_ secret has a public key")
    return key.exported()


def _private_key(key: bytes) -> _PrivateKey:
    if len(key) not in (_SEED_BYTES, _SEED_AND_PUBLIC_BYTES):
        raise ValueError("a whsk_ private key holds 32 or 64 bytes")
    private = Ed25519PrivateKey.from_private_bytes(key[:_SEED_BYTES])
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    if key[_SEED_BYTES:] not in (b"", public):
        raise ValueError("the two halves of the whsk_ private key do not belong together")
    return _PrivateKey(private)


def _content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return b".".join((message_id.encode(), timestamp.encode(), body))


def _matches(secret: Secret, content: bytes, item: str) -> bool:
    version, _, encoded = item.partition(",")
    signature = _decode(encoded)
    return (
        version == secret.version and signature is not None and secret.matches(content, signature)
    )


def _decode(encoded: str) -> bytes | None:
    """Decode strict base64, padding optional as in the other implementations."""
    try:
        padded = encoded.encode("ascii") + b"=" * (-len(encoded) % 4)
        return base64.b64decode(padded, validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def _is_id(text: str) -> bool:
    return (
        0 < len(text) <= _LONGEST_ID and "." not in text and text.isascii() and text.isprintable()
    )


def _seconds(text: str) -> int | None:
    # int() alone would take signs, underscores, blanks and the digits of other scripts.
    is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_TIMESTAMP
    return int(text) if is_number else None
