"""The estimate of tokens, and cutting by it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachline.conversation.tokens import ELLIPSIS, cut_to_tokens, estimate_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abc", 1),
        ("ab c", 2),
        ("2026", 4),
        ("no!", 2),
        ("é", 2),
        ("日本", 5),
        ("🙂", 3),
        ("\ud800", 1),
    ],
)
def test_letters_count_by_three_marks_one_by_one_and_others_by_their_bytes(
    text: str, tokens: int
) -> None:
    assert estimate_tokens(text) == tokens


@given(st.text(), st.text())
def test_two_texts_never_cost_less_apart_than_together(first: str, second: str) -> None:
    together = estimate_tokens(first + second)
    assert together <= estimate_tokens(first) + estimate_tokens(second)


@given(st.text(max_size=300), st.integers(min_value=8, max_value=60))
def test_a_cut_text_fits_and_is_a_beginning(text: str, tokens: int) -> None:
    cut = cut_to_tokens(text, tokens)
    assert estimate_tokens(cut) <= tokens
    if cut != text:
        assert cut.endswith(ELLIPSIS)
        assert text.startswith(cut.removesuffix(ELLIPSIS))
        assert estimate_tokens(text) > tokens


def test_a_text_of_ten_million_characters_is_cut_at_once() -> None:
    text = "spam " * 2_000_000
    since = time.process_time()
    assert estimate_tokens(cut_to_tokens(text, 1_000)) <= 1_000
    assert time.process_time() - since < 0.1
