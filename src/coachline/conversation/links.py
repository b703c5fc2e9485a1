"""Links in what a model wrote: those to listed hosts stay, all others become words. Pure.

A poisoned document can make a model write a link or an image whose address carries the
conversation to a stranger; a platform that previews it sends it without a click (EchoLeak,
CVE-2025-32711). So an address that was not listed leaves in no form that software takes for one.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import urlsplit

_DOT: Final = r"[.\u3002\uff0e\uff61]"
_LABEL: Final = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_REST: Final = r"[^\s<>\[\]()\"'`\ue000]"
_ADDRESS: Final = re.compile(rf"[a-z][a-z0-9+.-]{{0,19}}://{_REST}*(?<![.,;:!?])", re.IGNORECASE)
_BARE: Final = re.compile(
    rf"(?<![^\W_])({_LABEL}(?:{_DOT}{_LABEL})+)"
    rf"(?:{_DOT}?(:\d+(?:[/\\]{_REST}*)?|[/\\]{_REST}*|[?#]{_REST}+)(?<![.,;!?]))?",
    re.IGNORECASE,
)
_LINK: Final = re.compile(
    r"(!?)\[([^\[\]]*)\]\(\s*(?:<([^<>\n]*)>|([^\s()<>\ue000]*(?:\([^\s()]*\)[^\s()\ue000]*)*))"
    r"[^()\n\ue000]*\)"
)
_DEFINITION: Final = re.compile(r"^[ >]{0,8}\[[^\[\]\n]+\]:.*$(?:\n[ \t]+\S.*$)?", re.MULTILINE)
_AUTOLINK: Final = re.compile(r"<([a-z][a-z0-9+.-]{0,19}:[^\s<>]*)>", re.IGNORECASE)
_TAG: Final = re.compile(r"</?[a-z!?][^<>]*>", re.IGNORECASE)
_TAG_BEGIN: Final = re.compile(r"<(?=[a-z/!?])", re.IGNORECASE)
_ESCAPE: Final = re.compile(r"\\([.:/\\@?#])")
_INVISIBLE: Final = re.compile("[\u00ad\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\ue000\ue001]")
_KEPT: Final = re.compile("\ue000(\\d+)\ue001")
_MARKS: Final = str.maketrans("", "", "*_`~\\")
# Endings that chat programs make links of: every country's, and the usual ones.
_ENDING: Final = re.compile(
    "[a-z]{2}|xn--.*|com|org|net|edu|gov|int|info|biz|app|dev|xyz|top|site|online|shop|store|cloud|"
    "page|link|click|live|life|world|blog|news|club|space|website|tech|pro|mobi|name|localhost|"
    "local|test|example|invalid|internal|onion|zip|mov"
)


def only_listed(text: str, hosts: AbstractSet[str]) -> str:
    """Return CommonMark ``text`` in which only links to ``hosts`` are links.

    An image becomes its description, another link its words, a bare address the name of its host
    written so that nothing makes a link of it. HTML is taken out: no platform needs it.
    """
    text = _TAG.sub("", _AUTOLINK.sub(r"\1", _plain_characters(text)))
    text = _TAG_BEGIN.sub("< ", text)
    flat = text.translate(_MARKS)
    if (_named_hosts(flat) - _named_hosts(text)).keys() - hosts:
        # Emphasis inside an address hides it here and falls away where text is shown plainly.
        text = flat
    text = _DEFINITION.sub("", text)
    kept: list[str] = []

    def link(found: re.Match[str]) -> str:
        words, address = found[2], found[3] or found[4] or ""
        if found[1] or host_of(address) not in hosts:
            return words
        return f"[{words}" + _keep(f"]({address})", kept)

    while (fewer := _LINK.sub(link, text)) != text:
        text = fewer
    text = text.replace("](", "] (")
    text = _ADDRESS.sub(lambda found: _address(found[0], hosts, kept), text)
    text = _BARE.sub(lambda found: _bare(found, hosts, kept), text)
    return _KEPT.sub(lambda found: kept[int(found[1])], text)


def host_of(address: str) -> str | None:
    """Return the host of a plain http(s) address in lower case, None for everything else."""
    if re.search(r"[\s<>@\\]", address):
        return None
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    known = parts.scheme in ("http", "https") and re.fullmatch(r"[a-z0-9.-]+", host)
    return host if known else None


def _plain_characters(text: str) -> str:
    # CommonMark decodes entities and escapes when it is shown, so they are decoded before the
    # look, as often as there is something to decode.
    while (plain := _ESCAPE.sub(r"\1", html.unescape(text))) != text:
        text = plain
    return _INVISIBLE.sub("", text)


def _named_hosts(text: str) -> Counter[str]:
    named = (match[1] for match in _BARE.finditer(text) if _is_link(match))
    return Counter(host.translate(_MARKS).lower() for host in named)


def _address(address: str, hosts: AbstractSet[str], kept: list[str]) -> str:
    if host_of(address) in hosts:
        return _keep(address, kept)
    try:
        return _defanged(urlsplit(address).hostname or "")
    except ValueError:
        return ""


def _bare(found: re.Match[str], hosts: AbstractSet[str], kept: list[str]) -> str:
    if not _is_link(found):
        return found[0]
    if host_of("https://" + found[0]) in hosts:
        return _keep(found[0], kept)
    return _defanged(found[1])


def _is_link(found: re.Match[str]) -> bool:
    labels = re.split(_DOT, found[1].lower())
    if labels[0] == "www" or (len(labels) == 4 and all(label.isdigit() for label in labels)):
        return True
    if found[2] and not labels[-1].isdigit() and len(labels[-1]) > 1:
        return True
    before = found.string[max(0, found.start() - 2) : found.start()]
    is_fragment_next = found.string[found.end() : found.end() + 1] == "#"
    if before.endswith("@") and before[0].isalnum() and not is_fragment_next:
        return False  # a mail address: it is written to, never fetched
    return any(_ENDING.fullmatch(label) for label in labels[1:])


def _defanged(host: str) -> str:
    return re.sub(_DOT, "[.]", host)


def _keep(address: str, kept: list[str]) -> str:
    # Put aside under a private mark, so that the next look does not look at it again.
    kept.append(address)
    return f"\ue000{len(kept) - 1}\ue001"
