"""From verified bytes to events."""

from __future__ import annotations

from channel_kit import EventKind, Identifier, InboundEvent, PayloadUnreadable, Sender
from channel_kit.payload import clean_json, read_json
from channel_kit.text import clean
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError


class _User(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Identifier
    is_bot: bool = False


class _Update(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Identifier
    type: str
    user: _User
    chat: Identifier
    sent_at: AwareDatetime


def parse_events(body: bytes) -> tuple[InboundEvent, ...]:
    """Return the event in ``body``, or none when we sent it ourselves.

    Raises:
        PayloadUnreadable: it is not what the platform sends.
    """
    payload = read_json(body)
    text = payload.get("text", "")
    if not isinstance(text, str):
        raise PayloadUnreadable("text is not a string")
    try:
        update = _Update.model_validate(payload)
    except ValidationError as error:
        fields = {".".join(map(str, problem["loc"])) for problem in error.errors()}
        raise PayloadUnreadable(f"missing or wrong: {', '.join(sorted(fields))}") from None
    if update.user.is_bot:
        return ()
    is_message = update.type == "message" and text.strip() != ""
    return (
        InboundEvent(
            external_id=update.id,
            kind=EventKind.MESSAGE if is_message else EventKind.UNSUPPORTED,
            sender=Sender(id=update.user.id),
            thread=update.chat,
            text=clean(text),
            occurred_at=update.sent_at,
            raw=clean_json(payload),
        ),
    )
