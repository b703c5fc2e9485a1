"""What a model would be told: the prompt of a question that nobody asked."""

from __future__ import annotations

from coachline.conversation.local_time import zone_of
from coachline.conversation.prompt import Prompt, PromptParts, build_prompt
from coachline.conversation.rules import ConversationRules
from coachline.foundation.clock import Clock
from coachline.foundation.ids import TenantId
from coachline.knowledge import Retrieval
from coachline.tenancy import TenantProfile


class PromptPreviews:
    """Builds prompts as a turn does, without a learner and without asking a model."""

    def __init__(self, retrieval: Retrieval, rules: ConversationRules, clock: Clock) -> None:
        self._retrieval = retrieval
        self._rules = rules
        self._clock = clock

    async def build(self, tenant_id: TenantId, profile: TenantProfile, question: str) -> Prompt:
        """The prompt for the first message of a learner who is as the tenant says learners are.

        Args:
            tenant_id: whose knowledge is searched.
            profile: as it is, or as it may be.
            question: what the learner writes.

        Raises:
            PromptDoesNotFit: the persona leaves no room for a question.
        """
        found = await self._retrieval.search(tenant_id, question, limit=self._rules.passages)
        return build_prompt(
            PromptParts(
                speaker=profile.display_name,
                persona=profile.persona,
                learner_name=None,
                language=profile.language,
                local_time=self._clock.now().astimezone(zone_of(profile.time_zone)),
                time_zone=profile.time_zone,
                question=question,
                passages=found.passages,
            ),
            budget_tokens=self._rules.prompt_tokens,
        )

    def models(self, profile: TenantProfile) -> tuple[str, ...]:
        """The models that would be asked, first choice first."""
        return self._rules.models(profile)
