"""How much of everything a conversation may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coachline.tenancy import TenantProfile

_LEAST_ANSWER_TOKENS: Final = 40


@dataclass(frozen=True, slots=True)
class ConversationRules:
    """The server's defaults and bounds.

    Attributes:
        chat_model: answers for tenants that name no model.
        context_tokens: prompt and answer together.
        answer_tokens: the longest answer.
        passages: how many passages a prompt is offered.
        good_score: the least score (1 is the same meaning, 0 none) at which a passage is cited
            though the answer does not name it.
    """

    chat_model: str
    context_tokens: int = 4096
    answer_tokens: int = 400
    passages: int = 4
    good_score: float = 0.35

    @property
    def prompt_tokens(self) -> int:
        """The longest prompt."""
        return self.context_tokens - self.answer_tokens

    def answer_tokens_for(self, characters: int | None) -> int:
        """The longest answer on a channel where it should have at most ``characters``.

        Three characters a token is what costs most in the languages we know; the model is told the
        number of characters, and this only keeps it from rambling on.
        """
        if characters is None:
            return self.answer_tokens
        return min(self.answer_tokens, max(_LEAST_ANSWER_TOKENS, -(-characters // 3)))

    @property
    def window_tokens(self) -> int:
        """How much of the history is kept word for word: a third of the prompt."""
        return self.prompt_tokens // 3

    def models(self, profile: TenantProfile) -> tuple[str, ...]:
        """The models that may answer for a tenant, first choice first, each once."""
        first = profile.chat_model or self.chat_model
        return tuple(dict.fromkeys((first, *profile.fallback_models)))
