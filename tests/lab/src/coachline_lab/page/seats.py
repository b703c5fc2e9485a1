"""What a page needs of a platform: a place to sit as a learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Line:
    """One message as the learner sees it.

    ``who`` is ``learner``, ``bot`` or ``platform``. ``entities`` (Telegram) and ``blocks`` (Slack)
    are the platform's own, for a page that shows them. ``note`` is a state below the message.
    """

    id: str
    who: str
    text: str
    at: float
    buttons: tuple[str, ...] = ()
    entities: Sequence[Mapping[str, Any]] = ()
    blocks: Sequence[Mapping[str, Any]] = ()
    note: str = ""
    is_edited: bool = False
    is_unfinished: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


class Seat(Protocol):
    """A learner's seat on one platform.

    ``can_edit`` says whether the platform lets people change what they wrote, ``about`` what is
    special here, and ``ideas`` are messages to begin with. ``command`` and ``guide`` connect the
    real platform.
    """

    name: str
    title: str
    can_edit: bool
    about: str
    ideas: tuple[str, ...]
    command: str
    guide: str

    @property
    def version(self) -> int:
        """A number that grows whenever something changed."""
        ...

    @property
    def learner(self) -> str:
        """The platform's id of who sits here."""
        ...

    @property
    def whereabouts(self) -> str:
        """Who writes to whom, in a few words."""
        ...

    def lines(self) -> list[Line]:
        """Everything that stands in the conversation, oldest first."""
        ...

    def writing(self) -> str:
        """What is shown as being written: a text, or empty."""
        ...

    def renew(self) -> None:
        """Seat somebody whom nobody on the platform has met; ids of earlier people stay theirs."""
        ...

    async def say(self, text: str) -> None:
        """Write a message."""
        ...

    async def press(self, message_id: str, button: str) -> None:
        """Press a button below a message.

        Raises:
            LookupError: there is no such button.
        """
        ...

    async def edit(self, message_id: str, text: str) -> None:
        """Change an own message.

        Raises:
            LookupError: there is no such message, or the platform has no edits.
        """
        ...
