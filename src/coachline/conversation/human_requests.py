"""A learner asks for a human: noted, told to coaches by the feed, and answered once."""

from __future__ import annotations

from coachline.conversation.human_words import human_in
from coachline.conversation.scene import Scene, notice
from coachline.messaging import Attention, DraftReply


class HumanRequests:
    """Hands requests on. The bot goes on answering until a coach takes the conversation."""

    def __init__(self, attention: Attention) -> None:
        self._attention = attention

    async def ask(self, scene: Scene) -> DraftReply | None:
        """Note the request and say so; nothing while one waits already, or a coach is there.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        lease = scene.turn.lease
        is_new = await self._attention.want_human(
            lease.tenant_id,
            lease.conversation_id,
            turn_id=scene.turn.id,
            escalate_after_seconds=scene.profile.escalate_after_seconds,
        )
        return notice(human_in(scene.language).told) if is_new else None
