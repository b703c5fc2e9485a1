"""What a turn was found to hold, and how its trace says so. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from coachline.conversation.safety.judging import Direction, Judgement


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement of a turn that is not harmless, and in which direction it was said."""

    direction: Direction
    judgement: Judgement

    @property
    def is_urgent(self) -> bool:
        """Whether a coach has to look at once: a crisis, or an answer that was kept back."""
        return self.judgement.kind == "crisis" or self.direction == "outgoing"


def described(what: str, judged: Judgement) -> tuple[str, ...]:
    """Return notes for a trace: kind, score and reasons in our own words."""
    if judged.kind == "none":
        return judged.notes
    reasons = ", ".join(judged.reasons)
    return (f"{what} judged {judged.kind} ({judged.score:.2f}): {reasons}", *judged.notes)
