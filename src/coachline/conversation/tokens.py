"""How many tokens a text may cost, told without the model's own vocabulary. Pure."""

from __future__ import annotations

from typing import Final

MESSAGE_TOKENS: Final = 8
"""What a chat template puts around one message: role, separators, line ends."""

_ASCII: Final = bytes(range(128))
_ASCII_PER_TOKEN: Final = 3
_BYTES_PER_TOKEN: Final = 2
ELLIPSIS: Final = " […]"


def estimate_tokens(text: str) -> int:
    """Return a number of tokens that ``text`` rarely exceeds.

    Three ASCII characters or two bytes of any other UTF-8 character count as a token. English is
    nearer to four characters a token and Chinese to three bytes, so ordinary text leaves a
    quarter unused; the estimate is for models of any vocabulary, small ones included.
    """
    data = text.encode("utf-8", "replace")
    other = len(data.translate(None, _ASCII))
    return -((other - len(data)) // _ASCII_PER_TOKEN) - (-other // _BYTES_PER_TOKEN)


def cut_to_tokens(text: str, tokens: int) -> str:
    """Return ``text``, or as much of its beginning as ``tokens`` hold, marked as cut."""
    # No token holds more than three characters, so nothing beyond that can fit: a text of a
    # million characters is not looked through.
    short = text[: tokens * _ASCII_PER_TOKEN + 1]
    if len(short) == len(text) and estimate_tokens(text) <= tokens:
        return text
    low, high = 0, len(short)
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(short[:middle] + ELLIPSIS) <= tokens:
            low = middle
        else:
            high = middle - 1
    return short[:low].rstrip() + ELLIPSIS
