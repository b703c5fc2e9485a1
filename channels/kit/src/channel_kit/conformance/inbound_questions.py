"""Does it take what its platform sends, and nothing else?"""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest

from channel_kit.conformance.subject import NOWHERE, RECEIVED_AT, Sample, Subject
from channel_kit.contract import EventKind, InboundEvent, WebhookRequest
from channel_kit.errors import PayloadUnreadable, SignatureMismatch
from channel_kit.text import clean

_JUNK = ("", " ", "=", ",", "v1", "v0=", "é\udcff", "\x00", "9" * 5000, "x" * 9000, "nan")
GARBAGE = (
    b"",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b"\xef\xbb\xbf{}",
    b'{"a": NaN}',
    b'{"a": 1, "a": 2}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"a=1&b=%ff&c",
)


class InboundQuestions(Subject):
    """Questions about ``verify`` and ``parse``."""

    def test_a_genuine_request_is_accepted(self) -> None:
        """An ordinary message, and every sample."""
        self.connect().verify(self.genuine())
        for _, request in self.recorded().values():
            self.connect().verify(request)

    def test_a_changed_body_is_refused(self) -> None:
        """One byte more, one less, one other."""
        request = self.genuine()
        body = request.body
        for changed in (body + b" ", body[:-1], bytes([body[0] ^ 1]) + body[1:], b""):
            self._refuses(request.model_copy(update={"body": changed}))

    def test_a_stale_request_is_refused(self) -> None:
        """Recorded and played again later, or dated into the future."""
        beyond = timedelta(seconds=self.signature_window_seconds + 1)
        for received_at in (RECEIVED_AT + beyond, RECEIVED_AT - beyond):
            self._refuses(self.genuine().model_copy(update={"received_at": received_at}))

    def test_a_request_without_a_signature_is_refused(self) -> None:
        """Nothing is taken on trust: not the address, not a secret path, not a content type."""
        self._refuses(self.genuine().model_copy(update={"headers": {}}))

    def test_another_tenants_request_is_refused(self) -> None:
        """Genuine for somebody else is not genuine here."""
        other = self.other_config(NOWHERE)
        body = self.message("Hello")
        self._refuses(self.request(other, body, headers={}, delivery="delivery-1", at=RECEIVED_AT))

    def test_a_malformed_header_is_only_ever_a_mismatch(self) -> None:
        """A verifier that fails in another way answers 500, and is asked again for ever."""
        request = self.genuine()
        for name in request.headers:
            for value in _JUNK:
                headers = {**request.headers, name: value}
                with contextlib.suppress(SignatureMismatch):
                    self.connect().verify(request.model_copy(update={"headers": headers}))

    def test_parsing_is_pure(self) -> None:
        """The same request gives the same events, whoever parses it and however often."""
        channel = self.connect()
        for name, (_, request) in self.recorded().items():
            before = request.model_copy(deep=True)
            assert list(channel.parse(request)) == list(channel.parse(request)), name
            assert list(self.connect().parse(request)) == list(channel.parse(request)), name
            assert request == before, f"{name}: parse changed its request"

    def test_a_redelivery_has_the_same_ids(self) -> None:
        """It is signed again and comes later, but it is the same message."""
        later = RECEIVED_AT + timedelta(seconds=40)
        for name, (sample, request) in self.recorded().items():
            again = self.genuine(
                request.body, headers=sample.headers, delivery=name.removesuffix(".json"), at=later
            )
            first = [event.external_id for event in self.connect().parse(request)]
            assert [event.external_id for event in self.connect().parse(again)] == first, name
            assert len(set(first)) == len(first), f"{name}: two events have one id"

    def test_every_sample_gives_the_events_that_it_should(self) -> None:
        """Recorded from the platform, with what matters in each."""
        for name, (sample, request) in self.recorded().items():
            if sample.expected and EventKind.UNSUPPORTED not in _kinds(sample):
                self._gives_what_it_should(name, sample, request)

    def test_the_samples_have_a_message(self) -> None:
        """A channel that turns everything away would have an easy life otherwise."""
        assert any(EventKind.MESSAGE in _kinds(sample) for sample, _ in self.recorded().values())

    def test_its_own_messages_are_left_out(self) -> None:
        """Answering one's own answer never ends. The samples hold such an echo."""
        echoes = [entry for entry in self.recorded().values() if not entry[0].expected]
        assert echoes, "no sample expects to be left out"
        for _, request in echoes:
            assert list(self.connect().parse(request)) == []

    def test_what_it_cannot_read_becomes_an_event(self) -> None:
        """A sticker or a call is not an error: somebody wrote, and the gateway has to know."""
        unsupported = {
            name: entry
            for name, entry in self.recorded().items()
            if EventKind.UNSUPPORTED in _kinds(entry[0])
        }
        assert unsupported, "no sample is of an unsupported kind"
        for name, (sample, request) in unsupported.items():
            self._gives_what_it_should(name, sample, request)

    def test_garbage_is_only_ever_unreadable(self) -> None:
        """Signed, but broken: events, or the one error that the gateway answers with a 400."""
        bodies = [*GARBAGE, *(b for entry in self.recorded().values() for b in _wrong(entry[0]))]
        for body in bodies:
            with contextlib.suppress(PayloadUnreadable):
                self._parse(self.genuine(body))

    def test_text_comes_out_clean(self) -> None:
        """NUL, old newlines and stacks of marks go before anybody stores them."""
        text = "a\x00b\r\nc" + "\u0301" * 10_000 + " \N{WAVING HAND SIGN}"
        (event,) = self._parse(self.genuine(self.message(text)))
        assert event.text == clean(text)
        assert "\\u0000" not in event.model_dump_json()

    def _parse(self, request: WebhookRequest) -> list[InboundEvent]:
        return list(self.connect().parse(request))

    def _gives_what_it_should(self, name: str, sample: Sample, request: WebhookRequest) -> None:
        events = [event.model_dump(mode="json") for event in self._parse(request)]
        assert len(events) == len(sample.expected), f"{name}: too many events or too few"
        for event, expected in zip(events, sample.expected, strict=True):
            assert {field: event[field] for field in expected} == expected, name

    def _refuses(self, request: WebhookRequest) -> None:
        with pytest.raises(SignatureMismatch) as caught:
            self.connect().verify(request)
        assert not any(secret in str(caught.value) for secret in self.secrets())


def _kinds(sample: Sample) -> set[str]:
    return {event.get("kind", "") for event in sample.expected}


def _wrong(sample: Sample) -> list[bytes]:
    """Return the sample with each field missing, and with each value of a type that it is not."""
    if isinstance(sample.body, str):
        return []
    bodies: list[dict[str, Any]] = []
    wrong: tuple[Any, ...] = (None, True, 5, [[]], {"": {}})
    for name in sample.body:
        bodies.append({key: value for key, value in sample.body.items() if key != name})
        bodies.extend({**sample.body, name: value} for value in wrong)
    return [json.dumps(body).encode() for body in bodies]
