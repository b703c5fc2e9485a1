"""The contract between the gateway and a channel: every type that crosses the border.

A channel is a class (the platform) whose instances are *connections* (one tenant's account on
it). The gateway hands it raw bytes and takes events back; it hands it replies and takes receipts
back. Everything a channel may do beside that is an optional protocol in
:mod:`channel_kit.abilities`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _without_controls(text: str) -> str:
    # PostgreSQL refuses NUL; the others only serve to make two identifiers look alike.
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise ValueError("holds a control character")
    return text


Identifier = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_without_controls)]
"""A platform's id or address: kept exactly as it came or refused, never cleaned."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventKind(StrEnum):
    """What an inbound event is.

    ``message``, ``button`` and ``command`` are answered. An ``edit`` or ``delete`` changes the
    message that its ``reply_to`` names. ``opened`` is somebody who came for the first time and said
    nothing yet. ``consent`` and ``receipt`` carry the field of their name. ``revoked`` is the
    platform taking the tenant's access away. ``reaction`` is recorded; ``unsupported`` is content
    that the channel cannot read.
    """

    MESSAGE = "message"
    EDIT = "edit"
    DELETE = "delete"
    REACTION = "reaction"
    BUTTON = "button"
    COMMAND = "command"
    OPENED = "opened"
    CONSENT = "consent"
    RECEIPT = "receipt"
    REVOKED = "revoked"
    UNSUPPORTED = "unsupported"


class WebhookRequest(_Frozen):
    """One HTTP request as it came: nothing decoded, nothing trusted.

    ``headers`` has lower-case names. ``url`` is built from the configured public address, never
    from a forwarded header. ``received_at`` is the gateway's clock, timezone-aware UTC.
    """

    method: str = "POST"
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class Sender(_Frozen):
    """Who wrote, as the platform names them. ``id`` is unique within the connection."""

    id: Identifier
    name: str | None = Field(default=None, max_length=256)


class Attachment(_Frozen):
    """A file that came along.

    ``kind`` is ``photo``, ``document``, ``audio``, ``video`` or ``other``. ``reference`` is what
    the channel's ``fetch`` needs to get it, and never holds a secret: a platform's file id, or an
    address that is of no use without the connection's credentials.
    """

    kind: str
    reference: str | None = None
    name: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = Field(default=None, ge=0)


class DeliveryReport(_Frozen):
    """What a platform tells later about a reply that it took.

    ``reply_id`` is our own id, where the platform gives it back; ``external_id`` is the platform's,
    as in the receipt. Reports may come doubled and in any order: ``failed`` and ``delivered`` are
    final, ``read`` follows ``delivered`` only. ``is_unreachable`` says that this person cannot be
    written to again (blocked, opted out, no such number).
    """

    status: Literal["accepted", "sent", "delivered", "read", "failed"]
    reply_id: str | None = None
    external_id: str | None = None
    problem: str | None = None
    is_unreachable: bool = False


class InboundEvent(_Frozen):
    """One thing that happened on a platform.

    ``external_id`` is the deduplication key inside one connection: the same delivery, redelivered,
    gives the same id. ``thread`` is the opaque address that a reply is sent to. ``reply_to`` is the
    external id of the message that it answers, or, for ``edit``, ``delete`` and ``reaction``, of
    the message that it is about. A ``button``'s ``text`` is the value of the choice, a
    ``command``'s the words after the command's own name. ``stop`` and ``start`` are what the
    learner said: with a text it is confirmed to them, without one the platform did that.
    ``blocked`` and ``unblocked`` are what the platform lets happen, not what the learner said;
    neither is answered. ``is_private`` says that nobody else reads along in the thread; in one
    where others do, the gateway tells nothing personal. What is not ``is_addressed`` names nobody:
    it is for us only where we talk with its sender already, and is dropped where we do not.
    ``raw`` is the platform's own JSON, kept for questions asked later.
    """

    external_id: Identifier
    kind: EventKind
    sender: Sender
    thread: Identifier
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    reply_to: Identifier | None = None
    consent: Literal["stop", "start", "blocked", "unblocked"] | None = None
    receipt: DeliveryReport | None = None
    is_private: bool = True
    is_addressed: bool = True
    occurred_at: datetime
    raw: dict[str, Any] = Field(default_factory=dict)


