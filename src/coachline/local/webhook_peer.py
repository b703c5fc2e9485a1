"""The other end of a webhook connection: what somebody's own app would be.

The demo page and the terminal talk to the gateway through it, over HTTP and signed, so that they
take the path of every message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from channel_kit.signing import parse_secret, sign, verify
from coachline.foundation.clock import Clock
from coachline.foundation.errors import BadRequest, TooManyRequests, Unavailable
from coachline.foundation.ids import new_id

_LIMITS: Final = aiohttp.ClientTimeout(total=15, connect=5)
_CLOSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND})
_UNREADABLE: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class GatewayAway(Unavailable):
    """The gateway did not take the message; the same one may be sent again."""

    code = "gateway_away"


class ConnectionShut(Unavailable):
    """The gateway no longer knows this connection or its secret."""

    code = "connection_shut"


class MessageRefused(BadRequest):
    """The gateway cannot read this message, now or later."""

    code = "message_refused"


class _Incoming(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    thread: str
    text: str


class Source(BaseModel):
    """A document that an answer stands on; ``number`` is its mark ``[n]`` in the text."""

    model_config = ConfigDict(frozen=True)

    number: int
    title: str
    source: str


class ReplyDraft(_Incoming):
    """An answer as far as it is written. The next one with the same id replaces it."""

    type: Literal["reply.draft"]


class ReplyPart(_Incoming):
    """One part of an answer; the last one has ``part == parts`` and the sources."""

    type: Literal["reply"]
    in_reply_to: tuple[str, ...] = ()
    citations: tuple[Source, ...] = ()
    part: int = 1
    parts: int = 1


Callback = Annotated[ReplyDraft | ReplyPart, Field(discriminator="type")]


class WebhookPeer:
    """Posts signed messages to a connection, and reads what comes back from it.

    Args:
        http: the client for calls to the gateway.
        inbound_url: where the connection takes messages.
        secret: signs both ways (``whsec_…``).
        clock: dates the signatures.
    """

    def __init__(
        self, http: aiohttp.ClientSession, inbound_url: str, secret: str, clock: Clock
    ) -> None:
        self._http = http
        self._inbound_url = inbound_url
        self._secrets = (parse_secret(secret),)
        self._clock = clock
        self._callbacks: TypeAdapter[ReplyDraft | ReplyPart] = TypeAdapter(Callback)

    async def send(self, *, message_id: str, sender: str, thread: str, text: str) -> UUID | None:
        """Hand one message in; it is stored when this returns.

        Returns:
            The id of its event, or None when the gateway had this ``message_id`` already.

        Raises:
            GatewayAway: nobody answers, or it is overloaded; the same message may be sent again.
            TooManyRequests: the gateway asks to wait.
            ConnectionShut: the connection is disabled, removed, or has another secret.
            MessageRefused: the gateway cannot read it.
        """
        message = {
            "type": "message",
            "id": message_id,
            "sender": {"id": sender},
            "thread": thread,
            "text": text,
        }
        body = json.dumps(message, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            **sign(self._secrets, message_id=str(new_id()), timestamp=self._clock.now(), body=body),
        }
        try:
            async with self._http.post(
                self._inbound_url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=_LIMITS,
            ) as response:
                _check_status(response)
                answer = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise GatewayAway(
                f"The gateway at {self._inbound_url} does not answer ({type(error).__name__})."
            ) from None
        return _first_event(answer)

    def read(self, headers: Mapping[str, str], body: bytes) -> ReplyDraft | ReplyPart:
        """Read one callback of the gateway. ``headers`` has lower-case names.

        Raises:
            SignatureMismatch: the gateway did not sign these bytes within the last 300 s.
            BadRequest: signed, but neither a draft nor a reply.
        """
        verify(self._secrets, headers, body, now=self._clock.now())
        try:
            return self._callbacks.validate_json(body)
        except ValidationError:
            raise BadRequest("The callback is neither a draft nor a reply.") from None


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == HTTPStatus.OK:
        return
    if status in _CLOSED:
        raise ConnectionShut("The gateway does not know this connection, or its secret changed.")
    if status in _UNREADABLE:
        raise MessageRefused("The gateway cannot read this message; write it differently.")
    waits = response.headers.get("Retry-After", "")
    seconds = float(waits) if waits.isascii() and waits.isdigit() else None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise TooManyRequests("Too many messages at once.", retry_after_seconds=seconds)
    raise GatewayAway(f"The gateway answered {status}.", retry_after_seconds=seconds)


def _first_event(answer: bytes) -> UUID | None:
    try:
        events = json.loads(answer)["events"]
        return UUID(events[0]) if events else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise GatewayAway("What answered is not a Coachline gateway.") from None
