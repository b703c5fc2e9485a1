"""Edits and deletions folded into what is answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from channel_kit import EventKind
from coachline.conversation.burst import fold, list_changed
from coachline.foundation.ids import EventId, new_id
from coachline.messaging import Original, QueuedEvent

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ANSWERED = Original("old", "answered", AT, is_newest=True, is_amended=False)


def event(
    external_id: str,
    text: str = "",
    kind: EventKind = EventKind.MESSAGE,
    *,
    about: str | None = None,
    seconds: float = 0,
) -> QueuedEvent:
    return QueuedEvent(
        id=EventId(new_id()),
        external_id=external_id,
        kind=kind,
        text=text,
        occurred_at=AT + timedelta(seconds=seconds),
        seq=int(seconds) + 1,
        attempts=0,
        reply_to=about,
    )


def edit(external_id: str, text: str, about: str, seconds: float = 5) -> QueuedEvent:
    return event(external_id, text, EventKind.EDIT, about=about, seconds=seconds)


def texts(*events: QueuedEvent) -> list[str]:
    return [said.text for said in fold(events, {}).said]


def test_an_edit_replaces_the_message_of_its_burst_whichever_came_first() -> None:
    first, second, changed = event("a", "helo"), event("b", "there"), edit("e", "hello", "a")
    assert texts(first, second, changed) == ["hello", "there"]
    assert texts(changed, first, second) == ["hello", "there"]


def test_the_newest_of_two_edits_counts() -> None:
    assert texts(event("a", "1"), edit("e3", "3", "a", 9), edit("e2", "2", "a", 5)) == ["3"]


def test_a_deletion_takes_the_message_and_its_edits_away() -> None:
    gone = event("d", kind=EventKind.DELETE, about="a")
    burst = fold([event("a", "oops"), edit("e", "less oops", "a"), gone, event("b", "hi")], {})
    assert [said.text for said in burst.said] == ["hi"]
    assert burst.erased == ("a",)


def test_a_deletion_of_an_older_message_erases_and_asks_nothing() -> None:
    gone = event("d", kind=EventKind.DELETE, about="old")
    burst = fold([gone], {})
    assert (burst.said, burst.erased, burst.passed) == ((), ("old",), (gone.id,))


def test_an_edit_of_the_newest_answered_message_is_said_anew() -> None:
    burst = fold([edit("e", "new", "a")], {"a": ANSWERED})
    assert [said.text for said in burst.said] == ["new"]
    assert burst.is_correction


@pytest.mark.parametrize(
    ("original", "seconds", "reason"),
    [
        (None, 5, "unknown"),
        (replace(ANSWERED, is_newest=False), 5, "newest"),
        (replace(ANSWERED, is_amended=True), 5, "before"),
        (replace(ANSWERED, text=" new "), 5, "same"),
        (replace(ANSWERED, state="refused"), 5, "refused"),
        (ANSWERED, 901, "late"),
    ],
)
def test_an_edit_that_comes_to_nothing_says_why(
    original: Original | None, seconds: float, reason: str
) -> None:
    changed = edit("e", "new", "a", seconds)
    burst = fold([changed], {} if original is None else {"a": original})
    assert burst.said == ()
    assert burst.passed == (changed.id,)
    assert reason in burst.notes[0]


def test_only_edits_of_earlier_messages_are_looked_up() -> None:
    events = [event("a", "x"), edit("e", "y", "a"), edit("f", "z", "older")]
    assert list_changed(events) == ["older"]


def test_kinds_are_told_apart() -> None:
    opened = event("o", kind=EventKind.OPENED)
    strange = event("u", kind=EventKind.UNSUPPORTED)
    bare = event("c", kind=EventKind.COMMAND)
    burst = fold([opened, strange, bare, event("m", "  ")], {})
    assert burst.is_opened
    assert burst.unsupported == (strange,)
    assert burst.said == (bare,)
