"""A learner's seat on SMS: a phone that writes to one number."""

from __future__ import annotations

import secrets

from coachline_lab.page.seats import Line
from coachline_lab.records import Accepted
from coachline_lab.twilio import FakeTwilio


class TwilioSeat:
    """Writes to ``number`` from a number of its own."""

    name = "sms"
    title = "SMS"
    can_edit = False
    about = "Short and plain: an SMS costs money. Commands are words without a slash."
    ideas: tuple[str, ...] = ("How do I start again after three months off?", "HELP")
    command = "coachline connect sms"
    guide = "channels/sms/README.md"

    def __init__(self, platform: FakeTwilio, number: str) -> None:
        self._platform = platform
        self._number = number
        self.renew()

    def renew(self) -> None:
        """Seat somebody else. The gateway may remember the numbers of an earlier lab, hence
        chance, among the numbers that are kept free for stories.
        """
        self._person = f"+1{201 + secrets.randbelow(700)}55501{secrets.randbelow(100):02}"

    @property
    def learner(self) -> str:
        """The person's number."""
        return self._person

    @property
    def version(self) -> int:
        """Changes with the book."""
        return self._platform.ledger.version

    @property
    def whereabouts(self) -> str:
        """The two numbers."""
        return f"{self._person} to {self._number}"

    def lines(self) -> list[Line]:
        """The messages of the two numbers."""
        return [self._line(one) for one in self._platform.ledger.transcript(self._person)]

    def writing(self) -> str:
        """Nothing: a phone does not show it."""
        return ""

    async def say(self, text: str) -> None:
        """Send an SMS."""
        await self._platform.say(text, person=self._person, to=self._number)

    async def press(self, message_id: str, button: str) -> None:
        """There are no buttons.

        Raises:
            LookupError: always.
        """
        raise LookupError(f"an SMS has no button {button!r}")

    async def edit(self, message_id: str, text: str) -> None:
        """An SMS stays as it is.

        Raises:
            LookupError: always.
        """
        raise LookupError("an SMS cannot be changed")

    def _line(self, one: Accepted) -> Line:
        who = "bot" if one.sender is None else "learner"
        message = self._platform.messages.get(one.message_id)
        return Line(
            id=one.message_id,
            who="platform" if one.sender == "Twilio" else who,
            text=one.text,
            at=one.at,
            note=message.status if message is not None and one.sender is None else "",
        )
