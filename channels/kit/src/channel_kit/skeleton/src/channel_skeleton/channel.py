"""The Skeleton channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final

import aiohttp
from channel_kit import (
    Capabilities,
    InboundEvent,
    Receipt,
    Reply,
    ReplyRejected,
    WebhookRequest,
)
from channel_kit.signing import verify
from pydantic import BaseModel

from channel_skeleton.config import SkeletonConfig
from channel_skeleton.inbound import parse_events
from channel_skeleton.outbound import check_status, classify, render

# Connecting has its own, shorter limit: running into it proves that nothing was sent.
_LIMITS: Final = aiohttp.ClientTimeout(total=15, connect=5)


class SkeletonChannel:
    """Skeleton, connected for one tenant."""

    name: ClassVar[str] = "skeleton"
    Config: ClassVar[type[BaseModel]] = SkeletonConfig
    capabilities: ClassVar[Capabilities] = Capabilities(max_text=4_000, idempotent_send=True)

    def __init__(self, config: SkeletonConfig, http: aiohttp.ClientSession) -> None:
        self._messages_url = f"{str(config.api_url).rstrip('/')}/messages"
        self._api_key = config.api_key
        self._secret = config.verifying_secret()
        self._http = http

    def verify(self, request: WebhookRequest) -> None:
        """Prove that the platform signed these bytes.

        Raises:
            SignatureMismatch: it did not, or not within 300 s of ``received_at``.
        """
        verify([self._secret], request.headers, request.body, now=request.received_at)

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Return the events of the request, our own messages left out.

        Raises:
            PayloadUnreadable: it is not what the platform sends.
        """
        return parse_events(request.body)

    async def send(self, reply: Reply) -> Receipt:
        """Give one reply to the platform.

        Raises:
            ChannelError: the leaf that says what the gateway does next.
        """
        if not reply.text.strip():
            raise ReplyRejected("the text is blank")
        headers = {"Authorization": f"Bearer {self._api_key.get_secret_value()}"}
        try:
            async with self._http.post(
                self._messages_url,
                json=render(reply),
                headers=headers,
                allow_redirects=False,
                timeout=_LIMITS,
            ) as response:
                check_status(response.status, response.headers)
        except (aiohttp.ClientError, OSError) as error:
            # Without the cause: its text may hold an address with a token in it.
            raise classify(error) from None
        return Receipt(accepted_at=datetime.now(UTC))
