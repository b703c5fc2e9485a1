"""Did Twilio take a message that it did not confirm? Its own list tells."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from channel_kit import OutcomeUnknown, Receipt, Reply
from channel_sms.config import SmsConfig
from channel_sms.outbound import flatten

# Twilio's times have whole seconds, and its clock is not ours.
_TOLERANCE: Final = timedelta(seconds=5)
_MOST_LISTED: Final = 100
_TRIAL: Final = "Sent from your Twilio trial account - "


async def find_message(
    client: Any,
    config: SmsConfig,
    reply: Reply,
    text: str,
    *,
    since: datetime,
    taken: Collection[str],
) -> Receipt | None:
    """Return the receipt of the newest message with this text since then, or None.

    Args:
        client: Twilio's library.
        text: the words as they were sent.
        taken: the ids of messages that are known to be other replies.

    Raises:
        OutcomeUnknown: the account does not show the words of its messages.
        ChannelError: Twilio cannot be asked now.
    """
    # Not filtered by date: a message that is still queued has no date of sending.
    listed = await client.messages.list_async(
        to=reply.thread, limit=_MOST_LISTED, page_size=_MOST_LISTED
    )
    hidden = False
    for message in listed:
        if message.sid in taken or not _is_ours(config, message, since - _TOLERANCE):
            continue
        body = message.body or ""
        if _is_text(config, body, text):
            return Receipt(
                external_id=message.sid,
                accepted_at=message.date_created,
                details={"status": str(message.status), "is_read_back": True},
            )
        hidden = hidden or not body
    if hidden:
        raise OutcomeUnknown("the account does not show the text of its messages")
    return None


def _is_ours(config: SmsConfig, message: Any, earliest: datetime) -> bool:
    if not str(message.direction).startswith("outbound") or not message.date_created:
        return False
    if config.messaging_service_sid is not None:
        is_sender = message.messaging_service_sid == config.messaging_service_sid
    else:
        is_sender = message.from_ == config.from_number
    return bool(is_sender and message.date_created >= earliest)


def _is_text(config: SmsConfig, body: str, text: str) -> bool:
    if body.removeprefix(_TRIAL) == text:
        return True
    # Sent by template, outside WhatsApp's window, the words stand inside the tenant's own.
    return config.content_sid is not None and flatten(text) in body
