"""Simulated platforms: what a learner sees, and the five ways in which a channel can face doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel

from channel_kit import (
    Capabilities,
    Channel,
    Draft,
    InboundEvent,
    Receipt,
    Reply,
    ReplyRejected,
    WebhookRequest,
)
from faults.simulation.schedules import Kind

_Result = TypeVar("_Result")
_MOST_TEXT = 40


class Calls(Protocol):
    """The way between one process and a platform. Delays, refusals and cuts happen here."""

    async def call(self, serve: Callable[[], _Result]) -> _Result:
        """Have the platform do something.

        Raises:
            ChannelError: it refused, or its answer was lost.
        """
        ...

    def now(self) -> datetime:
        """The wall clock."""
        ...


@dataclass(slots=True)
class Shown:
    """A message as its learner sees it; ``reply_id`` is the reply that it shows, if any."""

    handle: str
    thread: str
    text: str
    reply_id: str | None = None
    is_gone: bool = False


class Platform:
    """Everything that one account shows, in the order in which it appeared."""

    def __init__(self) -> None:
        self.messages: list[Shown] = []

    def post(self, thread: str, text: str, reply_id: str | None = None) -> str:
        """Show a new message; its handle."""
        handle = f"h{len(self.messages)}"
        self.messages.append(Shown(handle, thread, text, reply_id))
        return handle

    def post_once(self, reply: Reply) -> str:
        """Show a reply unless it is shown."""
        known = self.find(reply.id)
        return known.handle if known else self.post(reply.thread, reply.text, reply.id)

    def find(self, reply_id: str) -> Shown | None:
        """The message that shows a reply."""
        shown = (message for message in self.messages if message.reply_id == reply_id)
        return next((message for message in shown if not message.is_gone), None)

    def write(self, handle: str, text: str, reply_id: str | None = None) -> str:
        """Have a message show something else.

        Raises:
            ReplyRejected: it was taken away.
        """
        message = self._get(handle)
        if message.is_gone:
            raise ReplyRejected("there is no such message")
        message.text, message.reply_id = text, reply_id
        return handle

    def discard(self, handle: str) -> None:
        """Take a message away."""
        self._get(handle).is_gone = True

    def _get(self, handle: str) -> Shown:
        return next(message for message in self.messages if message.handle == handle)


class _NoConfig(BaseModel):
    """Nothing to configure."""


class BlindChannel:
    """Sends, and can do nothing about an answer that is lost."""

    name: ClassVar[str] = "blind"
    Config: ClassVar[type[BaseModel]] = _NoConfig
    capabilities: ClassVar[Capabilities] = Capabilities(max_text=_MOST_TEXT)

    def __init__(self, config: Platform, http: Calls) -> None:
        self._platform = config
        self._calls = http

    def verify(self, request: WebhookRequest) -> None:
        """Nothing comes as a request here."""

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Nothing comes as a request here."""
        return ()

    async def send(self, reply: Reply) -> Receipt:
        """Show a new message."""
        return self._receipt(
            await self._calls.call(lambda: self._platform.post(reply.thread, reply.text, reply.id))
        )

    def _receipt(self, handle: str) -> Receipt:
        return Receipt(external_id=handle, accepted_at=self._calls.now())


class IdempotentChannel(BlindChannel):
    """Its platform shows a reply once, however often it is sent."""

    name = "idempotent"
    capabilities = Capabilities(max_text=_MOST_TEXT, idempotent_send=True)

    async def send(self, reply: Reply) -> Receipt:
        """Show the reply unless it is shown."""
        return self._receipt(await self._calls.call(lambda: self._platform.post_once(reply)))


class ReconcilingChannel(BlindChannel):
    """Can ask its platform what it shows."""

    name = "reconciling"
    # Longer than any request is under way.
    reconcile_seconds = 6.0

    async def find(self, reply: Reply, *, since: datetime) -> Receipt | None:
        """Look for the reply."""
        shown = await self._calls.call(lambda: self._platform.find(reply.id))
        return None if shown is None else self._receipt(shown.handle)


class _FillingChannel(BlindChannel):
    """Can write into messages that are there."""

    async def fill(self, handle: str, reply: Reply) -> Receipt:
        """Have a message show the reply."""
        return self._receipt(
            await self._calls.call(lambda: self._platform.write(handle, reply.text, reply.id))
        )

    async def discard(self, handle: str, thread: str) -> None:
        """Take a message away."""
        await self._calls.call(lambda: self._platform.discard(handle))


class PlaceholderChannel(_FillingChannel):
    """Shows "…" first and writes the reply into that. Messages may be edited."""

    name = "placeholder"
    capabilities = Capabilities(max_text=_MOST_TEXT, edits_in=True)

    async def reserve(self, reply: Reply) -> str:
        """Show "…"."""
        return await self._calls.call(lambda: self._platform.post(reply.thread, "…"))


class DraftingChannel(_FillingChannel, ReconcilingChannel):
    """Shows drafts as messages, writes the reply into them, and can ask about others."""

    name = "drafting"
    capabilities = Capabilities(max_text=_MOST_TEXT, edits_in=True, streaming=True)

    @property
    def streams(self) -> bool:
        """Always."""
        return True

    def stream_seconds(self, thread: str) -> float:
        """One second."""
        return 1.0

    async def stream(self, draft: Draft) -> str | None:
        """Show a draft, in its message or in a new one."""
        handle = draft.handle
        if handle is None:
            return await self._calls.call(lambda: self._platform.post(draft.thread, draft.text))
        return await self._calls.call(lambda: self._platform.write(handle, draft.text))


def make_channel(kind: Kind, platform: Platform, calls: Calls) -> Channel:
    """A channel of one process to one account."""
    kinds: dict[Kind, Any] = {
        "blind": BlindChannel,
        "idempotent": IdempotentChannel,
        "reconciling": ReconcilingChannel,
        "placeholder": PlaceholderChannel,
        "drafting": DraftingChannel,
    }
    channel: Channel = kinds[kind](platform, calls)
    return channel
