"""From verified forms to events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError

from channel_kit import (
    Attachment,
    DeliveryReport,
    EventKind,
    InboundEvent,
    PayloadUnreadable,
    Sender,
    WebhookRequest,
)
from channel_kit.payload import clean_json
from channel_kit.text import clean
from channel_sms.config import WHATSAPP, SmsConfig
from channel_sms.media import is_ours
from channel_sms.optout import START_WORDS, STOP_WORDS, wants_out
from channel_sms.outbound import REPLY_PARAMETER
from channel_sms.problems import describe, is_unreachable
from channel_sms.signature import is_json, read_form

_INBOUND: Final = frozenset({"", "received", "receiving"})
_STATUSES: Final[Mapping[str, str]] = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "sent",
    "delivered": "delivered",
    "partially_delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}
_KINDS: Final[Mapping[str, str]] = {"image": "photo", "audio": "audio", "video": "video"}
_DOCUMENTS: Final = frozenset({"application", "text"})
_MOST_FILES: Final = 10
_LONGEST_NAME: Final = 256

Fields = Mapping[str, str]
"""A form, with the first value of each field."""


def is_status(request: WebhookRequest) -> bool:
    """Tell whether a verified request is about one of our own messages."""
    try:
        return _is_status(_fields(request))
    except PayloadUnreadable:
        return False


def parse_events(config: SmsConfig, request: WebhookRequest) -> tuple[InboundEvent, ...]:
    """Return the event of a verified request, or none for what nobody has to know of.

    Raises:
        PayloadUnreadable: it is not the form of a message or of a status; the message names the
            field and shows nothing of the content.
    """
    fields = _fields(request)
    try:
        event = (
            _report(fields, request) if _is_status(fields) else _message(config, fields, request)
        )
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        where = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)
        raise PayloadUnreadable(where) from None
    return () if event is None else (event,)


def _fields(request: WebhookRequest) -> Fields:
    if is_json(request.headers):
        raise PayloadUnreadable("the body is JSON, messages are forms")
    try:
        pairs = read_form(request.body)
    except ValueError:
        raise PayloadUnreadable("the form cannot be read") from None
    return dict(reversed(pairs))


def _is_status(fields: Fields) -> bool:
    return (fields.get("MessageStatus") or fields.get("SmsStatus", "")) not in _INBOUND


def _report(fields: Fields, request: WebhookRequest) -> InboundEvent | None:
    said = fields.get("MessageStatus") or fields["SmsStatus"]
    status = _STATUSES.get(said)
    if status is None:
        return None  # A word that is newer than we are: it cannot be ranked.
    sid, person = _needed(fields, "MessageSid"), _needed(fields, "To")
    error = fields.get("ErrorCode", "")
    code = int(error) if error.isascii() and error.isdigit() and len(error) <= 9 else 0
    report = DeliveryReport.model_validate(
        {
            "status": status,
            "reply_id": _reply_id(request.url),
            "external_id": sid,
            "problem": describe(code) if code else (said if status == "failed" else None),
            "is_unreachable": status == "failed" and is_unreachable(code),
        }
    )
    return InboundEvent(
        external_id=f"{sid}:{said}:{error}",
        kind=EventKind.RECEIPT,
        sender=Sender(id=person),
        thread=person,
        receipt=report,
        occurred_at=request.received_at,
        raw=_raw(fields),
    )


def _reply_id(url: str) -> str | None:
    found = parse_qs(urlsplit(url).query).get(REPLY_PARAMETER)
    return found[0] if found else None


def _message(config: SmsConfig, fields: Fields, request: WebhookRequest) -> InboundEvent | None:
    person = _needed(fields, "From")
    if fields.get("Direction", "").startswith("outbound") or person == config.from_number:
        return None  # Our own words come back.
    if fields.get("OptOutType", "").upper() == "HELP":
        return None  # Advanced Opt-Out gave the tenant's own answer already.
    said = _content(config, fields)
    return InboundEvent(
        external_id=_needed(fields, "MessageSid"),
        sender=Sender(id=person, name=_name(fields)),
        thread=person,
        reply_to=fields.get("OriginalRepliedMessageSid") or None,
        occurred_at=request.received_at,
        raw=_raw(fields),
        **said,
    )


def _content(config: SmsConfig, fields: Fields) -> dict[str, Any]:
    """Return what somebody said or did: kind, text, consent, attachments."""
    text = clean(fields.get("Body", ""))
    consent = _consent(fields, text)
    if consent is not None:
        return consent
    if "ButtonPayload" in fields:
        label = clean(fields.get("ButtonText", "")) or text
        return {"kind": EventKind.BUTTON, "text": clean(fields["ButtonPayload"]) or label}
    attachments = _attachments(config, fields)
    if attachments or text.strip():
        return {"kind": EventKind.MESSAGE, "text": text, "attachments": attachments}
    return {"kind": EventKind.UNSUPPORTED}


def _consent(fields: Fields, text: str) -> dict[str, Any] | None:
    """Return a withdrawal or its end. One that Twilio knows of was answered by Twilio."""
    word = text.strip().casefold()
    told = fields.get("OptOutType", "").casefold()
    # Without Advanced Opt-Out, Twilio acts on keywords of SMS alone, never of WhatsApp.
    is_theirs = told in ("stop", "start") or not fields.get("From", "").startswith(WHATSAPP)
    words = "" if is_theirs else text
    if told == "stop" or (not told and word in STOP_WORDS):
        return {"kind": EventKind.CONSENT, "consent": "stop", "text": words}
    if told == "start" or (not told and word in START_WORDS):
        return {"kind": EventKind.CONSENT, "consent": "start", "text": words}
    if word.strip("!. ") in STOP_WORDS or wants_out(text):
        return {"kind": EventKind.CONSENT, "consent": "stop", "text": text}
    return None


def _attachments(config: SmsConfig, fields: Fields) -> tuple[Attachment, ...]:
    """Return the files; ``NumMedia`` is only a claim, the fields themselves count."""
    found: list[Attachment] = []
    for number in range(_MOST_FILES):
        url = fields.get(f"MediaUrl{number}", "")
        if not url:
            continue
        mime_type = clean(fields.get(f"MediaContentType{number}", ""))
        family = mime_type.partition("/")[0]
        found.append(
            Attachment(
                kind=_KINDS.get(family, "document" if family in _DOCUMENTS else "other"),
                # Another host would be shown the account's token.
                reference=url if is_ours(config, url) else None,
                mime_type=mime_type or None,
            )
        )
    return tuple(found)


def _name(fields: Fields) -> str | None:
    return clean(fields.get("ProfileName", ""))[:_LONGEST_NAME] or None


def _needed(fields: Fields, name: str) -> str:
    value = fields.get(name, "")
    if not value:
        raise PayloadUnreadable(f"{name} is missing")
    return value


def _raw(fields: Fields) -> dict[str, Any]:
    return clean_json(dict(sorted(fields.items())))
