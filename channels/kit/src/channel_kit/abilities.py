"""Optional abilities, found by ``isinstance``: a channel implements those its platform has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from channel_kit.contract import Attachment, InboundEvent, Receipt, Reply, WebhookRequest


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a platform is answered at once, after everything was stored."""

    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    body: bytes = b""


@runtime_checkable
class Acknowledging(Protocol):
    """Answers a delivery in the platform's own words: a challenge, an empty document."""

    def acknowledge(self, request: WebhookRequest) -> Acknowledgement:
        """Return the answer to a verified request whose events are stored. Pure."""
        ...


@runtime_checkable
class Routed(Protocol):
    """Shares one address among many accounts: one app of a platform, installed many times."""

    def account_in(self, request: WebhookRequest) -> str | None:
        """Return the account that verified bytes are about, as in :class:`Connected`. Pure.

        None when they do not say. The gateway gives them to that account's connection, which
        verifies them again itself.
        """
        ...


Deliver = Callable[[Sequence[InboundEvent]], Awaitable[None]]
"""Stores events; when it returns they are stored, when it raises they are not."""


@runtime_checkable
class Polling(Protocol):
    """Fetches its events itself, by long polling or a socket, instead of being called."""

    @property
    def polls(self) -> bool:
        """Whether this connection wants that."""
        ...

    async def poll(self, deliver: Deliver, on_contact: Callable[[], None]) -> None:
        """Receive until cancelled. The platform is told "got it" only when ``deliver`` returned.

        Args:
            deliver: stores a batch of events.
            on_contact: called whenever the platform was heard, even if it had nothing to say.

        Raises:
            ChannelError: contact was lost; the gateway begins again after a pause.
        """
        ...

    async def probe(self) -> None:
        """Ask the platform by another way whether events should be coming at all.

        Raises:
            ChannelError: the platform is away or refuses us: silence is no surprise.
        """
        ...


@runtime_checkable
class Typing(Protocol):
    """Shows that an answer is being thought about. Best effort."""

    typing_seconds: float
    """How long one call lasts; the gateway repeats it a little earlier."""

    async def show_typing(self, thread: str) -> None:
        """Show it.

        Raises:
            ChannelError: it was not shown; the caller gives up for this answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer in the making.

    ``shown`` is the text of the last draft that was shown, ``handle`` what ``stream`` returned.
    ``in_reply_to`` is as in the reply that will follow.
    """

    id: str
    thread: str
    text: str
    shown: str = ""
    handle: str | None = None
    in_reply_to: tuple[str, ...] = ()


@runtime_checkable
class Streaming(Protocol):
    """Shows an answer while it is being written. Best effort: the final reply still follows."""

    @property
    def streams(self) -> bool:
        """Whether this connection wants drafts at all."""
        ...

    def stream_seconds(self, thread: str) -> float:
        """Return the least time between two drafts in this thread."""
        ...

    async def stream(self, draft: Draft) -> str | None:
        """Show ``draft.text``, the whole answer so far.

        Returns:
            The handle of the message that shows it, which ``fill`` then turns into the answer;
            None where a draft is no message and vanishes by itself.

        Raises:
            ChannelError: the draft was not shown; the caller stops streaming this answer.
        """
        ...


@runtime_checkable
class Filling(Protocol):
    """Writes an answer into a message that is there already. Doing it twice shows it once."""

    async def fill(self, handle: str, reply: Reply) -> Receipt:
        """Make the message ``handle`` show ``reply``, whatever it showed before.

        Raises:
            ChannelError: as ``send``; an unknown outcome is simply tried again.
        """
        ...

    async def discard(self, handle: str, thread: str) -> None:
        """Take the message away, because no answer comes. Best effort.

        Raises:
            ChannelError: it stays.
        """
        ...


@runtime_checkable
class Placeholder(Filling, Protocol):
    """Has neither idempotency key nor read-back: shows "…" first and then fills it.

    A crash in between leaves a stray "…", never a second answer. Every reply goes this way.
    """

    async def reserve(self, reply: Reply) -> str:
        """Show "…" where ``reply`` will be and return its handle.

        Raises:
            ChannelError: as ``send``; after an unknown outcome another one is reserved.
        """
        ...


@runtime_checkable
class Reconciling(Protocol):
    """Can ask the platform whether it took a reply."""

    reconcile_seconds: float
    """How long after an unclear call the platform's list can be trusted to hold it."""

    async def find(self, reply: Reply, *, since: datetime) -> Receipt | None:
        """Return the receipt of ``reply`` if the platform took it at or after ``since``.

        None means that it surely did not, and the reply is sent again.

        Raises:
            ChannelError: it cannot be told now; asked again later.
        """
        ...


@runtime_checkable
class Shaping(Protocol):
    """Cuts answers by what its platform makes of them, not by the length of their CommonMark."""

    def shape(self, text: str, *, hint: str = "") -> Sequence[str]:
        """Return the parts of a CommonMark answer, in order, each fit for one ``send``. Pure.

        Every part leaves room for ``hint``, for citations and for what ``send`` adds. Never empty
        for a text that is not blank.
        """
        ...


@dataclass(frozen=True, slots=True)
class Toll:
    """What one call draws from a bucket that all replies to ``bucket`` share.

    The bucket refills at ``per_second`` and holds ``burst`` at most; ``amount`` is drawn.
    """

    bucket: str
    per_second: float
    burst: float
    amount: float = 1.0


@runtime_checkable
class Paced(Protocol):
    """Knows its platform's rates, so that the gateway keeps them instead of running into them."""

    def tolls(self, reply: Reply) -> Sequence[Toll]:
        """Return what sending ``reply`` draws, within this connection. Pure."""
        ...


@runtime_checkable
class Fetching(Protocol):
    """Gets the files that came with a message."""

    async def fetch(self, attachment: Attachment, *, limit_bytes: int) -> bytes:
        """Return the file.

        Raises:
            ReplyRejected: it is larger than ``limit_bytes``, gone, or at an address not allowed.
            ChannelError: it cannot be fetched now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Connected:
    """What a platform says about an account that was just connected.

    ``account`` names it for good and is unique on the platform, so that it is connected once in
    an installation; :func:`channel_kit.accounts.vouched` keeps it so where a tenant chooses the
    server. ``config`` are settings found out, merged into the connection's. ``steps`` are what is
    left for a person to click, ready to be shown. ``write_to`` is where a learner begins: an
    address or a number.
    """

    account: str
    title: str
    config: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    write_to: str | None = None


@runtime_checkable
class Connecting(Protocol):
    """Checks credentials with the platform and tells it where to deliver."""

    async def connect(self, inbound_url: str) -> Connected:
        """Prove the credentials, set the webhook where the platform lets us. May be repeated.

        Raises:
            CredentialsRejected: they are wrong.
            ChannelError: the platform cannot be asked now.
        """
        ...

    async def disconnect(self) -> None:
        """Tell the platform to stop delivering. Best effort.

        Raises:
            ChannelError: it goes on.
        """
        ...


@runtime_checkable
class Installing(Protocol):
    """Is installed by a click in the platform (OAuth 2), which gives the missing credentials."""

    def install_url(self, *, redirect_url: str, state: str) -> str:
        """Return the platform's page that asks for consent and comes back to ``redirect_url``."""
        ...

    async def complete(self, *, code: str, redirect_url: str) -> Mapping[str, Any]:
        """Exchange the code of a return for settings to merge into the connection's.

        Raises:
            CredentialsRejected: the code is wrong, used or late.
            ChannelError: the platform cannot be asked now.
        """
        ...
