"""Which of a learner's other conversations one of them may know of, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coachline.conversation.scene import Scene
from coachline.foundation.database import Database
from coachline.foundation.ids import ConversationId
from coachline.learners import LinkCodes, Sharing, narrowest
from coachline.messaging import Transcripts

_LISTED: Final = 50
_MOST: Final = 4


@dataclass(frozen=True, slots=True)
class Shared:
    """Another conversation of the same person, and what of it is shared: all, or its memory."""

    conversation_id: ConversationId
    sharing: Sharing


class Reach:
    """Looks across a learner's linked channels. Two of them share what both of them want."""

    def __init__(self, database: Database, codes: LinkCodes, transcripts: Transcripts) -> None:
        self._database = database
        self._codes = codes
        self._transcripts = transcripts

    async def list_shared(self, scene: Scene) -> list[Shared]:
        """Return the conversations that this one may know of, the latest used ones only.

        Where others read along, nothing is known of what was said elsewhere.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        if not scene.is_private:
            return []
        tenant_id = scene.turn.lease.tenant_id
        async with self._database.tenant(tenant_id) as session:
            members = await self._codes.list_members(session, scene.learner.id)
        sharing = {member.identity_id: member.sharing for member in members}
        mine = sharing.get(scene.identity_id)
        if mine is None or mine == "separate" or len(members) < 2:
            return []
        found = await self._transcripts.list_conversations(
            tenant_id,
            learner_id=scene.learner.id,
            except_identity_id=scene.identity_id,
            limit=_LISTED,
        )
        shared = [
            Shared(other.id, narrowest(mine, sharing[other.identity_id]))
            for other in sorted(found, key=lambda other: other.updated_at, reverse=True)
            if other.identity_id in sharing
        ]
        return [one for one in shared if one.sharing != "separate"][:_MOST]
