"""Secrets at rest: AES-256-GCM, bound to the one cell they were sealed for, rotated online.

A sealed value is ``version (1) | length of key id (1) | key id | nonce (12) | ciphertext and tag``.
The associated data is every part of the cell's address, each with its length in front, so that no
two addresses can spell the same bytes and a value copied to another tenant, row or column does
not open. A nonce is random: one master key is good for 2**32 values (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coachline.foundation.errors import CoachlineError, SettingsInvalid
from coachline.foundation.ids import TenantId

_VERSION = 1
_HEADER_BYTES = 2
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32
_MARKING = b"coachline marks"
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class SealBroken(CoachlineError):
    """A sealed value does not open here: changed, moved, cut, or its master key is not known."""

    code = "seal_broken"


class Seal:
    """Seals and opens small secrets under named master keys.

    Args:
        master_keys: 32-byte keys by id; old ones stay until every value is sealed anew.
        active: id of the key that seals from now on.

    Raises:
        SettingsInvalid: a key has the wrong size, an id the wrong shape, or ``active`` is missing.
    """

    def __init__(self, master_keys: Mapping[str, bytes], active: str) -> None:
        for key_id, key in master_keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise SettingsInvalid("A master key's id is 1-64 letters, digits or any of _.-")
            if len(key) != _KEY_BYTES:
                raise SettingsInvalid(f"Master key {key_id} must be 32 bytes, not {len(key)}.")
        if active not in master_keys:
            raise SettingsInvalid("There is no master key under the active id.")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in master_keys.items()}
        self._active = active
        # The active one first. Never the master key itself: one key, one use.
        self._marking = [
            hmac.digest(master_keys[key_id], _MARKING, hashlib.sha256)
            for key_id in sorted(master_keys, key=lambda key_id: key_id != active)
        ]

    def __repr__(self) -> str:
        return f"Seal(keys={sorted(self._ciphers)}, active={self._active!r})"

    def seal(
        self, plaintext: bytes, *, tenant_id: TenantId, table: str, row: UUID, column: str
    ) -> bytes:
        """``plaintext`` under the active key, for this cell only. Sealing twice differs."""
        header = _header(self._active)
        nonce = os.urandom(_NONCE_BYTES)
        bound = _address(header, tenant_id, table, row, column)
        return header + nonce + self._ciphers[self._active].encrypt(nonce, plaintext, bound)

    def open(
        self, sealed: bytes, *, tenant_id: TenantId, table: str, row: UUID, column: str
    ) -> bytes:
        """What was sealed for this cell.

        Raises:
            SealBroken: it was sealed for another cell, changed, cut, or under an unknown key.
        """
        key_id, header, rest = _split(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBroken(
                "A stored secret was sealed under a master key that is not configured; "
                "add that key to COACHLINE_MASTER_KEYS."
            )
        bound = _address(header, tenant_id, table, row, column)
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], bound)
        except InvalidTag:
            raise SealBroken("A stored secret was changed or moved and cannot be used.") from None

    def marks(self, text: str, *, tenant_id: TenantId, purpose: str) -> list[str]:
        """What may stand for ``text`` where it is erased itself, so that it is known again.

        One mark for each master key, the active one's first: that one is kept, and all are looked
        for. Who has the database without the keys cannot even try whose mark it is (HMAC-SHA256).
        """
        said = b"".join(
            len(part).to_bytes(4, "big") + part
            for part in (tenant_id.bytes, purpose.encode(), text.encode("utf-8", "replace"))
        )
        return [hmac.digest(key, said, hashlib.sha256).hex() for key in self._marking]

    def is_current(self, sealed: bytes) -> bool:
        """Whether the active key sealed it; a value that is not readable is not current."""
        try:
            return _split(sealed)[0] == self._active
        except SealBroken:
            return False

    def reseal(
        self, sealed: bytes, *, tenant_id: TenantId, table: str, row: UUID, column: str
    ) -> bytes:
        """The same secret under the active key; ``sealed`` itself when it already is.

        Raises:
            SealBroken: it does not open.
        """
        if self.is_current(sealed):
            return sealed
        plaintext = self.open(sealed, tenant_id=tenant_id, table=table, row=row, column=column)
        return self.seal(plaintext, tenant_id=tenant_id, table=table, row=row, column=column)


def parse_master_keys(text: str) -> Seal:
    """A :class:`Seal` from ``id:base64(32 bytes)[,id:base64…]``, the newest (active) key first.

    Raises:
        SettingsInvalid: the text has another shape; no part of a key is shown.
    """
    keys: dict[str, bytes] = {}
    for number, part in enumerate((piece.strip() for piece in text.split(",")), start=1):
        key_id, colon, encoded = part.partition(":")
        if not colon:
            raise SettingsInvalid(f"Master key {number} must look like id:base64.")
        if key_id in keys:
            raise SettingsInvalid(f"Master key {number} has the id of an earlier one.")
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise SettingsInvalid(f"Master key {number} is not valid base64.") from None
    return Seal(keys, active=next(iter(keys)))


def _header(key_id: str) -> bytes:
    return bytes((_VERSION, len(key_id))) + key_id.encode("ascii")


def _split(sealed: bytes) -> tuple[str, bytes, bytes]:
    if len(sealed) < _HEADER_BYTES or sealed[0] != _VERSION:
        raise SealBroken("A stored secret has an unknown format.")
    end = _HEADER_BYTES + sealed[1]
    header, rest = sealed[:end], sealed[end:]
    if len(header) < end or len(rest) < _NONCE_BYTES + _TAG_BYTES:
        raise SealBroken("A stored secret was cut.")
    try:
        return header[_HEADER_BYTES:].decode("ascii"), header, rest
    except UnicodeDecodeError:
        raise SealBroken("A stored secret has an unknown format.") from None


def _address(header: bytes, tenant_id: TenantId, table: str, row: UUID, column: str) -> bytes:
    parts = (header, tenant_id.bytes, table.encode(), row.bytes, column.encode())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
