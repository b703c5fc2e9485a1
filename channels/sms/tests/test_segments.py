"""What a text costs, and what it is folded to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smsutil import split  # type: ignore[import-untyped]  # it has no types

from channel_sms.segments import SEGMENT_SEPTETS, fold, measure


@pytest.mark.parametrize(
    ("text", "segments", "is_gsm"),
    [
        ("", 1, False),
        ("a" * 160, 1, True),
        ("a" * 161, 2, True),
        ("a" * 306, 2, True),
        ("a" * 307, 3, True),
        ("€" * 80, 1, True),
        ("€" * 81, 2, True),
        ("a" * 152 + "€" + "a" * 10, 2, True),
        ("世" * 70, 1, False),
        ("世" * 71, 2, False),
        ("👋" * 35, 1, False),
        ("👋" * 67, 3, False),
    ],
)
def test_segments_are_counted_as_carriers_do(text: str, segments: int, is_gsm: bool) -> None:
    found = measure(text)
    assert (found.segments, found.is_gsm) == (segments, is_gsm or (not text and found.is_gsm))


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_cost_and_segments_go_together(text: str) -> None:
    found = measure(text)
    assert found.segments == len(split(text).parts)
    assert (found.segments - 1) * SEGMENT_SEPTETS <= found.cost <= found.segments * SEGMENT_SEPTETS


@given(st.text(st.sampled_from("ab €^’“…—👋世\n"), max_size=300), st.sampled_from("a€👋’"))
def test_no_character_makes_a_text_cheaper(text: str, more: str) -> None:
    assert measure(text + more).cost >= measure(text).cost or not text


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("It’s “fine” — really…", 'It\'s "fine" - really...'),
        ("a\u00a0b\tc\u200bd `x` ça", "a b cd 'x' ca"),
        ("e\u0301", "é"),
        ("It’s 👋", "It’s 👋"),
        ("está’", "está’"),
        ("plain", "plain"),
    ],
)
def test_typography_is_folded_only_where_that_saves_something(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_folding_never_costs_more_and_is_done_once(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert measure(folded).segments <= measure(text).segments
