"""How an answer is cut: where hints, citations and choices go, and what waits for "more"."""

from __future__ import annotations

import pytest

from channel_kit import Choice, Citation
from coachline.messaging import DraftReply
from coachline.messaging.parts import cut
from fixtures.scripted_channel import ScriptedChannel, ScriptedConfig, ShapingChannel

CITATION = Citation(number=1, title="A page", source="page.md")
CHOICE = Choice(label="Yes", value="yes")
MORE, ASK = "Reply MORE for the rest.", "Reply 1 for the source."
CONFIG = ScriptedConfig.model_validate({"secret": "s"})


def shaping() -> ShapingChannel:
    return ShapingChannel(CONFIG, None)


def lines(count: int) -> str:
    return "\n".join(f"line {number}" for number in range(1, count + 1))


@pytest.mark.parametrize(
    ("count", "held", "hints"),
    [
        (1, [False], [ASK]),
        (2, [False] * 2, ["", ASK]),
        (3, [False, False, True], ["", MORE, ASK]),
        (4, [False, False, True, True], ["", MORE, "", ASK]),
        (5, [False, False, True, True, True], ["", MORE, "", MORE, ASK]),
    ],
)
def test_groups_of_parts_end_with_how_to_get_more(
    count: int, held: list[bool], hints: list[str]
) -> None:
    draft = DraftReply(lines(count), (CITATION,), (CHOICE,), more=MORE, ask_source=ASK)
    parts = cut([draft], shaping())
    assert [part.is_held for part in parts] == held
    assert [part.hint for part in parts] == hints
    assert [part.citations for part in parts] == [()] * (count - 1) + [(CITATION,)]
    assert [part.choices for part in parts] == [()] * (count - 1) + [(CHOICE,)]


def test_without_a_way_to_ask_for_more_everything_is_sent() -> None:
    parts = cut([DraftReply(lines(5))], shaping())
    assert [(part.is_held, part.hint) for part in parts] == [(False, "")] * 5


def test_sources_are_asked_for_only_where_there_are_any_and_they_are_on_request() -> None:
    without = cut([DraftReply("words", more=MORE, ask_source=ASK)], shaping())
    shown = cut([DraftReply("words", (CITATION,), ask_source=ASK)], ScriptedChannel(CONFIG, None))
    assert [part.hint for part in (*without, *shown)] == ["", ""]


class NoShape(ShapingChannel):
    """Cut by its length, and on request."""

    shape = None  # type: ignore[assignment]  # a channel without that ability


def test_a_part_leaves_room_for_its_hint() -> None:
    words = " ".join(f"word{number:03}" for number in range(100))
    parts = cut([DraftReply(words, (CITATION,), more=MORE, ask_source=ASK)], NoShape(CONFIG, None))
    assert len(parts) > 2
    assert all(len(f"{part.text}\n\n{part.hint}") <= 200 for part in parts)
    assert " ".join(part.text for part in parts).split() == words.split()


def test_notices_stay_notices_and_drafts_stay_apart() -> None:
    parts = cut([DraftReply("one", is_notice=True), DraftReply("two")], shaping())
    assert [(part.text, part.is_notice) for part in parts] == [("one", True), ("two", False)]


def test_blank_drafts_have_no_parts() -> None:
    assert cut([DraftReply(" \n ")], ScriptedChannel(CONFIG, None)) == []
