"""From a sender on a connection to the learner behind it."""

from __future__ import annotations

from coachline.foundation.database import TenantSession
from coachline.foundation.errors import Conflict
from coachline.foundation.ids import ConnectionId
from coachline.learners.profile import Identity, clean_name
from coachline.learners.repository import LearnerRepository


class Identities:
    """Finds who writes, and greets who is new."""

    def __init__(self) -> None:
        self._repository = LearnerRepository()

    async def find(
        self, session: TenantSession, connection_id: ConnectionId, sender_id: str
    ) -> Identity | None:
        """Return the sender's identity, if it has written before."""
        return await self._repository.find_identity(session, connection_id, sender_id)

    async def resolve(
        self,
        session: TenantSession,
        *,
        connection_id: ConnectionId,
        sender_id: str,
        sender_name: str | None,
        time_zone: str,
        language: str,
    ) -> Identity:
        """Return the sender's identity, made together with a learner at first contact.

        Two first messages at once make one learner. ``time_zone`` and ``language`` (the tenant's)
        and ``sender_name`` count at first contact only: later the learner's own are kept.

        Raises:
            Conflict: the identity was removed while it was looked up; trying again helps.
        """
        found = await self._repository.find_identity(session, connection_id, sender_id)
        if found is None:
            found = await self._repository.add_identity(
                session,
                connection_id=connection_id,
                sender=sender_id,
                name=clean_name(sender_name),
                time_zone=time_zone,
                language=language,
            )
        if found is None:
            found = await self._repository.find_identity(session, connection_id, sender_id)
        if found is None:
            raise Conflict("The sender was removed at this moment; send the message again.")
        return found
