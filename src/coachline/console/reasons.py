"""Why a message was answered as it was: its checkpoints as a story for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import UUID

from coachline.console.rich_text import plain_text
from coachline.foundation.ids import EventId, PassageId, TenantId
from coachline.knowledge import Passage, Retrieval
from coachline.messaging import Checkpoint, Transcripts

Kind = Literal["", "good", "warn", "bad"]

_LONGEST_EXCERPT: Final = 300

_TITLES: Final[Mapping[str, tuple[str, Kind]]] = MappingProxyType(
    {
        "occurred": ("Written on the platform", ""),
        "stored": ("Stored here", ""),
        "turn_begun": ("A turn began", ""),
        "turn_saved": ("The answer was saved", "good"),
        "turn_failed": ("The turn failed", "bad"),
        "turn_abandoned": ("The turn was given up", "warn"),
        "reply_stored": ("A reply was put into the outbox", ""),
        "reply_sending": ("Handed to the platform", ""),
        "reply_sent": ("Taken by the platform", "good"),
        "reply_unknown": ("Perhaps sent; a person decides", "warn"),
        "reply_dead": ("Not sent", "bad"),
        "reply_held": ("Held until the learner asks for more", ""),
        "reply_suppressed": ("Not wanted by the learner", "warn"),
        "reply_dropped": ("Dropped, never to be sent", "warn"),
        "reply_proposed": ("Proposed to a coach", ""),
        "reply_reported": ("The platform reports", ""),
        "event_answered": ("The message is answered", "good"),
        "event_recorded": ("Noted, without an answer", ""),
        "event_refused": ("Refused: over the limit", "warn"),
        "event_parked": ("Given up after several tries", "bad"),
        "event_commanded": ("Carried out as a command", "good"),
    }
)
# What a step tells of itself, in this order and in these words.
_FACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "kind": "Kind",
        "outcome": "Outcome",
        "model": "Model",
        "prompt_version": "Prompt",
        "prompt_tokens": "Prompt tokens",
        "answer_tokens": "Answer tokens",
        "report": "Report",
        "attempts": "Attempts",
        "problem": "Problem",
        "external_id": "Platform's id",
    }
)

# The steps of a turn in their order, which the stored trace does not keep.
_ORDER: Final = (
    *("events", "safety", "limits", "history", "passages", "prompt"),
    *("model", "wording", "safety_of_answer"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that was given to the model; ``title`` is empty where it is gone since."""

    title: str
    source: str
    excerpt: str
    score: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``seconds`` since the one before."""

    title: str
    kind: Kind
    at: datetime
    seconds: float
    facts: tuple[tuple[str, str], ...]
    passages: tuple[Found, ...] = ()
    timings: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def longest(self) -> float:
        """The longest of the timings, so that a picture can be drawn to its scale."""
        return max((seconds for _, seconds in self.timings), default=0.0)


@dataclass(frozen=True, slots=True)
class Reasons:
    """Where a message is, and how it came there."""

    event_id: EventId
    state: str
    steps: tuple[Step, ...]


class Explaining:
    """Tells the story of an event."""

    def __init__(self, transcripts: Transcripts, retrieval: Retrieval) -> None:
        self._transcripts = transcripts
        self._retrieval = retrieval

    async def read(self, tenant_id: TenantId, event_id: EventId) -> Reasons:
        """Every step of an event, with the passages that the model was given.

        Raises:
            EventNotFound: there is no such event.
        """
        found = await self._transcripts.explain(tenant_id, event_id)
        steps: list[Step] = []
        before: datetime | None = None
        for point in found.checkpoints:
            passages = await self._find_passages(tenant_id, point.details.get("passages") or ())
            seconds = 0.0 if before is None else (point.at - before).total_seconds()
            steps.append(_step(point, max(seconds, 0.0), passages))
            before = point.at
        return Reasons(event_id, found.state, tuple(steps))

    async def _find_passages(
        self, tenant_id: TenantId, listed: Sequence[Mapping[str, Any]]
    ) -> tuple[Found, ...]:
        found = []
        for one in listed:
            passage_id = PassageId(UUID(str(one["id"])))
            passage = await self._retrieval.find_passage(tenant_id, passage_id)
            found.append(_found(passage, float(one.get("score", 0.0))))
        return tuple(found)


def _found(passage: Passage | None, score: float) -> Found:
    if passage is None:
        return Found("", "", "", score)
    text = plain_text(passage.text)
    excerpt = text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT].rstrip()}…"
    return Found(passage.title, passage.source, excerpt, score)


def _step(point: Checkpoint, seconds: float, passages: tuple[Found, ...]) -> Step:
    title, kind = _TITLES.get(point.name, (point.name.replace("_", " ").capitalize(), ""))
    details = point.details
    facts = [(label, str(details[name])) for name, label in _FACTS.items() if details.get(name)]
    if details.get("parts", 1) > 1:
        facts.insert(0, ("Part", f"{details['part']} of {details['parts']}"))
    receipt = details.get("receipt")
    if isinstance(receipt, Mapping) and receipt.get("external_id"):
        facts.append(("Receipt", str(receipt["external_id"])))
    timings = details.get("timings") or {}
    return Step(
        title=title,
        kind=kind,
        at=point.at,
        seconds=seconds,
        facts=tuple(facts),
        passages=passages,
        timings=tuple((name, float(timings[name])) for name in sorted(timings, key=_place)),
        notes=tuple(str(note) for note in details.get("notes") or ()),
    )


def _place(step: str) -> int:
    return _ORDER.index(step) if step in _ORDER else len(_ORDER)
