"""The SMS channel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Final

import aiohttp
from pydantic import BaseModel

from channel_kit import (
    Acknowledgement,
    Attachment,
    Capabilities,
    Connected,
    InboundEvent,
    OutcomeUnknown,
    Receipt,
    Reply,
    Toll,
    WebhookRequest,
)
from channel_sms.client import open_client
from channel_sms.config import WHATSAPP, SmsConfig
from channel_sms.connecting import connect_sender, disconnect_sender
from channel_sms.inbound import is_status, parse_events
from channel_sms.media import fetch_media
from channel_sms.outbound import message_fields, message_text, shape_answer, template_fields
from channel_sms.problems import OUTSIDE_WINDOW, Refused, contract_errors
from channel_sms.reconciling import find_message
from channel_sms.segments import measure
from channel_sms.signature import verify_signature

_EMPTY_TWIML: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
_MOST_REMEMBERED: Final = 1000
_WHATSAPP_PER_SECOND: Final = 10.0


class SmsChannel:
    """Text messages, pictures and WhatsApp by Twilio."""

    name: ClassVar[str] = "sms"
    Config: ClassVar[type[BaseModel]] = SmsConfig
    capabilities: ClassVar[Capabilities] = Capabilities(
        max_text=1600,
        text_unit="characters",
        formatting="plain",
        answer_characters=300,
        parts_at_once=1,
        citations="request",
        bare_commands=True,
        settle_seconds=2.5,
        attachments_in=True,
        attachment_bytes=16 * 1024 * 1024,
        receipts=True,
        quirks=(
            "a long answer is cut by what it costs in segments, not by characters",
            "Twilio answers STOP, START and HELP itself, and lets nothing through after STOP",
            "a signature has no time: a request is new only once, by its id",
        ),
    )
    reconcile_seconds: float = 3.0

    def __init__(self, config: SmsConfig, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._http = http
        self._taken: OrderedDict[str, str] = OrderedDict()

    def verify(self, request: WebhookRequest) -> None:
        """Prove that Twilio signed this form for this address.

        Raises:
            SignatureMismatch: it did not. A request that it did sign once is genuine for ever.
        """
        verify_signature(self._config, request)

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Return the one event of the request, or none.

        Raises:
            PayloadUnreadable: it is neither a message nor a status.
        """
        return parse_events(self._config, request)

    def acknowledge(self, request: WebhookRequest) -> Acknowledgement:
        """Return TwiML that says nothing: answers go by the API, which gives them an id."""
        if is_status(request):
            return Acknowledgement(status=204)
        return Acknowledgement(content_type="text/xml; charset=utf-8", body=_EMPTY_TWIML)

    def shape(self, text: str, *, hint: str = "") -> Sequence[str]:
        """Return the parts of an answer, each worth ``max_segments`` with the hint at most."""
        return shape_answer(self._config, text, hint)

    def tolls(self, reply: Reply) -> Sequence[Toll]:
        """Return the segments that the reply costs; on WhatsApp it is one message."""
        if reply.thread.startswith(WHATSAPP):
            rate = _WHATSAPP_PER_SECOND
            return (Toll(bucket="whatsapp", per_second=rate, burst=rate),)
        segments = measure(message_text(reply)).segments
        burst = self._config.burst_segments
        return (
            Toll(
                bucket="sender",
                per_second=self._config.segments_per_second,
                burst=burst,
                # More than the bucket holds could never be drawn.
                amount=min(float(segments), burst),
            ),
        )

    async def send(self, reply: Reply) -> Receipt:
        """Give one message to Twilio.

        Raises:
            ReplyRejected: blank, too long, or refused: the message says why.
            RecipientUnreachable: opted out, blocked, or no such mobile number.
            RateLimited: too much at once, or the sender's queue is full.
            CredentialsRejected: the token or the account.
            ChannelUnavailable: no connection.
            OutcomeUnknown: no answer, or one that says nothing.
        """
        text = message_text(reply)
        with contract_errors():
            message = await self._create(message_fields(self._config, reply, text))
        if not message.sid:
            raise OutcomeUnknown("Twilio answered without an id")
        self._remember(message.sid, reply.id)
        cost = measure(text)
        details = {"status": str(message.status), "segments": cost.segments, "gsm": cost.is_gsm}
        return Receipt(external_id=message.sid, accepted_at=datetime.now(UTC), details=details)

    async def find(self, reply: Reply, *, since: datetime) -> Receipt | None:
        """Return the receipt of ``reply`` if Twilio's list has its text since then.

        Raises:
            ChannelError: it cannot be told now.
        """
        taken = {sid for sid, reply_id in self._taken.items() if reply_id != reply.id}
        text = message_text(reply)
        with contract_errors():
            found = await find_message(
                self._client, self._config, reply, text, since=since, taken=taken
            )
        if found is not None and found.external_id is not None:
            self._remember(found.external_id, reply.id)
        return found

    async def fetch(self, attachment: Attachment, *, limit_bytes: int) -> bytes:
        """Return a file that came with a message.

        Raises:
            ReplyRejected: it is too large, gone, or not at Twilio.
            ChannelError: it cannot be fetched now.
        """
        return await fetch_media(self._config, self._http, attachment, limit_bytes)

    async def connect(self, inbound_url: str) -> Connected:
        """Prove token and sender, and set the address that Twilio calls.

        Raises:
            CredentialsRejected: token, account or sender are wrong.
            ChannelError: Twilio cannot be asked now.
        """
        with contract_errors():
            return await connect_sender(self._client, self._config, inbound_url)

    async def disconnect(self) -> None:
        """Take the address back.

        Raises:
            ChannelError: Twilio goes on calling.
        """
        with contract_errors():
            await disconnect_sender(self._client, self._config)

    @cached_property
    def _client(self) -> Any:
        return open_client(self._config, self._http)

    async def _create(self, fields: dict[str, Any]) -> Any:
        try:
            return await self._client.messages.create_async(**fields)
        except Refused as refused:
            if refused.code != OUTSIDE_WINDOW or self._config.content_sid is None:
                raise
        return await self._client.messages.create_async(**template_fields(self._config, fields))

    def _remember(self, sid: str, reply_id: str) -> None:
        """Keep whose message it is: two replies may have the same words."""
        self._taken[sid] = reply_id
        if len(self._taken) > _MOST_REMEMBERED:
            self._taken.popitem(last=False)
