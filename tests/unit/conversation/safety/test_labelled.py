"""How the rules judge messages that were labelled by hand; the figures are in the docs."""

from __future__ import annotations

import pytest

from coachline.conversation.safety.rule_files import LANGUAGES
from labelled.measuring import FOLDER, PARTS, count, read


def test_what_was_put_aside_is_found_and_little_is_cried_wolf_about() -> None:
    figures = count(read("held_out"))
    assert figures.crisis.share >= 0.9
    assert figures.told.share >= 0.9
    assert figures.precise.share >= 0.9
    assert figures.false_crisis.share <= 0.03
    assert figures.false_any.share <= 0.05
    assert figures.kept_back.share >= 0.9
    assert figures.false_kept_back.share <= 0.05


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_language_is_left_behind(language: str) -> None:
    figures = count([m for m in read("held_out") if m.language == language])
    assert figures.crisis.share >= 0.8
    assert figures.told.share >= 0.8
    assert figures.false_any.share <= 0.1
    assert figures.kept_back.share >= 0.8


def test_harmless_words_that_sound_like_it_are_let_be_where_nothing_else_is_found() -> None:
    assert count(read("veiled")).false_any.share <= 0.1


def test_the_set_is_large_enough_and_no_message_is_in_two_parts() -> None:
    parts = {part: read(part) for part in PARTS}
    incoming = [m for part in parts.values() for m in part if m.direction == "incoming"]
    assert len(incoming) >= 400
    assert sum(m.label == "none" for m in incoming) >= len(incoming) / 3
    files = [path.read_text(encoding="utf-8") for path in FOLDER.glob("*/*.tsv")]
    texts = [line.partition("\t")[2] for file in files for line in file.splitlines()]
    assert len(set(texts)) == len(texts)
