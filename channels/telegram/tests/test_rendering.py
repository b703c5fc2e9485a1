"""Any CommonMark becomes a text with entities that Telegram's own library reads as we meant it."""

from __future__ import annotations

import re

from aiogram.types import MessageEntity
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_kit.rendering import render
from channel_telegram.outbound import MOST_UNITS, compose_draft, compose_text, shape

_WORDS = st.text(st.sampled_from("ab Zé世👍🏽👩‍🚀\u200d\u0301@_./:#-\n"), min_size=1, max_size=30)
_PIECES = st.one_of(
    _WORDS,
    st.builds(
        lambda mark, words: f"{mark}{words.strip() or 'x'}{mark}",
        st.sampled_from(["**", "*", "~~", "`", "***", "_"]),
        _WORDS,
    ),
    st.builds(lambda words: f"\n\n> {words}\n\n", _WORDS),
    st.builds(lambda words: f"\n\n```py\n{words}\n```\n\n", _WORDS),
    st.builds(lambda words: f"\n# {words}\n", _WORDS),
    st.builds(lambda words: f"\n- {words}\n  1. {words}\n", _WORDS),
    st.builds(
        lambda words, url: f"[{words}]({url})",
        _WORDS,
        st.sampled_from(["https://example.org/a", "tg://user?id=1", "/x", "http://[::1"]),
    ),
    st.text(max_size=20),
)
_MARKDOWN = st.lists(_PIECES, min_size=1, max_size=40).map("".join)
_CANNOT_CONTAIN = {"code", "pre", "text_link"}


@given(_MARKDOWN, st.booleans(), st.integers(1, 12))
@settings(max_examples=50)
def test_any_text_becomes_parts_that_telegram_takes(
    markdown: str, is_private: bool, times: int
) -> None:
    parts = shape(markdown * times, hint="Reply MORE.")
    assert bool(parts) is bool((markdown * times).replace("\x00", "").strip())
    for part in parts:
        content = compose_text(part, is_private=is_private)
        units = content.text.encode("utf-16-le")  # strict: no half of a surrogate pair
        assert 0 < len(units) // 2 <= MOST_UNITS - len("Reply MORE.") - 2
        for entity in content.entities:
            _is_sound(entity, content.text, units)
        _are_sound_together(list(content.entities))


def _is_sound(entity: MessageEntity, text: str, units: bytes) -> None:
    assert entity == MessageEntity.model_validate_json(entity.model_dump_json())
    start, end = entity.offset * 2, (entity.offset + entity.length) * 2
    assert 0 <= start < end <= len(units)
    covered = units[start:end].decode("utf-16-le")
    assert entity.extract_from(text) == covered
    assert covered == covered.strip() != ""
    if entity.type == "text_link":
        assert (entity.url or "").startswith(("https://", "http://"))


def _are_sound_together(entities: list[MessageEntity]) -> None:
    for index, one in enumerate(entities):
        for other in entities[index + 1 :]:
            overlap = (
                one.offset < other.offset + other.length and other.offset < one.offset + one.length
            )
            if overlap:
                assert one.type != other.type
                assert not {one.type, other.type} <= _CANNOT_CONTAIN
                verbatim = {"code", "pre"} & {one.type, other.type}
                assert not verbatim or {one.type, other.type} & {"blockquote"}


@given(_MARKDOWN, st.booleans(), st.integers(1, 200))
@settings(max_examples=50)
def test_any_unfinished_answer_is_one_message(markdown: str, is_private: bool, times: int) -> None:
    if not (markdown * times).replace("\x00", "").strip():
        return
    content = compose_draft(markdown * times, is_private=is_private)
    units = content.text.encode("utf-16-le")
    assert 0 < len(units) // 2 <= MOST_UNITS
    for entity in content.entities:
        _is_sound(entity, content.text, units)


@given(_MARKDOWN)
@settings(max_examples=100)
def test_what_an_entity_covers_is_what_its_style_covered(markdown: str) -> None:
    rendered = render(markdown)
    if not rendered.text.strip():
        return
    content = compose_text(markdown, is_private=True)
    assert content.text == rendered.text
    styled = {rendered.text[s.start : s.end].strip() for s in rendered.spans}
    for entity in content.entities:
        covered = entity.extract_from(content.text)
        assert any(covered in words for words in styled)


@given(_MARKDOWN)
@settings(max_examples=100)
def test_in_a_group_nobody_is_called(markdown: str) -> None:
    rendered = render(markdown)
    if not rendered.text.strip():
        return
    content = compose_text(markdown, is_private=False)
    hidden = "".join(
        "\0" if any(_covers(e, content.text, index) for e in content.entities) else character
        for index, character in enumerate(content.text)
    )
    for found in re.finditer(r"(?<![\w@/.:])@\w{2,32}\b", hidden):
        # What is left is a part of an address.
        (*_, word) = ["", *hidden[: found.start()].split()]
        assert word.startswith("http"), found.group()


def _covers(entity: MessageEntity, text: str, index: int) -> bool:
    if entity.type not in ("code", "pre"):
        return False
    at = len(text[:index].encode("utf-16-le")) // 2
    return entity.offset <= at < entity.offset + entity.length
