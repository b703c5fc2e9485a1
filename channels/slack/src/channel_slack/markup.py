"""From what Slack makes of somebody's words back to the words.

Slack escapes ``& < >`` and writes what it recognised as ``<…>``: ``<@U1>``, ``<#C1|general>``,
``<!here>``, ``<https://a.example|a.example>`` (docs.slack.dev, "Formatting message text").
"""

from __future__ import annotations

import re
from typing import Final

_ENTITY: Final = re.compile(r"<([^<>\n]{1,4000})>")
_NAMED: Final = re.compile(r"<(?:@[UW]|!(?:subteam\^|here|channel|everyone))")
_AFTER_MENTION: Final = r"[ \t\u00a0]*[:,]?\s*"


def plain_text(text: str) -> str:
    """Return the words that somebody wrote, nothing of Slack's own notation left."""
    return _unescape(_ENTITY.sub(lambda match: _readable(match.group(1)), text))


def mentions(text: str, user: str | None) -> bool:
    """Tell whether ``text`` names a user."""
    return user is not None and re.search(rf"<@{re.escape(user)}(?:\|[^<>]*)?>", text) is not None


def names_somebody(text: str) -> bool:
    """Tell whether ``text`` names anybody: a user, a group, or all who are there."""
    return _NAMED.search(text) is not None


def without_mention(text: str, user: str | None) -> str:
    """Return ``text`` without the mentions of ``user`` that it begins with: they only address."""
    if user is None:
        return text
    return re.sub(rf"^(?:\s*<@{re.escape(user)}(?:\|[^<>]*)?>{_AFTER_MENTION})+", "", text)


def _readable(entity: str) -> str:
    target, _, label = entity.partition("|")
    if target.startswith("@"):
        return f"@{label or target[1:]}"
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        return _special(target[1:], label)
    return _link(target, label)


def _special(name: str, label: str) -> str:
    if name.startswith(("date^", "subteam^")):
        return label or f"@{name.partition('^')[2]}"
    return label if label.startswith("@") else f"@{label or name}"


def _link(address: str, label: str) -> str:
    shown = address.removeprefix("mailto:").removeprefix("tel:")
    # Slack makes a link of every bare name it knows to be one, and keeps what was typed as label.
    if not label or label in shown:
        return label or shown
    return f"{label} ({shown})"


def _unescape(text: str) -> str:
    # & last: "&amp;lt;" is what somebody gets who typed "&lt;".
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
