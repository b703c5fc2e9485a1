"""The text of an API key: ``cl_``, then tenant and randomness, then a checksum.

``cl_`` + 54 characters of base 62 (16 bytes tenant id, 24 random bytes) + 6 of CRC-32 of all that
stands before. The tenant inside lets the key be looked up under row-level security, with no table
across tenants; the checksum refuses a typing error or a blind guess without asking the database,
and lets secret scanners confirm a leak without asking anyone (GitHub's scheme of 2021).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from uuid import UUID

from coachline.foundation.ids import TenantId

_PREFIX = "cl_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_UUID_BYTES = 16
_RANDOM_BYTES = 24
_BODY_BYTES = _UUID_BYTES + _RANDOM_BYTES
_BODY_WIDTH = 54  # 62**54 > 256**40
_CHECK_WIDTH = 6  # 62**6 > 2**32
_SHAPE = re.compile(rf"cl_([0-9A-Za-z]{{{_BODY_WIDTH}}})([0-9A-Za-z]{{{_CHECK_WIDTH}}})")


def make_token(tenant_id: TenantId) -> str:
    """A fresh token of a tenant, with 192 random bits."""
    body = tenant_id.bytes + secrets.token_bytes(_RANDOM_BYTES)
    head = _PREFIX + _encode(int.from_bytes(body, "big"), _BODY_WIDTH)
    return head + _checksum(head)


def find_tenant_id(token: str) -> TenantId | None:
    """Whose token this claims to be; None when it was never one of ours."""
    match = _SHAPE.fullmatch(token)
    if match is None or _checksum(_PREFIX + match[1]) != match[2]:
        return None
    number = _decode(match[1])
    if number >= 256**_BODY_BYTES:
        return None
    return TenantId(UUID(bytes=number.to_bytes(_BODY_BYTES, "big")[:_UUID_BYTES]))


def digest_token(token: str) -> bytes:
    """What is stored instead of the token. Plain SHA-256: 192 random bits need no slow hash."""
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