class Citation(_Frozen):
    """A passage that a reply stands on, numbered as ``[n]`` in its text."""

    number: int = Field(ge=1)
    title: str
    source: str


class Choice(_Frozen):
    """One of a few things that a learner may pick: what they read, and what comes back."""

    label: str = Field(min_length=1, max_length=40)
    value: Identifier


class Reply(_Frozen):
    """One part of an answer, ready for one call of the platform.

    ``id`` is stable over every attempt and unique per part: a platform that knows idempotency keys
    gets it. ``in_reply_to`` are the external ids of the events that it answers. ``text`` is
    CommonMark. ``hint`` is a short plain sentence shown below it ("Reply MORE for the rest.").
    ``choices`` are buttons where the platform has them, else a numbered list. ``at`` is when this
    attempt began, by the clock that all processes of a gateway share, for signatures; None: now.
    """

    id: str
    thread: str
    text: str = Field(min_length=1)
    in_reply_to: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    choices: tuple[Choice, ...] = ()
    hint: str = ""
    part: int = Field(default=1, ge=1)
    parts: int = Field(default=1, ge=1)
    attempt: int = Field(default=1, ge=1)
    at: datetime | None = None


class Receipt(_Frozen):
    """The platform's proof that it took a reply. ``external_id`` is its id for our message."""

    external_id: str | None = None
    accepted_at: datetime
    details: dict[str, Any] = Field(default_factory=dict)


class Capabilities(_Frozen):
    """What a channel can do and where its limits are.

    ``max_text`` counts in ``text_unit``. ``answer_characters`` is how long an answer should be
    here: the model is told; None where length costs nothing. ``parts_at_once`` is how many parts
    of a long answer are sent before the learner is asked whether to go on; None sends all.
    ``citations`` says how sources are shown: as ``data`` of the reply, as a ``list`` below the
    text, as ``buttons``, or on ``request`` ("reply 1"). ``bare_commands`` says that commands are
    known without a slash. ``settle_seconds`` is how long a burst of messages may keep a turn from
    beginning. ``idempotent_send`` says that sending the same reply twice shows it once; only then
    may an ambiguous outcome be sent again without asking.
    """

    max_text: int = Field(ge=1)
    text_unit: Literal["characters", "utf16", "bytes"] = "characters"
    formatting: Literal["markdown", "entities", "mrkdwn", "plain"] = "markdown"
    answer_characters: int | None = Field(default=None, ge=40)
    parts_at_once: int | None = Field(default=None, ge=1)
    citations: Literal["data", "list", "buttons", "request"] = "data"
    buttons: bool = False
    bare_commands: bool = False
    settle_seconds: float = Field(default=1.2, ge=0, le=30)
    idempotent_send: bool = False
    streaming: bool = False
    typing: bool = False
    threads: bool = False
    edits_in: bool = False
    attachments_in: bool = False
    attachment_bytes: int | None = Field(default=None, ge=1)
    receipts: bool = False
    quirks: tuple[str, ...] = ()


@runtime_checkable
class Channel(Protocol):
    """A platform, connected for one tenant.

    The constructor is ``(config, http)``: an instance of ``Config`` and the gateway's one shared
    HTTP session (``aiohttp.ClientSession`` for every first-party channel), which the channel never
    closes.
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]
    capabilities: ClassVar[Capabilities]

    def __init__(self, config: Any, http: Any) -> None: ...

    def verify(self, request: WebhookRequest) -> None:
        """Prove that the platform sent these bytes.

        Raises:
            SignatureMismatch: it did not, or not recently, or it cannot be told.
        """
        ...

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Turn verified bytes into events, own echoes left out. Pure: no clock, no network.

        Raises:
            PayloadUnreadable: the bytes are not what the platform sends.
        """
        ...

    async def send(self, reply: Reply) -> Receipt:
        """Give one reply to the platform.

        Raises:
            ChannelError: one of its leaves, which says what the gateway does next.
        """
        ...
