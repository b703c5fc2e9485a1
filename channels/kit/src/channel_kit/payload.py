"""Reading a platform's JSON so that nothing odd gets past the door.

Python's parser takes much that PostgreSQL, other parsers or the next reader refuse: duplicate keys,
``NaN``, numbers of any length, NUL, lone surrogates, nesting until the stack ends. Each of them
stored once would be a poison message, so it is refused, or cleaned, here.

Text is cleaned; an *identifier* never is: two senders that differ by a NUL would become one.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from channel_kit.errors import PayloadUnreadable
from channel_kit.text import clean

_DEEPEST: Final = 32
# 64-bit identifiers have up to 19 digits and a sign; a longer number is nobody's.
_LONGEST_NUMBER: Final = 40


def read_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``, its strings as they came.

    Raises:
        PayloadUnreadable: it is not UTF-8, not JSON, not an object, or one of the traps; the
            message says which and shows nothing of the content.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise PayloadUnreadable("the body starts with a byte order mark")
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except UnicodeDecodeError as error:
        raise PayloadUnreadable(f"the body is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise PayloadUnreadable(f"the body is not JSON (character {error.pos})") from None
    except RecursionError:
        raise PayloadUnreadable(f"the JSON is nested deeper than {_DEEPEST} levels") from None
    if not isinstance(value, dict):
        raise PayloadUnreadable("the body is not a JSON object")
    _check_depth(value)
    return value


def clean_json(value: dict[str, Any]) -> dict[str, Any]:
    """Return ``value`` with every string cleaned, keys too, as PostgreSQL's ``jsonb`` takes it.

    Raises:
        PayloadUnreadable: two keys of one object became the same.
    """
    cleaned: dict[str, Any] = _clean(value)
    return cleaned


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PayloadUnreadable("a key appears twice in one JSON object")
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise PayloadUnreadable("NaN and Infinity are not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise PayloadUnreadable(f"a number has more than {_LONGEST_NUMBER} characters")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise PayloadUnreadable("a number is too large")
    return number


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [child for parent in level for child in _children(parent)]
    if level:
        raise PayloadUnreadable(f"the JSON is nested deeper than {_DEEPEST} levels")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return _unique([(clean(key), _clean(item)) for key, item in value.items()])
    return value
