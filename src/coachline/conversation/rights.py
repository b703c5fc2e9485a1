"""A learner's rights, asked for in the conversation: what is kept, and forgetting it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from channel_kit import Choice
from coachline.conversation.commands import CommandName
from coachline.conversation.erasure import Erasure
from coachline.conversation.local_time import zone_of
from coachline.conversation.rights_sentences import RightsSentences, rights_in
from coachline.conversation.scene import Scene, notice
from coachline.foundation.database import Database
from coachline.learners import Kept, LearnerRights
from coachline.messaging import Belonging, Connections, DraftReply, Message, QueuedEvent

_YES: Final = "/forget yes"
_NO: Final = "/forget no"
_QUESTION_HOLDS: Final = timedelta(minutes=10)


class Rights:
    """Shows what is kept about a learner, and forgets them when they say so twice."""

    def __init__(
        self,
        database: Database,
        rights: LearnerRights,
        belonging: Belonging,
        connections: Connections,
        erasure: Erasure,
    ) -> None:
        self._database = database
        self._rights = rights
        self._belonging = belonging
        self._connections = connections
        self._erasure = erasure

    async def show(self, scene: Scene) -> DraftReply:
        """Answer ``/mydata``."""
        words = rights_in(scene.language)
        tenant_id = scene.turn.lease.tenant_id
        async with self._database.tenant(tenant_id) as session:
            kept = await self._rights.find_kept(session, scene.learner.id)
            amount = await self._belonging.count(session, scene.learner.id)
        if kept is None:  # removed at this moment by an operator
            return notice(words.kept)
        channels = {one.id: one.channel for one in await self._connections.list(tenant_id)}
        named = [channels.get(member.connection_id, "?").capitalize() for member in kept.members]
        learner, zone = kept.learner, zone_of(kept.learner.time_zone)
        lines = [
            words.profile.format(
                since=f"{kept.since.astimezone(zone):%Y-%m-%d}",
                name=learner.name or words.no_name,
                language=learner.language,
                zone=learner.time_zone,
            ),
            words.amount.format(messages=amount.messages, replies=amount.replies),
            words.channels.format(channels=", ".join(named)),
            _writing(scene, kept, words),
            words.have_it_all.format(
                coach=scene.profile.display_name, forget=scene.written(CommandName.FORGET)
            ),
        ]
        return notice("\n\n".join(lines))

    async def forget(
        self, scene: Scene, argument: str, event: QueuedEvent, recent: list[Message]
    ) -> DraftReply:
        """Answer ``/forget``: ask, and do it only when the question was asked just now.

        Args:
            scene: who asks.
            argument: ``yes`` or ``no`` where the question is answered.
            event: the command, whose time counts.
            recent: the end of the conversation.
        """
        words = rights_in(scene.language)
        answer = argument.strip().lower()
        if answer == "no":
            return notice(words.kept)
        if answer != "yes" or not _was_asked(recent, event):
            yes = scene.written(CommandName.FORGET, "yes".upper() if _is_bare(scene) else "yes")
            choices = (Choice(label=words.yes, value=_YES), Choice(label=words.no, value=_NO))
            return notice(words.ask.format(yes=yes), choices)
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            await self._erasure.request(session, scene.learner.id, actor="learner")
        return notice(words.forgotten)


def _is_bare(scene: Scene) -> bool:
    return scene.capabilities.bare_commands


def _was_asked(recent: list[Message], event: QueuedEvent) -> bool:
    return any(
        message.author == "bot"
        and message.is_notice
        and any(choice.value == _YES for choice in message.choices)
        and message.seq < event.seq
        and event.occurred_at - message.at <= _QUESTION_HOLDS
        for message in recent
    )


def _writing(scene: Scene, kept: Kept, words: RightsSentences) -> str:
    for member, standing in zip(kept.members, kept.standings, strict=True):
        if member.identity_id == scene.identity_id and not standing.is_allowed:
            if standing.until is None:
                return words.writing_withdrawn
            until = standing.until.astimezone(zone_of(kept.learner.time_zone))
            return words.writing_paused.format(until=f"{until:%Y-%m-%d %H:%M}")
    return words.writing_allowed
