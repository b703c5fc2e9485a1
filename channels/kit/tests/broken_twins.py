"""For each question of the suite, the overrides that break a perfect channel in just that.

Each function is named after its question and gives the members of a subclass of the perfect
channel; `acme` is its test module.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp
from pydantic import SecretStr

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    EventKind,
    InboundEvent,
    OutcomeUnknown,
    RateLimited,
    Receipt,
    Reply,
    ReplyRejected,
    SignatureMismatch,
    WebhookRequest,
)
from channel_kit.conformance.platform import REDIRECT_PATH
from channel_kit.conformance.subject import RECEIVED_AT
from channel_kit.signing import parse_secret, verify

Members = dict[str, Any]


def _verify(acme: ModuleType, broken: Callable[[Any, WebhookRequest], None]) -> Members:
    """A channel that also accepts what `broken` accepts."""
    perfect = acme.AcmeChannel.verify

    def accept(self: Any, request: WebhookRequest) -> None:
        try:
            perfect(self, request)
        except SignatureMismatch:
            broken(lambda changed: perfect(self, changed), request)

    return {"verify": accept}


def _events(
    acme: ModuleType, change: Callable[[InboundEvent, WebhookRequest], InboundEvent | None]
) -> Members:
    """A channel that changes, or drops, each event."""

    def parse(self: Any, request: WebhookRequest) -> Sequence[InboundEvent]:
        changed = [change(e, request) for e in acme.AcmeChannel.parse(self, request)]
        return [event for event in changed if event is not None]

    return {"parse": parse}


def _replies(acme: ModuleType, change: Callable[[Reply], Reply]) -> Members:
    """A channel that changes each reply before it sends it."""

    async def send(self: Any, reply: Reply) -> Receipt:
        receipt: Receipt = await acme.AcmeChannel.send(self, change(reply))
        return receipt

    return {"send": send}


def _errors(acme: ModuleType, change: Callable[[ChannelError], ChannelError]) -> Members:
    """A channel that gives failures another name."""

    async def send(self: Any, reply: Reply) -> Receipt:
        try:
            receipt: Receipt = await acme.AcmeChannel.send(self, reply)
        except ChannelError as error:
            raise change(error) from None
        return receipt

    return {"send": send}


def _instead_of(words: str, other: type[ChannelError]) -> Callable[[ChannelError], ChannelError]:
    return lambda error: other("wrong") if words in str(error) else error


def _config(acme: ModuleType, **members: Any) -> Members:
    perfect = acme.AcmeChannel.Config
    return {"Config": type("AcmeConfig", (perfect,), {"__module__": __name__, **members})}


def test_it_is_named_as_every_channel(acme: ModuleType) -> Members:
    return {"__module__": "acme"}


def test_it_keeps_the_contract(acme: ModuleType) -> Members:
    return {"capabilities": SimpleNamespace(**acme.AcmeChannel.capabilities.model_dump())}


def test_its_abilities_and_its_capabilities_agree(acme: ModuleType) -> Members:
    return {"capabilities": acme.AcmeChannel.capabilities.model_copy(update={"streaming": True})}


def test_its_class_has_its_abilities(acme: ModuleType) -> Members:
    def init(self: Any, config: Any, http: Any) -> None:
        acme.AcmeChannel.__init__(self, config, http)
        self.typing_seconds = 5.0

    typing = acme.AcmeChannel.capabilities.model_copy(update={"typing": True})
    return {"__init__": init, "show_typing": acme.AcmeChannel.send, "capabilities": typing}


def test_its_settings_refuse_what_is_missing(acme: ModuleType) -> Members:
    return _config(acme, __annotations__={"api_key": SecretStr}, api_key=SecretStr("a default key"))


def test_its_settings_refuse_what_it_does_not_know(acme: ModuleType) -> Members:
    return _config(acme, model_config={"extra": "ignore"})


def test_its_settings_hide_their_secrets(acme: ModuleType) -> Members:
    return _config(acme, model_config={"hide_input_in_errors": False})


def test_a_genuine_request_is_accepted(acme: ModuleType) -> Members:
    def refuse(self: Any, request: WebhookRequest) -> None:
        raise SignatureMismatch("always")

    return {"verify": refuse}


def test_a_changed_body_is_refused(acme: ModuleType) -> Members:
    def trimmed(perfect: Any, request: WebhookRequest) -> None:
        perfect(request.model_copy(update={"body": request.body.rstrip()}))

    return _verify(acme, trimmed)


def test_a_stale_request_is_refused(acme: ModuleType) -> Members:
    def at_any_time(perfect: Any, request: WebhookRequest) -> None:
        perfect(request.model_copy(update={"received_at": RECEIVED_AT}))

    return _verify(acme, at_any_time)


def test_a_request_without_a_signature_is_refused(acme: ModuleType) -> Members:
    def unsigned(perfect: Any, request: WebhookRequest) -> None:
        if request.headers:
            raise SignatureMismatch("signed, but not well")

    return _verify(acme, unsigned)


def test_another_tenants_request_is_refused(acme: ModuleType) -> Members:
    def of_anybody(perfect: Any, request: WebhookRequest) -> None:
        other = parse_secret(acme.OTHER_SECRET)
        verify([other], request.headers, request.body, now=request.received_at)

    return _verify(acme, of_anybody)


def test_a_malformed_header_is_only_ever_a_mismatch(acme: ModuleType) -> Members:
    def careless(perfect: Any, request: WebhookRequest) -> None:
        int(request.headers.get("webhook-timestamp", "0"))
        raise SignatureMismatch("not genuine")

    return _verify(acme, careless)


def test_parsing_is_pure(acme: ModuleType) -> Members:
    return _events(acme, lambda e, _: e.model_copy(update={"raw": {"seen": str(uuid.uuid4())}}))


def test_a_redelivery_has_the_same_ids(acme: ModuleType) -> Members:
    def with_time(event: InboundEvent, request: WebhookRequest) -> InboundEvent:
        late = request.received_at != RECEIVED_AT
        return event.model_copy(update={"external_id": "later"}) if late else event

    return _events(acme, with_time)


def test_every_sample_gives_the_events_that_it_should(acme: ModuleType) -> Members:
    def nameless(event: InboundEvent, request: WebhookRequest) -> InboundEvent:
        return event.model_copy(
            update={"sender": event.sender.model_copy(update={"name": "somebody"})}
        )

    return _events(acme, nameless)


def test_its_own_messages_are_left_out(acme: ModuleType) -> Members:
    def parse(self: Any, request: WebhookRequest) -> Sequence[InboundEvent]:
        body = request.body.replace(b'"is_bot": true', b'"is_bot": false')
        events: Sequence[InboundEvent] = acme.AcmeChannel.parse(
            self, request.model_copy(update={"body": body})
        )
        return events

    return {"parse": parse}


def test_what_it_cannot_read_becomes_an_event(acme: ModuleType) -> Members:
    return _events(acme, lambda e, _: None if e.kind is EventKind.UNSUPPORTED else e)


def test_garbage_is_only_ever_unreadable(acme: ModuleType) -> Members:
    def parse(self: Any, request: WebhookRequest) -> Sequence[InboundEvent]:
        json.loads(request.body)
        events: Sequence[InboundEvent] = acme.AcmeChannel.parse(self, request)
        return events

    return {"parse": parse}


def test_text_comes_out_clean(acme: ModuleType) -> Members:
    def as_it_came(event: InboundEvent, request: WebhookRequest) -> InboundEvent:
        text = json.loads(request.body).get("text", "")
        return event.model_copy(update={"text": text})

    return _events(acme, as_it_came)


def test_a_reply_arrives_in_its_thread(acme: ModuleType) -> Members:
    return _replies(acme, lambda reply: reply.model_copy(update={"thread": "elsewhere"}))


def test_a_long_answer_arrives_whole_and_in_order(acme: ModuleType) -> Members:
    def cut_off(reply: Reply) -> Reply:
        text = reply.text[:3_900] + reply.text[3_900:].replace("\N{WAVING HAND SIGN}", "")
        return reply.model_copy(update={"text": text})

    return _replies(acme, cut_off)


def test_a_blank_reply_is_not_sent(acme: ModuleType) -> Members:
    return _replies(acme, lambda r: r if r.text.strip() else r.model_copy(update={"text": "…"}))


def test_a_second_attempt_has_the_same_key(acme: ModuleType) -> Members:
    return _replies(acme, lambda reply: reply.model_copy(update={"id": str(uuid.uuid4())}))


def test_nothing_runs_on_after_a_cancelled_send(acme: ModuleType) -> Members:
    async def send(self: Any, reply: Reply) -> Receipt:
        task = asyncio.create_task(acme.AcmeChannel.send(self, reply))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        receipt: Receipt = await asyncio.shield(task)
        return receipt

    return {"send": send}


def test_a_rate_limit_says_how_long_to_wait(acme: ModuleType) -> Members:
    def hasty(error: ChannelError) -> ChannelError:
        return RateLimited("wait", retry_after=1) if isinstance(error, RateLimited) else error

    return _errors(acme, hasty)


def test_a_refused_connection_is_unavailable(acme: ModuleType) -> Members:
    return _errors(acme, _instead_of("no connection", OutcomeUnknown))


def test_a_cut_connection_is_an_unknown_outcome(acme: ModuleType) -> Members:
    return _errors(acme, _instead_of("no answer", ChannelUnavailable))


def test_a_server_error_is_an_unknown_outcome(acme: ModuleType) -> Members:
    return _errors(acme, _instead_of("500", ChannelUnavailable))


def test_a_refused_reply_is_rejected(acme: ModuleType) -> Members:
    return _errors(acme, _instead_of("400", OutcomeUnknown))


def test_a_recipient_who_is_gone_is_unreachable(acme: ModuleType) -> Members:
    return _errors(acme, _instead_of("410", ReplyRejected))


def test_refused_credentials_are_named(acme: ModuleType) -> Members:
    return _errors(acme, _instead_of("401", ReplyRejected))


def test_a_redirect_is_not_followed(acme: ModuleType) -> Members:
    async def send(self: Any, reply: Reply) -> Receipt:
        try:
            receipt: Receipt = await acme.AcmeChannel.send(self, reply)
        except ReplyRejected as error:
            if "302" in str(error):
                await _follow(self)
            raise
        return receipt

    async def _follow(self: Any) -> None:
        address = self._messages_url.replace("/messages", REDIRECT_PATH)
        async with self._http.get(address, allow_redirects=False):
            pass

    return {"send": send}


def test_an_unreadable_answer_is_no_surprise(acme: ModuleType) -> Members:
    async def send(self: Any, reply: Reply) -> Receipt:
        http = self._http
        self._http = SimpleNamespace(post=lambda *a, **k: _Reading(http.post(*a, **k)))
        receipt: Receipt = await acme.AcmeChannel.send(self, reply)
        self._http = http
        return receipt

    return {"send": send}


def test_no_failure_shows_a_secret(acme: ModuleType) -> Members:
    def talkative(error: ChannelError) -> ChannelError:
        logging.getLogger("acme").debug("%s with the key %s", error, acme.API_KEY)
        return error

    return _errors(acme, talkative)


class _Reading:
    """A request whose successful answer is read as JSON without a second thought."""

    def __init__(self, request: Any) -> None:
        self._request = request

    async def __aenter__(self) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await self._request.__aenter__()
        if response.status == 200:
            json.loads(await response.read())
        return response

    async def __aexit__(self, *error: object) -> None:
        await self._request.__aexit__(*error)
