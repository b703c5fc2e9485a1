"""What is done about what was judged: said, kept back, written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from coachline.conversation.hearing import Heard
from coachline.conversation.notices import Notices
from coachline.conversation.safety.both_checks import BothChecks
from coachline.conversation.safety.draft_guard import DraftGuard
from coachline.conversation.safety.judging import (
    HARMLESS,
    USUAL,
    Direction,
    Judgement,
    SafetyCheck,
    Thresholds,
    join,
)
from coachline.conversation.safety.model_check import ModelCheck
from coachline.conversation.safety.rule_check import RuleCheck
from coachline.conversation.safety.safety_sentences import safety_in
from coachline.conversation.scene import Scene, notice
from coachline.inference import Models
from coachline.messaging import DraftReply
from coachline.tenancy import TenantProfile

_BELOW_CRISIS: Final = 0.01


class Safeguard:
    """Judges what comes and what goes. It stops a turn, but never fails one.

    Args:
        rules: the check that is always there.
        models: asked beside it, for tenants that name a model for it.
        notices: keep what is said by itself from being said at every message.
    """

    def __init__(self, rules: RuleCheck, models: Models, notices: Notices) -> None:
        self._rules = rules
        self._models = models
        self._notices = notices

    async def hear(self, scene: Scene, heard: Heard) -> Judgement:
        """What the learner's words are, by the tenant's thresholds, before any model answers.

        Those behind a command count as well. What a file says may be somebody else's words: it is
        a concern at most.
        """
        commands = [event.text for event in scene.turn.events if event.id in heard.commanded]
        said = await self._judge(scene, "\n".join([*commands, heard.question]).strip(), "incoming")
        limits = _thresholds(scene.profile)
        for file in heard.attached:
            read = await self._judge(scene, file.text, "incoming")
            most = max(limits.concern, limits.crisis - _BELOW_CRISIS)
            said = join([said, replace(read, score=min(read.score, most)).under(limits)])
        return said

    async def judge(
        self, profile: TenantProfile, text: str, *, language: str, direction: Direction
    ) -> Judgement:
        """What a text is to a tenant: by the rules, by its model if it names one, by its scores."""
        if not text:
            return HARMLESS
        check: SafetyCheck = self._rules
        if profile.safety_model is not None:
            asked = ModelCheck(self._models, profile.tenant_id, profile.safety_model)
            check = BothChecks(self._rules, asked)
        found = await check.judge(text, language=language, direction=direction)
        return found.under(_thresholds(profile))

    async def weigh(self, scene: Scene, reply: DraftReply) -> Judgement:
        """What an answer is that is about to be said."""
        return await self._judge(scene, reply.text, "outgoing")

    async def alarm(self, scene: Scene) -> tuple[DraftReply, ...]:
        """What is said to a learner in danger, at most once in an hour."""
        if not await self._notices.claim(scene.turn, "crisis"):
            return ()
        return (notice(scene.profile.crisis_script or safety_in(scene.language).crisis),)

    async def excuse(self, scene: Scene) -> tuple[DraftReply, ...]:
        """What is said in place of an answer that is kept back, unless it was a moment ago."""
        if not await self._notices.claim(scene.turn, "withheld"):
            return ()
        return (notice(safety_in(scene.language).withheld),)

    def drafts(self, scene: Scene) -> Callable[[str], str]:
        """How much of an answer may be shown while it is written.

        Nothing where a model judges as well: it reads whole answers only.
        """
        if scene.profile.safety_model is not None:
            return lambda _draft: ""
        return DraftGuard(self._rules, scene.language).showable

    async def _judge(self, scene: Scene, text: str, direction: Direction) -> Judgement:
        return await self.judge(scene.profile, text, language=scene.language, direction=direction)


def _thresholds(profile: TenantProfile) -> Thresholds:
    crisis = USUAL.crisis if profile.safety_crisis_score is None else profile.safety_crisis_score
    concern = profile.safety_concern_score
    return Thresholds(USUAL.concern if concern is None else concern, crisis)
