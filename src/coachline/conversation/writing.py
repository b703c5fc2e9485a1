"""Steps 5 and 6 of a turn: an answer by a model, worded, and judged before it is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from coachline.conversation.commands import CommandName
from coachline.conversation.help_sentences import help_in
from coachline.conversation.prompt import Prompt
from coachline.conversation.rules import ConversationRules
from coachline.conversation.safety.judging import HARMLESS, Judgement
from coachline.conversation.safety.safeguard import Safeguard
from coachline.conversation.scene import Scene
from coachline.conversation.stopwatch import Stopwatch
from coachline.conversation.wording import Wording, whole_sentences
from coachline.inference import Answer, ChatRequest, Models
from coachline.messaging import DraftReply, Drafts, ProposalTerms, TurnLedger

_SHOW_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Written:
    """What a model's answer came to.

    ``reply`` is None when nothing of it was left to say. With ``terms`` a coach has to approve it.
    """

    answer: Answer
    reply: DraftReply | None
    judgement: Judgement = HARMLESS
    terms: ProposalTerms | None = None


class Writing:
    """Has answers written. What is shown meanwhile has passed what the answer itself passes."""

    def __init__(
        self,
        models: Models,
        drafts: Drafts,
        ledger: TurnLedger,
        safeguard: Safeguard,
        rules: ConversationRules,
    ) -> None:
        self._models = models
        self._drafts = drafts
        self._ledger = ledger
        self._safeguard = safeguard
        self._rules = rules

    async def write(self, scene: Scene, prompt: Prompt, watch: Stopwatch) -> Written:
        """An answer to ``prompt``.

        Raises:
            ModelsUnavailable: no model answered.
            ModelBusy: the turn of this request did not come.
            LeaseLost: another process has the conversation.
            TurnOvertaken: a message of the turn was edited or deleted meanwhile.
        """
        wording = Wording(
            scene.profile.display_name,
            prompt.passages,
            self._rules.good_score,
            frozenset(scene.profile.allowed_hosts),
        )
        with watch.step("model"):
            async with self._ledger.watch(scene.turn):
                answer = await self._ask_model(scene, prompt, wording)
        with watch.step("wording"):
            reply = _word(scene, wording, answer)
        if reply is None:
            return Written(answer, None)
        with watch.step("safety_of_answer"):
            judged = await self._safeguard.weigh(scene, reply)
        if judged.kind != "none":
            # It waits for good: only a person lets out what was judged unsafe.
            return Written(answer, reply, judged, ProposalTerms("safety", None, "drop"))
        return Written(answer, reply, judged, _terms(scene))

    async def _ask_model(self, scene: Scene, prompt: Prompt, wording: Wording) -> Answer:
        """Step 5: the tenant's model, then its fallbacks; shown while it is written.

        What a coach has to approve is shown to nobody before.
        """
        request = ChatRequest(
            tenant_id=scene.turn.lease.tenant_id,
            models=self._rules.models(scene.profile),
            messages=prompt.messages,
            max_tokens=self._rules.answer_tokens_for(scene.capabilities.answer_characters),
        )
        if _terms(scene) is not None:
            return await self._models.answer(request, _show_nobody)
        showable: Callable[[str], str] = self._safeguard.drafts(scene)
        now = asyncio.get_running_loop().time
        next_at = 0.0
        async with self._drafts.open(scene.turn) as draft:

            async def show(written: str) -> None:
                # Worded like the reply itself: a link that may not leave may not leave here.
                # Not at every token, for wording costs more than most tokens bring.
                nonlocal next_at
                if now() >= next_at:
                    next_at = now() + _SHOW_SECONDS
                    await draft.show(showable(wording.text(written)))

            return await self._models.answer(request, show)


def _word(scene: Scene, wording: Wording, answer: Answer) -> DraftReply | None:
    """Step 6: the model's text made fit for a learner, with its citations and hints."""
    is_cut = answer.done_reason == "length"
    reply = wording.reply(whole_sentences(answer.text) if is_cut else answer.text)
    if reply is None:
        return None
    hints = help_in(scene.language)
    more = hints.more_hint.format(more=scene.written(CommandName.MORE))
    return replace(reply, more=more, ask_source=hints.source_hint)


def _terms(scene: Scene) -> ProposalTerms | None:
    """How an answer waits for a coach, where one has to approve it."""
    profile = scene.profile
    if (scene.turn.mode or profile.answer_mode) != "draft":
        return None
    return ProposalTerms("draft_mode", profile.proposal_seconds, profile.on_proposal_expiry)


async def _show_nobody(written: str) -> None:
    """Take what is written so far, and show it to nobody."""
