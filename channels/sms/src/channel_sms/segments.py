"""What a text costs as an SMS: GSM-7 or UCS-2, and how many segments of it.

GSM 03.38 by ``smsutil``: 160 septets in one segment, 153 in each of several, where ``^{}\\[~]|€``
count two and stay together; one character that is not in it makes the whole text UCS-2 with 70 and
67 units of UTF-16.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import Final

from smsutil import split  # type: ignore[import-untyped]  # it has no types

SEGMENT_SEPTETS: Final = 153
"""What a segment of several holds, and the unit of :attr:`Measure.cost`."""

_SEGMENT_UNITS: Final = 67
_GSM: Final = "gsm0338"

# What looks alike in GSM-7. Letters keep their accents ("está" is not "esta"); the small c with a
# cedilla alone goes, as the alphabet has its capital only and half of all French would cost double.
_ALIKE: Final = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′‹›`´ʼ", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−•·‣◦", "-"),
        **dict.fromkeys(
            "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000", " "
        ),
        **dict.fromkeys("\u200b\u200c\u2060\ufeff\u00ad\u200e\u200f", ""),
        "\t": " ",
        "…": "...",
        "→": "->",
        "←": "<-",
        "×": "x",
        "≤": "<=",
        "≥": ">=",
        "ç": "c",
    }
)


@dataclass(frozen=True, slots=True)
class Measure:
    """What a text costs.

    ``cost`` grows with every character and is at most ``SEGMENT_SEPTETS`` times ``segments``.
    """

    segments: int
    is_gsm: bool
    cost: int


def measure(text: str) -> Measure:
    """Return what ``text`` costs as it stands; an empty one costs a segment too."""
    found = split(text)
    is_gsm = found.encoding == _GSM
    count, last = len(found.parts), found.parts[-1].bytes
    # smsutil counts bytes of UCS-2. The one segment of a short text holds a little more than each
    # of several; it must not cost more than one.
    used = last if is_gsm else math.ceil(last / 2 * SEGMENT_SEPTETS / _SEGMENT_UNITS)
    cost = SEGMENT_SEPTETS * (count - 1) + min(used, SEGMENT_SEPTETS)
    return Measure(segments=count, is_gsm=is_gsm, cost=cost)


def fold(text: str) -> str:
    """Return ``text`` in GSM-7 if only typographic characters stand in the way, else as it is."""
    folded = unicodedata.normalize("NFC", text).translate(_ALIKE)
    return folded if split(folded).encoding == _GSM else text
