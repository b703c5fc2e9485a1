"""Text as Telegram measures it: UTF-16 code units, and entities that lie on their borders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from coachline_lab.telegram.refusals import bad_request

TEXT_UNITS: Final = 4096
CAPTION_UNITS: Final = 1024
MOST_ENTITIES: Final = 100
TYPES: Final = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold"}
    | {"italic", "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote"}
    | {"code", "pre", "text_link", "text_mention", "custom_emoji", "date_time"}
)
_ALONE: Final = frozenset({"code", "pre"})
_QUOTES: Final = frozenset({"blockquote", "expandable_blockquote"})
_TYPED: Final = re.compile(
    r"(?P<bot_command>(?<![\w/])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?\b)"
    r"|(?P<url>\bhttps?://[^\s<>]+)"
    r"|(?P<email>\b[\w.+-]+@[\w-]+\.[\w.]+\b)"
    r"|(?P<mention>(?<!\w)@[A-Za-z][A-Za-z0-9_]{3,31}\b)"
    r"|(?P<hashtag>(?<!\w)#\w+)"
)


def units(text: str) -> int:
    """The length of ``text`` in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def typed_entities(text: str) -> list[dict[str, Any]]:
    """The entities that Telegram itself finds in what a person typed."""
    return [
        {
            "type": found.lastgroup,
            "offset": units(text[: found.start()]),
            "length": units(found.group()),
        }
        for found in _TYPED.finditer(text)
    ]


def checked_text(
    text: str, entities: Sequence[Any] | None, *, most: int = TEXT_UNITS
) -> tuple[str, list[dict[str, Any]]]:
    """Return text and entities as they will be shown.

    Raises:
        Refusal: the text is empty or too long, or an entity is not one or not inside it.
    """
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise bad_request("strings must be encoded in UTF-8")
    shown = text.rstrip()
    if not shown.strip():
        raise bad_request("message text is empty" if not text else "text must be non-empty")
    if units(shown) > most:
        raise bad_request("message is too long")
    found = [_checked(one, text) for one in entities or ()]
    _refuse_crossing(found)
    length = units(shown)
    kept = [one for one in found if one["offset"] < length]
    for one in kept:
        one["length"] = min(one["length"], length - one["offset"])
    return shown, kept[:MOST_ENTITIES]


def _checked(entity: Any, text: str) -> dict[str, Any]:
    if not isinstance(entity, dict):
        raise bad_request("can't parse entities: object expected")
    kind, offset, length = entity.get("type"), entity.get("offset"), entity.get("length")
    if kind not in TYPES:
        raise bad_request("can't parse entities: unsupported type of the entity")
    if not isinstance(offset, int) or not isinstance(length, int) or length <= 0 or offset < 0:
        raise bad_request("can't parse entities: entity has no valid range")
    if offset + length > units(text):
        raise bad_request("can't parse entities: entity ends beyond the text")
    if kind == "text_link" and not _is_link(entity.get("url")):
        raise bad_request("can't parse entities: entity has no valid URL")
    for border in (offset, offset + length):
        if _splits_pair(text, border):
            raise bad_request("can't parse entities: entity begins or ends inside a UTF-16 symbol")
    # A client writes what is not set as null; what is shown has no such fields.
    return {name: value for name, value in entity.items() if value is not None}


def _is_link(url: object) -> bool:
    return isinstance(url, str) and bool(re.match(r"(https?|tg|mailto|ftp|tel):\S", url))


def _splits_pair(text: str, border: int) -> bool:
    encoded = text.encode("utf-16-le")
    before = encoded[2 * border - 2 : 2 * border]
    return len(before) == 2 and 0xD8 <= before[1] <= 0xDB


def _refuse_crossing(entities: Sequence[dict[str, Any]]) -> None:
    """Entities nest or lie apart; nothing lies in code, no quote in a quote."""
    open_ones: list[dict[str, Any]] = []
    for one in sorted(entities, key=lambda each: (each["offset"], -each["length"])):
        while open_ones and open_ones[-1]["offset"] + open_ones[-1]["length"] <= one["offset"]:
            open_ones.pop()
        for outer in open_ones:
            if one["offset"] + one["length"] > outer["offset"] + outer["length"]:
                raise bad_request("can't parse entities: entities overlap")
            if outer["type"] in _ALONE or (outer["type"] in _QUOTES and one["type"] in _QUOTES):
                raise bad_request(f"can't parse entities: {one['type']} in {outer['type']}")
        open_ones.append(one)
