"""For each question about an ability or a text, the overrides that break just that.

As `broken_twins.py`, of the channel in `able_channel.py`.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import aiohttp

from channel_kit import (
    Acknowledgement,
    Attachment,
    ChannelError,
    ChannelUnavailable,
    Connected,
    CredentialsRejected,
    Deliver,
    Draft,
    OutcomeUnknown,
    Receipt,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
    Toll,
    WebhookRequest,
)

Members = dict[str, Any]


def _raising(able: Any, name: str, error: type[Exception], of: type[Exception]) -> Members:
    """A method that ends in `error` where the perfect one ends in `of`."""
    perfect = getattr(able.AcmeChannel, name)

    async def call(self: Any, *given: Any, **named: Any) -> Any:
        try:
            return await perfect(self, *given, **named)
        except of:
            raise error("wrong") from None

    return {name: call}


def test_any_answer_can_be_read_as_it_was_written(able: Any) -> Members:
    def body(self: Any, reply: Reply) -> dict[str, Any]:
        perfect: dict[str, Any] = able.AcmeChannel.body(self, reply)
        return {**perfect, "text": perfect["text"].replace("snake_case", "snake")}

    return {"body": body}


def test_no_text_becomes_more_than_words(able: Any) -> Members:
    def body(self: Any, reply: Reply) -> dict[str, Any]:
        perfect: dict[str, Any] = able.AcmeChannel.body(self, reply)
        return {**perfect, "preview": "https://" in perfect["text"] and not reply.hint}

    return {"body": body}


def test_its_parts_are_the_whole_answer(able: Any) -> Members:
    def shape(self: Any, text: str, *, hint: str = "") -> Sequence[str]:
        parts: Sequence[str] = able.AcmeChannel.shape(self, text, hint=hint)
        return parts[:1]

    return {"shape": shape}


def test_its_parts_leave_room_for_what_comes_with_them(able: Any) -> Members:
    def shape(self: Any, text: str, *, hint: str = "") -> Sequence[str]:
        parts: Sequence[str] = able.AcmeChannel.shape(self, text)
        return parts

    return {"shape": shape}


def test_its_pace_can_be_kept(able: Any) -> Members:
    def tolls(self: Any, reply: Reply) -> Sequence[Toll]:
        return (Toll("account", per_second=10, burst=3, amount=max(1, len(reply.text) / 100)),)

    return {"tolls": tolls}


def test_a_draft_becomes_the_answer(able: Any) -> Members:
    async def stream(self: Any, draft: Draft) -> str | None:
        handle: str = await able.AcmeChannel.stream(self, replace(draft, handle=None))
        return handle

    return {"stream": stream}


def test_a_draft_that_is_not_shown_is_a_leaf(able: Any) -> Members:
    return _raising(able, "stream", RuntimeError, ChannelError)


def test_typing_is_shown_or_ends_in_a_leaf(able: Any) -> Members:
    return _raising(able, "show_typing", RuntimeError, ChannelError)


def test_every_delivery_is_acknowledged(able: Any) -> Members:
    def acknowledge(self: Any, request: WebhookRequest) -> Acknowledgement:
        return Acknowledgement(body=request.body * 100)

    return {"acknowledge": acknowledge}


def test_a_reserved_place_shows_no_answer_yet(able: Any) -> Members:
    async def reserve(self: Any, reply: Reply) -> str:
        handle: str = await self.place(reply.thread, reply.text)
        return handle

    return {"reserve": reserve}


def test_a_failed_reservation_is_named(able: Any) -> Members:
    return _raising(able, "reserve", OutcomeUnknown, ChannelUnavailable)


def test_filling_twice_shows_the_answer_once(able: Any) -> Members:
    async def fill(self: Any, handle: str, reply: Reply) -> Receipt:
        if self.__dict__.setdefault("filled", handle + "x") == handle:
            receipt: Receipt = await self.send(reply)
            return receipt
        self.filled = handle
        filled: Receipt = await able.AcmeChannel.fill(self, handle, reply)
        return filled

    return {"fill": fill}


def test_a_failed_filling_is_named(able: Any) -> Members:
    return _raising(able, "fill", ReplyRejected, OutcomeUnknown)


def test_what_is_discarded_is_gone(able: Any) -> Members:
    async def discard(self: Any, handle: str, thread: str) -> None:
        try:
            body = {"chat": thread, "text": "…", "key": ""}
            await self.call("PUT", f"/messages/{handle}", body)
        except RecipientUnreachable:
            return

    return {"discard": discard}


def test_discarding_what_is_gone_already_is_no_error(able: Any) -> Members:
    async def discard(self: Any, handle: str, thread: str) -> None:
        await self.call("DELETE", f"/messages/{handle}")

    return {"discard": discard}


def test_what_was_taken_without_an_answer_is_found(able: Any) -> Members:
    async def find(self: Any, reply: Reply, *, since: datetime) -> None:
        await able.AcmeChannel.find(self, reply, since=since)

    return {"find": find}


def test_what_was_never_sent_is_not_found(able: Any) -> Members:
    async def find(self: Any, reply: Reply, *, since: datetime) -> Receipt | None:
        await able.AcmeChannel.find(self, reply, since=since)
        return Receipt(external_id="1", accepted_at=datetime.now(UTC))

    return {"find": find}


def test_a_look_that_fails_is_a_leaf(able: Any) -> Members:
    async def find(self: Any, reply: Reply, *, since: datetime) -> Receipt | None:
        try:
            found: Receipt | None = await able.AcmeChannel.find(self, reply, since=since)
        except OutcomeUnknown:
            return None
        return found

    return {"find": find}


def test_what_it_fetches_is_confirmed_once_it_is_stored(able: Any) -> Members:
    async def take(self: Any, deliver: Deliver, update: Any) -> None:
        address = f"/updates/{update['number']}"
        await self.call("POST", address)
        try:
            await deliver(self.events(update))
        except Exception:
            await self.call("DELETE", address)
            raise

    return {"take": take}


def test_what_could_not_be_stored_comes_again(able: Any) -> Members:
    async def take(self: Any, deliver: Deliver, update: Any) -> None:
        try:
            await deliver(self.events(update))
        finally:
            await self.call("POST", f"/updates/{update['number']}")

    return {"take": take}


def test_a_probe_that_fails_is_a_leaf(able: Any) -> Members:
    return _raising(able, "probe", RuntimeError, ChannelUnavailable)


def test_a_file_is_fetched_up_to_its_limit(able: Any) -> Members:
    async def fetch(self: Any, attachment: Attachment, *, limit_bytes: int) -> bytes:
        if (attachment.size_bytes or 0) > limit_bytes:
            raise ReplyRejected("too large")
        body: bytes = await able.AcmeChannel.fetch(self, attachment, limit_bytes=1_000_000)
        return body

    return {"fetch": fetch}


def test_a_file_elsewhere_is_not_fetched(able: Any) -> Members:
    return {"check": lambda self, attachment: None}


def test_a_file_that_moved_takes_no_secret_along(able: Any) -> Members:
    async def read(self: Any, method: str, url: str, body: Any = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._api_key.get_secret_value()}"}
        if "/files/" in url:
            with contextlib.suppress(aiohttp.ClientError):
                async with self._http.get(url, headers=headers, allow_redirects=False) as found:
                    moved = found.headers.get("Location", url)
                async with self._http.get(urljoin(url, moved), headers=headers):
                    pass
        content: bytes = await able.AcmeChannel.read(self, method, url, body)
        return content

    return {"read": read}


def test_a_file_that_cannot_be_had_is_a_leaf(able: Any) -> Members:
    return _raising(able, "fetch", RuntimeError, OutcomeUnknown)


def test_an_account_has_one_name(able: Any) -> Members:
    async def connect(self: Any, inbound_url: str) -> Connected:
        connected: Connected = await able.AcmeChannel.connect(self, inbound_url)
        return replace(connected, config={"found_out": str(uuid.uuid4())})

    return {"connect": connect}


def test_what_connecting_shows_is_no_secret(able: Any) -> Members:
    async def connect(self: Any, inbound_url: str) -> Connected:
        connected: Connected = await able.AcmeChannel.connect(self, inbound_url)
        return replace(connected, steps=(f"Open https://acme.example/?key={able.API_KEY}",))

    return {"connect": connect}


def test_wrong_credentials_are_not_connected(able: Any) -> Members:
    return _raising(able, "connect", ReplyRejected, CredentialsRejected)


def test_disconnecting_may_be_repeated(able: Any) -> Members:
    async def disconnect(self: Any) -> None:
        if self.__dict__.get("gone"):
            raise RecipientUnreachable("nothing to disconnect")
        self.gone = True

    return {"disconnect": disconnect}


def test_a_delivery_names_the_account_that_was_connected(able: Any) -> Members:
    return {"account_in": lambda self, request: f"account:{len(request.body)}"}
