"""Texts as rules read them: small letters without accents, and without their disguises. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

# Letters of other scripts that look like ours. Compatibility forms fall to NFKD before.
_LOOKALIKES: Final = str.maketrans(
    "абвгеікмнорстухԁѕјһԛԝαβγεηικμνορτυχωѵɑɡıł",
    "abvreikmhopctyxdsjhqwabyenikmvoptuxwvagil",
)
_SPELLED: Final = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d"})
_DIGITS: Final = str.maketrans("0134578@$", "oieastbas")
_TOKEN: Final = re.compile(r"[a-z0-9@$]{2,24}")
_DECIMAL: Final = re.compile(r"(?<=\d)[.,](?=\d)")
_END: Final = re.compile(r"[.!?;\n…。！？]+")
_BETWEEN: Final = re.compile(r"[^\w.@$]+")
_CONTRACTED: Final = re.compile(r"(?<!\w)(do|wo|ca|would|did|is|are|was|were|have|does)nt(?!\w)")
_SPELLED_OUT: Final = re.compile(r"(?<!\w)(?:\w[ .*_-]){2,30}\w(?!\w)")
_STRETCHED: Final = re.compile(r"(\w)\1{2,}")
_DROPPED: Final = MappingProxyType({"Cf": "", "Mn": "", "Me": ""})


def fold(text: str) -> str:
    """Return ``text`` in small Latin letters without accents, words apart by one space.

    The end of a sentence is a full stop between spaces; other marks are spaces. A space stands at
    both ends, and a full stop before the last one.
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    if not plain.isascii():
        plain = "".join(_DROPPED.get(unicodedata.category(c), c) for c in plain)
        plain = plain.casefold().translate(_SPELLED).translate(_LOOKALIKES)
    plain = _END.sub(" . ", _DECIMAL.sub("_", plain) + " . ")
    words = " ".join(_BETWEEN.sub(" ", plain).split())
    return f" {_CONTRACTED.sub(_apart, words)} "


def variants(text: str) -> tuple[str, ...]:
    """Return the ways in which ``text`` may be read, each once, the plain one first.

    Digits may stand for letters (k1ll), and letters may be stretched (diiie).
    """
    plain = fold(text)
    read = _TOKEN.sub(_lettered, plain)
    single, double = _STRETCHED.sub(r"\1", read), _STRETCHED.sub(r"\1\1", read)
    return tuple(dict.fromkeys((plain, read, single, double)))


def spelled_out(text: str) -> str:
    """Return what is spelled letter by letter in ``text`` (k i l l), without any space."""
    folded = _TOKEN.sub(_lettered, fold(_SPELLED_OUT.sub(_closed, text)))
    return folded.replace(" ", "") if _SPELLED_OUT.search(text) else ""


def _apart(found: re.Match[str]) -> str:
    return f"{found[1]}n t"


def _closed(found: re.Match[str]) -> str:
    return re.sub(r"[ .*_-]", "", found[0])


def _lettered(found: re.Match[str]) -> str:
    token = found[0]
    is_word: Callable[[str], bool] = str.isalpha
    return token.translate(_DIGITS) if any(map(is_word, token)) else token
