"""How threads, people, messages and handles are named towards the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from channel_kit import ReplyRejected

HOME: Final = "home"
"""In the place of a channel: the app's Home tab."""


@dataclass(frozen=True, slots=True)
class Address:
    """A place where one person is answered: ``{team}/{channel}/{thread_ts}/{user}``.

    ``thread_ts`` is empty in a direct message without a thread; ``channel`` is ``home`` for the
    Home tab, and may be the id of a user, which Slack takes as the direct message with them.
    """

    team: str
    channel: str
    thread_ts: str
    user: str

    @classmethod
    def read(cls, thread: str) -> Address:
        """Return the address that a thread names.

        Raises:
            ReplyRejected: it is not one of ours.
        """
        parts = thread.split("/")
        if len(parts) != 4 or not (parts[0] and parts[1] and parts[3]):
            raise ReplyRejected("the thread is not an address in Slack")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.team}/{self.channel}/{self.thread_ts}/{self.user}"

    @property
    def is_home(self) -> bool:
        """Whether this is the Home tab."""
        return self.channel == HOME

    @property
    def is_user(self) -> bool:
        """Whether the channel is a person, whose direct message is not open yet."""
        return self.channel[0] in "UW"

    @property
    def is_direct(self) -> bool:
        """Whether nobody else reads here."""
        return self.is_home or self.is_user or self.channel[0] == "D"


@dataclass(frozen=True, slots=True)
class Handle:
    """A message that is being written: ``{channel}:{ts}:{kind}``, ``s`` a stream, ``m`` a post."""

    channel: str
    ts: str
    kind: Literal["s", "m"]

    @classmethod
    def read(cls, handle: str) -> Handle:
        """Return what a handle names.

        Raises:
            ReplyRejected: it is not one of ours.
        """
        match handle.split(":"):
            case [str(channel), str(ts), "s" | "m" as kind] if channel and ts:
                return cls(channel, ts, kind)
        raise ReplyRejected("the handle is not a message in Slack")

    def __str__(self) -> str:
        return f"{self.channel}:{self.ts}:{self.kind}"

    @property
    def is_stream(self) -> bool:
        """Whether Slack streams it."""
        return self.kind == "s"


def message_id(team: str, channel: str, ts: str) -> str:
    """Return the external id of a message: the same for every event about that post."""
    return f"m:{team}:{channel}:{ts}"


def sender_id(team: str, user: str) -> str:
    """Return the id of a person in a workspace."""
    return f"{team}:{user}"
