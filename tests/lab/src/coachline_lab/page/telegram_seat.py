"""A learner's seat on Telegram: the private chat with one bot."""

from __future__ import annotations

import secrets

from coachline_lab.page.seats import Line
from coachline_lab.records import Accepted
from coachline_lab.telegram import FakeTelegram
from coachline_lab.telegram.world import Bot


class TelegramSeat:
    """Writes to ``bot`` as a person of its own."""

    name = "telegram"
    title = "Telegram"
    can_edit = True
    about = "Answers grow while they are written. Their sources are buttons."
    ideas: tuple[str, ...] = ("I missed my walk today. What now?", "/help")
    command = "coachline connect telegram"
    guide = "channels/telegram/README.md"

    def __init__(self, platform: FakeTelegram, bot: Bot) -> None:
        self._platform = platform
        self._bot = bot
        self.renew()

    def renew(self) -> None:
        """Seat somebody else. The gateway may remember the ids of an earlier lab, hence chance."""
        number = 1_000_000_000 + secrets.randbelow(10**9)
        self._person = self._platform.world.add_person("Lea", id=number)

    @property
    def learner(self) -> str:
        """The user's id."""
        return str(self._person.id)

    @property
    def version(self) -> int:
        """Changes with the book and with every draft."""
        return self._platform.ledger.version * 1_000_003 + hash(self.writing()) % 1_000_003

    @property
    def whereabouts(self) -> str:
        """The two names."""
        return f"{self._person.first_name} to @{self._bot.person.username}"

    def lines(self) -> list[Line]:
        """The chat."""
        thread = str(self._person.id)
        return [_line(one) for one in self._platform.ledger.transcript(thread)]

    def writing(self) -> str:
        """The newest draft."""
        shown = self._platform.drafts(self._person.id, bot=self._bot)
        return shown[-1] if shown else ""

    async def say(self, text: str) -> None:
        """Write a message."""
        await self._platform.say(text, user=self._person, bot=self._bot)

    async def press(self, message_id: str, button: str) -> None:
        """Press an inline button."""
        await self._platform.press(
            button, user=self._person, bot=self._bot, message=int(message_id)
        )

    async def edit(self, message_id: str, text: str) -> None:
        """Change an own message."""
        await self._platform.edit(int(message_id), text, user=self._person, bot=self._bot)


def _line(one: Accepted) -> Line:
    markup = one.details.get("reply_markup") or {}
    rows = markup.get("inline_keyboard") or []
    return Line(
        id=one.message_id,
        who="learner" if one.sender else "bot",
        text=one.text,
        at=one.at,
        buttons=tuple(button["text"] for row in rows for button in row),
        entities=tuple(one.details.get("entities") or ()),
        is_edited=bool(one.edits) and one.sender is not None,
    )
