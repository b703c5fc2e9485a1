"""From a sender on a connection to the learner behind it."""

from __future__ import annotations

from datetime import datetime

from coachline.foundation.database import TenantSession
from coachline.foundation.errors import Conflict
from coachline.foundation.ids import ConnectionId, IdentityId
from coachline.foundation.seal import Seal
from coachline.learners.consent import Consent
from coachline.learners.errors import SenderErased
from coachline.learners.profile import Identity, clean_name
from coachline.learners.repository import LearnerRepository


class Identities:
    """Finds who writes, and greets who is new.

    Who was forgotten is new as well, and yet nothing unasked is sent to who wanted none.
    """

    def __init__(self, consent: Consent, seal: Seal) -> None:
        self._consent = consent
        self._seal = seal
        self._repository = LearnerRepository()

    async def find(
        self, session: TenantSession, connection_id: ConnectionId, sender_id: str
    ) -> Identity | None:
        """Return the sender's identity, if it has written before."""
        return await self._repository.find_identity(session, connection_id, sender_id)

    def marks_of(
        self, session: TenantSession, connection_id: ConnectionId, sender_id: str
    ) -> list[str]:
        """Return what a sender is known by once they are forgotten."""
        return mark_sender(self._seal, session, connection_id, sender_id)

    async def hold(self, session: TenantSession, identity_id: IdentityId) -> Identity:
        """Return an identity as it is now; until the transaction ends it keeps its learner.

        Raises:
            Conflict: the identity was removed meanwhile; trying again helps.
        """
        held = await self._repository.hold_identity(session, identity_id)
        if held is None:
            raise Conflict("The sender was removed at this moment; send the message again.")
        return held

    async def resolve(
        self,
        session: TenantSession,
        *,
        connection_id: ConnectionId,
        sender_id: str,
        sender_name: str | None,
        time_zone: str,
        language: str,
        said_at: datetime | None = None,
    ) -> Identity:
        """Return the sender's identity, made together with a learner at first contact.

        Two first messages at once make one learner. ``time_zone`` and ``language`` (the tenant's)
        and ``sender_name`` count at first contact only: later the learner's own are kept.

        Raises:
            Conflict: the identity was removed while it was looked up; trying again helps.
            SenderErased: they were forgotten after ``said_at``: nothing of then is kept.
        """
        found = await self._repository.find_identity(session, connection_id, sender_id)
        if found is None:
            marks = self.marks_of(session, connection_id, sender_id)
            left = await self._repository.find_forgotten(session, connection_id, marks, at=said_at)
            if left.is_later:
                raise SenderErased("The sender was forgotten after they said this.")
            found = await self._repository.add_identity(
                session,
                connection_id=connection_id,
                sender=sender_id,
                name=clean_name(sender_name),
                time_zone=time_zone,
                language=language,
            )
            if found is not None and left.learner_id is not None:
                await self._consent.copy(
                    session,
                    connection_id,
                    from_learner=left.learner_id,
                    to_learner=found.learner_id,
                )
        if found is None:
            found = await self._repository.find_identity(session, connection_id, sender_id)
        if found is None:
            raise Conflict("The sender was removed at this moment; send the message again.")
        return found


def mark_sender(
    seal: Seal, session: TenantSession, connection_id: ConnectionId, sender: str
) -> list[str]:
    """Return what is left of a forgotten sender on a connection, the mark to keep first."""
    return seal.marks(f"{connection_id} {sender}", tenant_id=session.tenant_id, purpose="sender")
