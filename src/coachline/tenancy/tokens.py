"""Tokens that carry their tenant: API keys ``cl_…``, and what a browser is known by.

A token is a prefix, then the tenant's id (16 bytes) and random bytes in base 62, then 6 characters
of CRC-32 of all that stands before. The tenant inside lets the token be looked up under row-level
security, with no table across tenants; the checksum refuses a typing error or a blind guess without
asking the database, and lets secret scanners confirm a leak without asking anyone (GitHub's scheme
of 2021).
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from coachline.foundation.ids import TenantId

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_UUID_BYTES = 16
_CHECK_WIDTH = 6  # 62**6 > 2**32


@dataclass(frozen=True, slots=True)
class TokenKind:
    """What tokens of one purpose look like; none of another purpose passes for one.

    ``body_width`` is the least number of characters that holds the tenant's id and the random
    bytes: ``62**body_width > 256**(16 + random_bytes)``.
    """

    prefix: str
    random_bytes: int
    body_width: int


API_KEY: Final = TokenKind("cl_", 24, 54)
SESSION: Final = TokenKind("cs_", 32, 65)
"""A browser that is signed in to the console."""
TICKET: Final = TokenKind("ct_", 32, 65)
"""Good once: a sign-in link, or the way to a provider of identities and back."""


def make_token(tenant_id: TenantId, kind: TokenKind = API_KEY) -> str:
    """A fresh token of a tenant."""
    body = tenant_id.bytes + secrets.token_bytes(kind.random_bytes)
    head = kind.prefix + _encode(int.from_bytes(body, "big"), kind.body_width)
    return head + _checksum(head)


def find_tenant_id(token: str, kind: TokenKind = API_KEY) -> TenantId | None:
    """Whose token this claims to be; None when it was never one of ours of this kind."""
    body_bytes = _UUID_BYTES + kind.random_bytes
    head, checksum = token[:-_CHECK_WIDTH], token[-_CHECK_WIDTH:]
    body = head.removeprefix(kind.prefix)
    if len(body) != kind.body_width or head != kind.prefix + body or set(body) - set(_ALPHABET):
        return None
    if _checksum(head) != checksum:
        return None
    number = _decode(body)
    if number >= 256**body_bytes:
        return None
    return TenantId(UUID(bytes=number.to_bytes(body_bytes, "big")[:_UUID_BYTES]))


def digest_token(token: str) -> bytes:
    """What is stored instead of the token. Plain SHA-256: random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def _checksum(head: str) -> str:
    return _encode(zlib.crc32(head.encode()), _CHECK_WIDTH)


def _encode(number: int, width: int) -> str:
    letters = []
    for _ in range(width):
        number, value = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[value])
    return "".join(reversed(letters))


def _decode(text: str) -> int:
    number = 0
    for letter in text:
        number = number * len(_ALPHABET) + _ALPHABET.index(letter)
    return number
