"""From replies to the words of a message, and from answers to parts that fit into one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from channel_kit import Reply, ReplyRejected
from channel_kit.cutting import cut
from channel_kit.rendering import Rendered, Style, render
from channel_kit.text import clean
from channel_sms.config import WHATSAPP, SmsConfig
from channel_sms.segments import SEGMENT_SEPTETS, fold, measure
from channel_sms.signature import OVERRIDES

MOST_CHARACTERS: Final = 1600
"""What Twilio takes in one message, of SMS and of WhatsApp."""

REPLY_PARAMETER: Final = "reply"
"""The query parameter of a status callback that says which of our replies it is about."""

# The rest of the 1,600 is for choices, which a part does not know of when it is cut.
_MOST_PART_CHARACTERS: Final = 1200
_BULLET: Final = re.compile(r"^(\s*)• ", re.MULTILINE)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE: Final = re.compile(r"\s+")


def shape_answer(config: SmsConfig, text: str, hint: str) -> list[str]:
    """Return an answer's parts, each worth ``max_segments`` at most, with ``hint`` below it."""
    limit = config.max_segments * SEGMENT_SEPTETS
    tail = _tail((), hint)
    if not config.is_whatsapp:
        # A hint that would leave hardly any room costs extra instead.
        limit = max(limit, 2 * measure(fold(tail)).cost)

    def length(rendered: Rendered) -> int:
        body = to_plain(rendered) + tail
        by_characters = -(-len(body) * limit // _MOST_PART_CHARACTERS)
        return by_characters if config.is_whatsapp else max(by_characters, measure(fold(body)).cost)

    return cut(_printable(text), limit, length)


def message_text(reply: Reply) -> str:
    """Return the words of one message: the text, the choices by number, the hint.

    Raises:
        ReplyRejected: there are none, or more than Twilio takes.
    """
    text = to_plain(render(_printable(reply.text)))
    if not text.strip():
        raise ReplyRejected("the text is blank")
    body = text + _tail([choice.label for choice in reply.choices], reply.hint)
    if not reply.thread.startswith(WHATSAPP):
        body = fold(body)
    if len(body) > MOST_CHARACTERS:
        raise ReplyRejected(f"the text is longer than {MOST_CHARACTERS} characters")
    return body


def to_plain(rendered: Rendered) -> str:
    """Return the words without styles; the address of a link follows it in parentheses."""
    text = rendered.text
    links = [span for span in rendered.spans if span.style is Style.LINK and span.target]
    for span in sorted(links, key=lambda span: span.start, reverse=True):
        words, target = text[span.start : span.end], span.target or ""
        if words in (target, target.partition(":")[2].lstrip("/")):
            shown = target.removeprefix("mailto:").removeprefix("tel:")
        else:
            shown = f"{words} ({target})"
        text = text[: span.start] + shown + text[span.end :]
    return _BULLET.sub(r"\1- ", _printable(text))


def message_fields(config: SmsConfig, reply: Reply, text: str) -> dict[str, Any]:
    """Return the arguments of Twilio's ``messages.create``."""
    fields: dict[str, Any] = {"to": reply.thread, "body": text}
    if config.messaging_service_sid is not None:
        fields["messaging_service_sid"] = config.messaging_service_sid
        # Ours are the words as they stand: an address that was rewritten is one nobody knows.
        fields["shorten_urls"] = False
    else:
        fields["from_"] = config.from_number
    if config.inbound_url is not None:
        fields["status_callback"] = _status_callback(config.inbound_url, reply.id)
    if not reply.in_reply_to:
        fields["validity_period"] = config.validity_seconds
    return fields


def template_fields(config: SmsConfig, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the same message by the tenant's template: WhatsApp's way outside its window."""
    variables = {config.content_variable: flatten(str(fields["body"]))}
    rest = {name: value for name, value in fields.items() if name != "body"}
    return {
        **rest,
        "content_sid": config.content_sid,
        "content_variables": json.dumps(variables, ensure_ascii=False),
    }


def flatten(text: str) -> str:
    """Return ``text`` on one line: WhatsApp takes no line breaks in a template's variable."""
    return _SPACE.sub(" ", text).strip()


def _printable(text: str) -> str:
    # Before anything is cut: a control character keeps a letter and its mark apart until it goes.
    return _CONTROLS.sub("", clean(text))


def _tail(labels: Sequence[str], hint: str) -> str:
    lines = [f"{number} {label}" for number, label in enumerate(labels, 1)]
    if hint:
        lines.append(hint)
    return "".join(f"\n{_printable(line)}" for line in lines)


def _status_callback(inbound_url: str, reply_id: str) -> str:
    joint = "&" if "?" in inbound_url else "?"
    return f"{inbound_url}{joint}{REPLY_PARAMETER}={quote(reply_id, safe='')}{OVERRIDES}"
