"""What signs deliveries: kept sealed, rotated with an overlap in which old and new both sign."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from channel_kit.signing import (
    Secret,
    generate_private_key,
    generate_secret,
    parse_secret,
    public_key,
)
from coachline.foundation.ids import TenantId
from coachline.foundation.seal import Seal, SealBroken
from coachline.monitoring.tables import EndpointRow

Signature = Literal["shared", "ed25519"]
"""Both sides know a secret (``whsec_``), or the receiver knows our public key (``whpk_``)."""

OVERLAP: Final = timedelta(hours=24)
"""How long the secret before a rotation signs too."""

_TABLE: Final = "endpoint"
_CURRENT: Final = "sealed_secret"
_PREVIOUS: Final = "sealed_previous"


def make_secret(signature: Signature) -> tuple[str, str]:
    """A new secret, and what the receiver verifies with: the same, or the public key to it."""
    if signature == "shared":
        secret = generate_secret()
        return secret, secret
    secret = generate_private_key()
    return secret, public_key(secret)


class EndpointSecrets:
    """Seals and opens the secrets of endpoints, each for its own cell."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def close(self, tenant_id: TenantId, endpoint_id: UUID, secret: str) -> bytes:
        """The current secret, sealed."""
        return self._close(tenant_id, endpoint_id, secret.encode(), _CURRENT)

    def retire(self, tenant_id: TenantId, row: EndpointRow) -> bytes | None:
        """The current secret of a row, sealed as its previous one; None if it does not open."""
        try:
            secret = self._open(tenant_id, row.id, row.sealed_secret, _CURRENT)
        except SealBroken:
            return None
        return self._close(tenant_id, row.id, secret, _PREVIOUS)

    def open_signing(
        self, tenant_id: TenantId, row: EndpointRow, *, now: datetime
    ) -> Sequence[Secret]:
        """Everything that signs now, the newest first.

        Raises:
            SealBroken: the current secret does not open; without the previous one it does.
        """
        found = [self._open(tenant_id, row.id, row.sealed_secret, _CURRENT)]
        with suppress(SealBroken):
            if row.sealed_previous and row.previous_until and now < row.previous_until:
                found.append(self._open(tenant_id, row.id, row.sealed_previous, _PREVIOUS))
        return [parse_secret(secret.decode()) for secret in found]

    def reseal(self, tenant_id: TenantId, row: EndpointRow) -> bool:
        """Seal anew, in the row, what an older master key sealed; False when nothing was.

        Raises:
            SealBroken: the current secret does not open; a previous one is dropped then.
        """
        if not self._seal.is_current(row.sealed_secret):
            secret = self._open(tenant_id, row.id, row.sealed_secret, _CURRENT)
            row.sealed_secret = self._close(tenant_id, row.id, secret, _CURRENT)
        elif row.sealed_previous is None or self._seal.is_current(row.sealed_previous):
            return False
        if row.sealed_previous is not None:
            try:
                secret = self._open(tenant_id, row.id, row.sealed_previous, _PREVIOUS)
            except SealBroken:
                row.sealed_previous, row.previous_until = None, None
            else:
                row.sealed_previous = self._close(tenant_id, row.id, secret, _PREVIOUS)
        return True

    def _close(self, tenant_id: TenantId, row: UUID, secret: bytes, column: str) -> bytes:
        return self._seal.seal(secret, tenant_id=tenant_id, table=_TABLE, row=row, column=column)

    def _open(self, tenant_id: TenantId, row: UUID, sealed: bytes, column: str) -> bytes:
        return self._seal.open(sealed, tenant_id=tenant_id, table=_TABLE, row=row, column=column)
