"""Linking a learner's channels, and undoing it."""

from __future__ import annotations

from typing import Final

import structlog

from channel_kit import Choice
from coachline.conversation.commands import CommandName
from coachline.conversation.linking_sentences import LinkingSentences, linking_in
from coachline.conversation.scene import Scene, notice
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import ConversationId
from coachline.learners import Learners, LinkCodes, Linked, Sharing
from coachline.messaging import Belonging, DraftReply, Posting
from coachline.tenancy import Limits

_SHARINGS: Final[tuple[Sharing, ...]] = ("all", "memory", "separate")

log = structlog.get_logger()


class Linking:
    """Makes codes, redeems them, and asks what may be shared.

    Redeeming happens before the turn is saved; run again, it finds the link and says the same.
    """

    def __init__(
        self,
        database: Database,
        codes: LinkCodes,
        learners: Learners,
        belonging: Belonging,
        posting: Posting,
        limits: Limits,
    ) -> None:
        self._database = database
        self._codes = codes
        self._learners = learners
        self._belonging = belonging
        self._posting = posting
        self._limits = limits

    async def make(self, scene: Scene) -> DraftReply:
        """Answer ``/link``: a code, and what to do with it on the other channel."""
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            code = await self._codes.make(session, scene.identity_id)
        # Without a slash, because that is understood on every channel that knows it without, and
        # with one on the others: the learner is told both.
        there = f"LINK {code}** / **/link {code}"
        words = linking_in(scene.language)
        return notice(words.code.format(code=f"**{code}**", link=f"**{there}**"))

    def offer(self, scene: Scene, code: str) -> DraftReply:
        """Answer ``/start CODE``: ask before anything is linked.

        Who follows a stranger's link would become that stranger's other channel.
        """
        words = linking_in(scene.language)
        accept = Choice(label=words.accept, value=f"/link {code}")
        return notice(words.offer.format(link=scene.written(CommandName.LINK)), (accept,))

    async def redeem(self, scene: Scene, code: str) -> DraftReply:
        """Answer ``/link CODE``: link this identity to whom the code belongs."""
        words = linking_in(scene.language)
        tenant_id = scene.turn.lease.tenant_id
        if not await self._limits.take_guess(tenant_id, str(scene.identity_id)):
            return notice(words.too_often)
        told: ConversationId | None = None
        async with self._database.tenant(tenant_id) as session:
            linked = await self._codes.redeem(session, code, scene.identity_id)
            if linked.result in ("linked", "already") and linked.issuer_id is not None:
                await self._belonging.move(session, scene.identity_id, linked.learner_id)
                told = await self._belonging.find_newest(session, linked.issuer_id)
        # A turn that is run again may have been cut off before the other side was told.
        if linked.result == "linked" or (
            linked.result == "already" and any(event.attempts for event in scene.turn.events)
        ):
            await self._tell(scene, linked, told)
        match linked.result:
            case "unknown":
                return notice(words.unknown.format(link=scene.written(CommandName.LINK)))
            case "oneself":
                return notice(words.oneself)
            case "already":
                return self._ask(words.already, words)
            case "linked":
                return self._ask(words.linked, words)

    async def spoil(self, scene: Scene, code: str) -> DraftReply:
        """Make a code worthless that was written where others read it.

        What is said is the same for every code, right or wrong.
        """
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            await self._codes.spoil(session, code)
        return notice(linking_in(scene.language).seen)

    async def unlink(self, scene: Scene) -> DraftReply:
        """Answer ``/unlink``: a guest goes home; a host sends its guests home."""
        words = linking_in(scene.language)
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            gone = await self._codes.unlink(session, scene.identity_id)
            for member in gone:
                await self._belonging.move(session, member.identity_id, member.learner_id)
        return notice(words.unlinked if gone else words.not_linked)

    async def share(self, scene: Scene, argument: str) -> DraftReply:
        """Answer ``/share``: set what this identity shares, or ask."""
        words = linking_in(scene.language)
        wanted = next((known for known in _SHARINGS if known == argument.strip().lower()), None)
        async with self._database.tenant(scene.turn.lease.tenant_id) as session:
            learner_id = await self._codes.learner_of(session, scene.identity_id)
            if len(await self._codes.list_members(session, learner_id)) < 2:
                return notice(words.not_linked)
            if wanted is not None:
                await self._codes.share(session, scene.identity_id, wanted)
        match wanted:
            case None:
                return self._ask(words.already, words)
            case "all":
                return notice(words.shared_all)
            case "memory":
                return notice(words.shared_memory)
            case "separate":
                return notice(words.shared_nothing)

    @staticmethod
    def _ask(question: str, words: LinkingSentences) -> DraftReply:
        labels = (words.all, words.memory, words.separate)
        choices = (
            Choice(label=label, value=f"/share {sharing}")
            for label, sharing in zip(labels, _SHARINGS, strict=True)
        )
        return notice(question, tuple(choices))

    async def _tell(self, scene: Scene, linked: Linked, told: ConversationId | None) -> None:
        """Tell the other side, whose code may have been stolen."""
        if told is None:
            return
        tenant_id = scene.turn.lease.tenant_id
        host = await self._learners.get(tenant_id, linked.learner_id)
        text = linking_in(host.language).told.format(channel=scene.place, unlink="/unlink (UNLINK)")
        try:
            await self._posting.post(tenant_id, told, text, lane="conversation", is_notice=True)
        except DatabaseUnavailable:
            raise
        except CoachlineError as error:
            # Their connection cannot be opened any more; the link is made all the same.
            log.warning("link.not_told", conversation_id=str(told), error=error.code)
