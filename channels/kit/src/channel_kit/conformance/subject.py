"""What a channel's own tests tell the suite about its platform."""

from __future__ import annotations

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import aiohttp
import pytest
from pydantic import BaseModel, ConfigDict

from channel_kit.conformance.platform import (
    DEFAULT_ANSWERS,
    Answer,
    Call,
    Fault,
    ScriptedPlatform,
)
from channel_kit.contract import (
    Attachment,
    Channel,
    EventKind,
    InboundEvent,
    Reply,
    WebhookRequest,
)
from channel_kit.errors import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    ReplyRejected,
    ThreadMoved,
)

NOWHERE: Final = "http://127.0.0.1:9"
RECEIVED_AT: Final = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)

FILE: Final = b"%PDF-1.7 not a real one\n" * 40
"""The content of the file that :meth:`Subject.file` names."""

LEAVES: Final = (
    RateLimited,
    ChannelUnavailable,
    OutcomeUnknown,
    ReplyRejected,
    ThreadMoved,
    RecipientUnreachable,
    CredentialsRejected,
)
"""The errors of the contract that a call of the platform may end with."""

_ANSWERED: Final = frozenset({EventKind.MESSAGE, EventKind.COMMAND, EventKind.BUTTON})


class Sample(BaseModel):
    """A recorded request: ``samples/<what it is>.json``.

    ``body`` is the JSON that the platform sends, or a string for a platform that sends something
    else. ``expected`` has, for each event that ``parse`` must give, the fields that matter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    headers: dict[str, str] = {}
    body: dict[str, Any] | str
    expected: list[dict[str, Any]]


@dataclass(frozen=True)
class Sent:
    """A reply as the platform understood it.

    ``thread`` is named as ``parse`` names it. ``key`` is the idempotency key, for a platform that
    knows one.
    """

    thread: str
    text: str
    key: str | None = None


@dataclass(frozen=True)
class Mailbox:
    """Messages that a platform keeps for a channel that fetches them.

    ``confirmed`` tells how many of them the channel has told it to forget.
    """

    channel: Channel
    confirmed: Callable[[], int]


class Subject(ABC):
    """A channel and its platform, as the questions see them.

    A subclass gives two class attributes and six methods; it changes :meth:`answer` when its
    platform shows faults in another way than by plain HTTP status, and :meth:`check_rendered` when
    its platform reads more in a text than its words. What an ability needs is said there.
    """

    channel: ClassVar[type[Channel]]
    samples: ClassVar[Path]
    signature_window_seconds: ClassVar[float] = 300

    @abstractmethod
    def config(self, platform_url: str) -> dict[str, Any]:
        """Return one tenant's complete settings, the same at every call, for a platform there."""

    @abstractmethod
    def other_config(self, platform_url: str) -> dict[str, Any]:
        """Return another tenant's settings: every secret differs."""

    @abstractmethod
    def secrets(self) -> Sequence[str]:
        """Return the strings in :meth:`config` that must never be shown."""

    @abstractmethod
    def request(
        self,
        config: Mapping[str, Any],
        body: bytes,
        *,
        headers: Mapping[str, str],
        delivery: str,
        at: datetime,
    ) -> WebhookRequest:
        """Return the request that the platform makes, at ``at``, for the tenant of ``config``.

        ``delivery`` names the delivery: a platform that tries again sends the same one.
        """

    @abstractmethod
    def message(self, text: str) -> bytes:
        """Return the body of an ordinary message in which somebody wrote ``text``."""

    @abstractmethod
    def read_call(self, call: Call) -> Sent:
        """Return the reply that ``call`` gave to the platform."""

    def answer(self, fault: Fault) -> Answer:
        """Return how the platform answers under ``fault``."""
        return DEFAULT_ANSWERS.get(fault, Answer())

    def answer_call(self, call: Call, earlier: Sequence[Call]) -> Answer:
        """Return how a platform where nothing is wrong answers ``call`` after the ``earlier`` ones.

        A channel changes it that makes other calls than that of ``send``, or reads back.
        """
        return self.answer(Fault.NONE)

    def check_rendered(self, call: Call) -> None:
        """Fail if ``call`` would show more than words and styles: a ping, a preview, a broken tag.

        Raises:
            AssertionError: it would. What cannot be read at all is wrong on every platform.
        """
        assert self.read_call(call).text.strip()

    def shown(self, calls: Sequence[Call]) -> list[str]:
        """Return the texts that people see after ``calls``; for ``Filling``."""
        return [self.read_call(call).text for call in calls]

    def mailbox(self, texts: Sequence[str]) -> AbstractAsyncContextManager[Mailbox]:
        """Run a platform that keeps a message with each of ``texts``; for ``Polling``."""
        raise AssertionError(f"{type(self).__name__} needs a mailbox() for a channel that polls")

    def file(self, platform_url: str) -> Attachment:
        """Return an attachment that is :data:`FILE` at the platform; for ``Fetching``."""
        raise AssertionError(f"{type(self).__name__} needs a file() for a channel that fetches")

    def foreign_files(self, platform_url: str, elsewhere_url: str) -> Sequence[Attachment]:
        """Return attachments that seem to be at the platform, but are elsewhere; for ``Fetching``.

        A channel changes it whose references are no addresses.
        """
        foreign = elsewhere_url.partition("://")[2]
        addresses = (f"{elsewhere_url}/file", f"{platform_url}@{foreign}/file")
        return [Attachment(kind="document", reference=address) for address in addresses]

    # What follows is for the questions.

    def connect(self, platform_url: str = NOWHERE, http: object = None) -> Channel:
        """Return the channel, connected with the first tenant's settings."""
        config = self.channel.Config.model_validate(self.config(platform_url))
        return self.channel(config, http)

    @asynccontextmanager
    async def platform(
        self, fault: Fault = Fault.NONE
    ) -> AsyncIterator[tuple[ScriptedPlatform, Channel]]:
        """Run the platform with one fault, and the channel connected to it."""
        async with (
            ScriptedPlatform(fault) as platform,
            aiohttp.ClientSession() as http,
        ):
            platform.respond = lambda call, earlier: (
                self.answer_call(call, earlier)
                if platform.fault is Fault.NONE
                else self.answer(platform.fault)
            )
            yield platform, self.connect(platform.url, http)

    async def leaf(self, calling: Awaitable[object]) -> ChannelError:
        """Return the error that ``calling`` ends with, which is one of :data:`LEAVES`.

        It shows no secret.
        """
        with pytest.raises(LEAVES) as caught:
            await calling
        for secret in self.secrets():
            assert secret not in f"{caught.value} {caught.value!r}", "a secret is shown"
        return caught.value

    def genuine(
        self,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        delivery: str = "delivery-1",
        at: datetime = RECEIVED_AT,
    ) -> WebhookRequest:
        """Return a request that the platform really made for the first tenant."""
        return self.request(
            self.config(NOWHERE),
            self.message("Hello") if body is None else body,
            headers=headers or {},
            delivery=delivery,
            at=at,
        )

    def recorded(self) -> dict[str, tuple[Sample, WebhookRequest]]:
        """Return every sample with its request, by file name."""
        found: dict[str, tuple[Sample, WebhookRequest]] = {}
        for path in sorted(self.samples.glob("*.json")):
            sample = Sample.model_validate_json(path.read_bytes())
            body = sample.body if isinstance(sample.body, str) else json.dumps(sample.body)
            request = self.genuine(body.encode(), headers=sample.headers, delivery=path.stem)
            found[path.name] = (sample, request)
        assert found, f"there are no samples in {self.samples}"
        return found

    def hello(self) -> InboundEvent:
        """Return the event of an ordinary message."""
        (event,) = self.connect().parse(self.genuine())
        return event

    def threads(self) -> list[str]:
        """Return the threads in which somebody is answered: of :meth:`hello`, of the samples."""
        channel = self.connect()
        events = [e for _, request in self.recorded().values() for e in channel.parse(request)]
        answered = (event.thread for event in events if event.kind in _ANSWERED)
        return list(dict.fromkeys((self.hello().thread, *answered)))

    def reply(self, text: str = "Good morning!", **fields: Any) -> Reply:
        """Return a reply to :meth:`hello`."""
        event = self.hello()
        given: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "thread": event.thread,
            "text": text,
            "in_reply_to": (event.external_id,),
        }
        return Reply.model_validate(given | fields)
