"""From verified bytes to events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from channel_kit import EventKind, Identifier, InboundEvent, PayloadUnreadable, Sender
from channel_kit.payload import clean_json, read_json
from channel_kit.signing import ID_HEADER, TIMESTAMP_HEADER
from channel_kit.text import clean

MOST_TEXT_BYTES: Final = 64 * 1024
"""Bytes of UTF-8 that ``text`` may have; more is a document, not a message."""

OWN_TYPES: Final = frozenset({"reply", "reply.draft"})
"""What we post ourselves. A callback that points back here would make us talk to ourselves."""

_KINDS: Final[Mapping[str, EventKind]] = {
    "message": EventKind.MESSAGE,
    "edit": EventKind.EDIT,
    "delete": EventKind.DELETE,
    "reaction": EventKind.REACTION,
    "button": EventKind.BUTTON,
    "command": EventKind.COMMAND,
    "opened": EventKind.OPENED,
    "consent": EventKind.CONSENT,
}
_WITH_TEXT: Final = frozenset(_KINDS) - {"delete", "opened", "consent"}
_ABOUT_ANOTHER: Final = frozenset({"edit", "delete", "reaction"})


def _clean(text: object) -> object:
    # Before the type check: pydantic refuses a lone surrogate, and we would rather keep the rest
    # of what somebody wrote.
    return clean(text) if isinstance(text, str) else text


_Text = Annotated[str, BeforeValidator(_clean)]


class _Sender(BaseModel):
    # Fields that we do not know are allowed: a sender may grow before we do.
    model_config = ConfigDict(strict=True, extra="ignore")

    id: Identifier
    name: Annotated[_Text, Field(max_length=256)] | None = None


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    type: Identifier
    id: Identifier | None = None
    sender: _Sender
    thread: Identifier | None = None
    text: _Text = ""
    reply_to: Identifier | None = None
    consent: Literal["stop", "start"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_foreign_consent(cls, given: dict[str, Any]) -> dict[str, Any]:
        # To any other type it is a field that we do not know, and may be anything.
        if given.get("type") == "consent":
            return given
        return {name: value for name, value in given.items() if name != "consent"}

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.type in _WITH_TEXT and not self.text.strip():
            raise ValueError(f"a {self.type} needs a text")
        if self.type in _ABOUT_ANOTHER and self.reply_to is None:
            raise ValueError(f"a {self.type} needs reply_to, the id of the event it is about")
        if self.type == "consent" and self.consent is None:
            raise ValueError("a consent needs consent: stop or start")
        if len(self.text.encode()) > MOST_TEXT_BYTES:
            raise ValueError(f"text is longer than {MOST_TEXT_BYTES} bytes")
        return self


def parse_events(headers: Mapping[str, str], body: bytes) -> tuple[InboundEvent, ...]:
    """Return the event in ``body``, or none when it is one of our own replies come back.

    Raises:
        PayloadUnreadable: a trap of :func:`read_json`, a field that is missing or of another type;
            the message names the field and shows nothing of the content.
    """
    payload = read_json(body)
    kind = payload.get("type")
    if isinstance(kind, str) and kind in OWN_TYPES:
        return ()
    try:
        return (_event(_Body.model_validate(payload), payload, headers),)
    except ValidationError as error:
        raise PayloadUnreadable(_explain(error)) from None


def _event(body: _Body, payload: dict[str, Any], headers: Mapping[str, str]) -> InboundEvent:
    # The body's id names the event, webhook-id the delivery; a sender may have only one of them.
    # Redelivery keeps both and changes only timestamp and signature, so either deduplicates.
    external_id = body.id or headers.get(ID_HEADER, "")
    return InboundEvent(
        external_id=external_id,
        kind=_KINDS.get(body.type, EventKind.UNSUPPORTED),
        sender=Sender(id=body.sender.id, name=body.sender.name),
        thread=body.thread or body.sender.id,
        text=body.text,
        reply_to=body.reply_to,
        consent=body.consent,
        occurred_at=_occurred_at(headers),
        raw=clean_json(payload),
    )


def _occurred_at(headers: Mapping[str, str]) -> datetime:
    try:
        return datetime.fromtimestamp(int(headers[TIMESTAMP_HEADER]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        raise PayloadUnreadable(f"{TIMESTAMP_HEADER} is missing or malformed") from None


def _explain(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, p["loc"])), p["msg"]))) for p in problems
    )
