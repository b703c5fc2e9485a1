"""The contract between Coachline and its channels."""

from channel_kit.abilities import Streaming
from channel_kit.contract import (
    Attachment,
    Capabilities,
    Channel,
    Citation,
    EventKind,
    Identifier,
    InboundEvent,
    Receipt,
    Reply,
    Sender,
    WebhookRequest,
)
from channel_kit.errors import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    PayloadUnreadable,
    RateLimited,
    RecipientUnreachable,
    ReplyRejected,
    SignatureMismatch,
)

__all__ = [
    "Attachment",
    "Capabilities",
    "Channel",
    "ChannelError",
    "ChannelUnavailable",
    "Citation",
    "CredentialsRejected",
    "EventKind",
    "Identifier",
    "InboundEvent",
    "OutcomeUnknown",
    "PayloadUnreadable",
    "RateLimited",
    "Receipt",
    "RecipientUnreachable",
    "Reply",
    "ReplyRejected",
    "Sender",
    "SignatureMismatch",
    "Streaming",
    "WebhookRequest",
]
