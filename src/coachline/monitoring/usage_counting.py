"""What events of the feed add up to: a pure function, the same for news and for a rebuild."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from uuid import UUID

from coachline.monitoring.feed import FeedEvent
from coachline.monitoring.histogram import EMPTY, Histogram
from coachline.monitoring.usage_figures import Figures

COUNTED = ("message.received", "reply.sent", "reply.failed", "turn.failed", "learner.opted_out")
"""The types of events that any figure needs."""

# What a learner says; reactions, receipts and changes of a message are no messages.
_SAID = frozenset({"message", "button", "command"})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is counted: a day of the tenant on one of its connections."""

    day: date
    connection_id: UUID


@dataclass(frozen=True, slots=True, order=True)
class Talk:
    """A conversation in which a learner wrote on a day."""

    place: Place
    conversation_id: UUID
    learner_id: UUID


@dataclass(slots=True)
class Tally:
    """Figures by place, and who was active."""

    figures: dict[Place, Figures] = field(default_factory=lambda: defaultdict(Figures))
    talks: set[Talk] = field(default_factory=set)

    def add(
        self, events: Iterable[FeedEvent], zone: tzinfo, model_seconds: Mapping[UUID, float]
    ) -> None:
        """Count events.

        Args:
            events: of one tenant; those without a connection belong to no place.
            zone: what the tenant calls a day.
            model_seconds: how long the model took, by turn.
        """
        for event in events:
            if event.connection_id is None:
                continue
            place = Place(event.occurred_at.astimezone(zone).date(), event.connection_id)
            more = _figures_of(event, model_seconds)
            if more is None:
                continue
            self.figures[place] += more
            if more.messages and event.conversation_id and event.learner_id:
                self.talks.add(Talk(place, event.conversation_id, event.learner_id))


def turn_of(event: FeedEvent) -> UUID | None:
    """The turn whose model is to be counted with this event: that of an answer's first part."""
    data = event.data
    if event.type != "reply.sent" or data.get("by") != "bot" or data.get("part", 1) != 1:
        return None
    turn_id = data.get("turn_id")
    return None if turn_id is None else UUID(turn_id)


def _figures_of(event: FeedEvent, model_seconds: Mapping[UUID, float]) -> Figures | None:
    match event.type:
        case "message.received":
            return Figures(messages=1) if event.data.get("kind") in _SAID else None
        case "reply.sent":
            return _sent(event, model_seconds)
        case "reply.failed":
            return Figures(failed_replies=1)
        case "turn.failed":
            return Figures(failed_turns=1)
        case "learner.opted_out":
            return Figures(opt_outs=1)
        case _:
            return None


def _sent(event: FeedEvent, model_seconds: Mapping[UUID, float]) -> Figures:
    by, is_first = event.data.get("by"), event.data.get("part", 1) == 1
    is_answer = is_first and by in ("bot", "coach")
    waited, turn_id = event.data.get("waited_seconds"), turn_of(event)
    thought = None if turn_id is None else model_seconds.get(turn_id)
    return Figures(
        bot_replies=int(by == "bot"),
        coach_replies=int(by == "coach"),
        notices=int(by == "notice"),
        bot_answers=int(is_answer and by == "bot"),
        coach_answers=int(is_answer and by == "coach"),
        first_answers=Histogram.of([waited]) if is_answer and waited is not None else EMPTY,
        model_times=EMPTY if thought is None else Histogram.of([thought]),
    )


__all__ = ["COUNTED", "Place", "Talk", "Tally", "turn_of"]
