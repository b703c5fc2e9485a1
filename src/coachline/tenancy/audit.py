"""Who did what, per tenant: append-only, chained by hashes, so that an edit or a cut shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import UUID

from coachline.foundation.clock import Clock
from coachline.foundation.database import TenantSession
from coachline.foundation.ids import new_id
from coachline.tenancy import repository
from coachline.tenancy.tables import AuditRow

# Only what comes back from jsonb exactly as it went in: a float would not, and break the chain.
AuditDetail = str | int | bool | None

_GENESIS = bytes(32)
_BATCH = 500
_NO_DETAILS: Mapping[str, AuditDetail] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done. ``details`` never hold secrets or text of people."""

    id: UUID
    seq: int
    actor: str
    action: str
    object: str
    details: Mapping[str, AuditDetail]
    at: datetime
    digest: bytes


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What a check of a tenant's chain found.

    ``head`` is the digest of the last entry in hex: noted elsewhere and given to a later check, it
    also proves that nobody with the owner's rights wrote the whole chain anew. ``problem`` is None
    when all is well.
    """

    entries: int
    head: str
    problem: str | None


class AuditLog:
    """Writes and checks the audit log of the tenant whose session it is given."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def record(
        self,
        session: TenantSession,
        *,
        actor: str,
        action: str,
        object: str,  # noqa: A002 - the word of every audit log: actor, action, object
        details: Mapping[str, AuditDetail] = _NO_DETAILS,
    ) -> None:
        """Append an entry in the caller's transaction: what is undone was never recorded.

        Writers of one tenant wait for each other from here to their commit, so call it last.

        Args:
            session: the transaction that does what is recorded.
            actor: who, e.g. ``key:<id>`` or ``cli``.
            action: what, e.g. ``key.create``.
            object: to what, e.g. ``key:<id>``.
            details: a few plain values; no secret, no message text.
        """
        head = await repository.lock_audit_head(session, _GENESIS)
        row = AuditRow(
            tenant_id=session.tenant_id,
            id=new_id(),
            seq=head.seq + 1,
            actor=actor,
            action=action,
            object=object,
            details=dict(details),
            previous=head.digest,
            created_at=self._clock.now(),
        )
        row.digest = _digest(row)
        await repository.add_audit_entry(session, row, head)

    async def list(
        self,
        session: TenantSession,
        *,
        before_seq: int | None = None,
        action: str | None = None,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Entries below ``before_seq``, of one ``action`` if named, newest first."""
        rows = await repository.list_audit_entries(
            session, before_seq=before_seq, action=action, limit=limit
        )
        return [_entry(row) for row in rows]

    async def verify(self, session: TenantSession, *, noted: str | None = None) -> AuditCheck:
        """Read the whole chain and say whether anything in it was edited, added or cut.

        Args:
            session: the tenant's.
            noted: a head that was noted elsewhere. It must be in the chain: who may write every
                row can write a whole chain anew, but not one with this digest in it.
        """
        seq, digest = 0, _GENESIS
        is_known = noted is None or noted == _GENESIS.hex()
        while rows := await repository.read_audit_chain(session, after_seq=seq, limit=_BATCH):
            for row in rows:
                if problem := _problem(row, seq, digest):
                    return AuditCheck(seq, digest.hex(), problem)
                seq, digest = row.seq, row.digest
                is_known = is_known or digest.hex() == noted
        head = await repository.find_audit_head(session)
        ends_at = (head.seq, head.digest) if head else (0, _GENESIS)
        if ends_at != (seq, digest):
            problem = f"The chain ends at entry {seq}, but entry {ends_at[0]} was the last written."
            return AuditCheck(seq, digest.hex(), problem)
        if not is_known:
            problem = "The noted head is not in the chain: it was written anew, or cut before it."
            return AuditCheck(seq, digest.hex(), problem)
        return AuditCheck(seq, digest.hex(), None)


def _problem(row: AuditRow, seq: int, digest: bytes) -> str | None:
    if row.seq != seq + 1:
        return f"Entries {seq + 1} to {row.seq - 1} are missing."
    if row.previous != digest:
        return f"Entry {row.seq} does not follow the entry before it."
    if row.digest != _digest(row):
        return f"Entry {row.seq} was edited."
    return None


def _digest(row: AuditRow) -> bytes:
    canonical = json.dumps(
        {
            "tenant": str(row.tenant_id),
            "id": str(row.id),
            "seq": row.seq,
            "actor": row.actor,
            "action": row.action,
            "object": row.object,
            "details": row.details,
            "at": row.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(row.previous + canonical.encode()).digest()


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        seq=row.seq,
        actor=row.actor,
        action=row.action,
        object=row.object,
        details=row.details,
        at=row.created_at,
        digest=row.digest,
    )
