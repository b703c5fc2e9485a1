"""The webhook channel."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final

import aiohttp
from pydantic import BaseModel

from channel_kit import (
    Capabilities,
    Draft,
    InboundEvent,
    Receipt,
    Reply,
    ReplyRejected,
    WebhookRequest,
)
from channel_kit.signing import sign, verify
from channel_webhook.config import WebhookConfig
from channel_webhook.inbound import parse_events
from channel_webhook.outbound import check_status, classify, render_draft, render_reply

# Connecting has its own, shorter limit: running into it proves that nothing was sent.
_SEND_LIMITS: Final = aiohttp.ClientTimeout(total=15, connect=5)
_DRAFT_LIMITS: Final = aiohttp.ClientTimeout(total=2, connect=1)

STREAM_SECONDS: Final = 0.15
"""The least time between two drafts."""


class WebhookChannel:
    """Signed JSON in, signed JSON out: the channel for everything that has no platform."""

    name: ClassVar[str] = "webhook"
    Config: ClassVar[type[BaseModel]] = WebhookConfig
    capabilities: ClassVar[Capabilities] = Capabilities(
        # Standard Webhooks advises less than 20 kB a body; this leaves 4 kB for the rest of it.
        max_text=16_000,
        text_unit="bytes",
        formatting="markdown",
        idempotent_send=True,
        streaming=True,
        threads=True,
        edits_in=True,
        quirks=("the receiver drops a webhook-id that it has seen",),
    )

    def __init__(self, config: WebhookConfig, http: aiohttp.ClientSession) -> None:
        self._callback_url = str(config.callback_url)
        self._signing = config.signing_secrets()
        self._verifying = config.verifying_secrets()
        self._streams = config.stream
        self._http = http

    def verify(self, request: WebhookRequest) -> None:
        """Prove that a holder of one of the connection's secrets signed these bytes.

        Raises:
            SignatureMismatch: nobody did, or more than 300 s away from ``received_at``.
        """
        verify(self._verifying, request.headers, request.body, now=request.received_at)

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Return the one event of the request; none when it is our own reply come back.

        Raises:
            PayloadUnreadable: the body is not what the README describes.
        """
        return parse_events(request.headers, request.body)

    async def send(self, reply: Reply) -> Receipt:
        """Post one reply to the callback, with its id as ``webhook-id``.

        Raises:
            ReplyRejected: blank text, a refused address, a redirect or a 4xx.
            RateLimited: 429, or 503 with Retry-After.
            CredentialsRejected: 401 or 410.
            ChannelUnavailable: no connection.
            OutcomeUnknown: no answer, or a 5xx.
        """
        if not reply.text.strip():
            raise ReplyRejected("the text is blank")
        status = await self._post(reply.id, render_reply(reply), _SEND_LIMITS, at=reply.at)
        return Receipt(
            external_id=reply.id, accepted_at=datetime.now(UTC), details={"status": status}
        )

    @property
    def streams(self) -> bool:
        """Whether the tenant asked for drafts."""
        return self._streams

    def stream_seconds(self, thread: str) -> float:
        """Return the least time between two drafts, the same in every thread."""
        return STREAM_SECONDS

    async def stream(self, draft: Draft) -> None:
        """Post the answer so far. Every draft has its own ``webhook-id``, or it would be dropped.

        Returns no handle: the reply takes the draft's place at the receiver, by its ``id``.

        Raises:
            ChannelError: as :meth:`send`, after 2 s at most.
        """
        body = render_draft(draft)
        await self._post(f"draft-{uuid.uuid4()}", body, _DRAFT_LIMITS)

    async def _post(
        self,
        message_id: str,
        body: bytes,
        limits: aiohttp.ClientTimeout,
        *,
        at: datetime | None = None,
    ) -> int:
        timestamp = at or datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            # The answer's body is never read, so it cannot be a bomb; nor should it be one.
            "Accept-Encoding": "identity",
            **sign(self._signing, message_id=message_id, timestamp=timestamp, body=body),
        }
        try:
            async with self._http.post(
                self._callback_url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=limits,
            ) as response:
                check_status(response.status, response.headers, now=timestamp)
                return response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Without the cause: its text holds the address, which may hold a token of the tenant.
            raise classify(error) from None
