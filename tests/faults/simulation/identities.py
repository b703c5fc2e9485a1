"""The double of the learners' repository, as far as an arriving event needs it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from coachline.foundation.database import TenantSession
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId, new_id
from coachline.learners import Identity
from coachline.learners.profile import Forgotten
from coachline.learners.repository import LearnerRepository
from faults.simulation.sessions import memory
from faults.simulation.store import Transaction, UniqueViolated, Values


class MemoryLearners(LearnerRepository):
    """Senders and whom they belong to, as far as an arriving event needs them."""

    async def find_identity(
        self, session: TenantSession, connection_id: ConnectionId, sender: str
    ) -> Identity | None:
        def find(transaction: Transaction) -> Values | None:
            found = transaction.rows("identity", connection_id=connection_id, sender=sender)
            return next(found, None)

        return _identity(await memory(session).run_alone(find))

    async def hold_identity(
        self, session: TenantSession, identity_id: IdentityId
    ) -> Identity | None:
        # Nobody moves identities here, so holding one is reading it.
        return _identity(
            await memory(session).run_alone(
                lambda transaction: transaction.get("identity", identity_id)
            )
        )

    async def add_identity(
        self,
        session: TenantSession,
        *,
        connection_id: ConnectionId,
        sender: str,
        name: str | None,
        time_zone: str,
        language: str,
    ) -> Identity | None:
        values: Values = {
            "tenant_id": session.tenant_id,
            "id": new_id(),
            "connection_id": connection_id,
            "sender": sender,
            "learner_id": new_id(),
        }

        def add(transaction: Transaction) -> Values | None:
            try:
                transaction.insert("identity", values, ("tenant_id", "connection_id", "sender"))
            except UniqueViolated:
                return None
            return values

        return _identity(await memory(session).run(add), is_new=True)

    async def find_forgotten(
        self,
        session: TenantSession,
        connection_id: ConnectionId,
        marks: Sequence[str],
        *,
        at: datetime | None,
    ) -> Forgotten:
        """Nobody was forgotten here."""
        return Forgotten(is_later=False, learner_id=None)


def _identity(values: Values | None, *, is_new: bool = False) -> Identity | None:
    if values is None:
        return None
    return Identity(IdentityId(values["id"]), LearnerId(values["learner_id"]), is_new)
