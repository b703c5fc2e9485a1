"""A learner's seat on Slack: the direct message with one app."""

from __future__ import annotations

import html
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from coachline_lab.page.seats import Line
from coachline_lab.records import Accepted
from coachline_lab.slack import FakeSlack
from coachline_lab.slack.world import Installation


class SlackSeat:
    """Writes to ``app`` as a user of its own."""

    name = "slack"
    title = "Slack"
    can_edit = True
    about = "A direct message with the app. Its slash command is /coach."
    ideas: tuple[str, ...] = ("I slept only five hours. Should I still go?", "/coach help")
    command = "coachline connect slack"
    guide = "channels/slack/README.md"

    def __init__(self, platform: FakeSlack, app: Installation) -> None:
        self._platform = platform
        self._app = app
        self.renew()

    def renew(self) -> None:
        """Seat somebody else. The gateway may remember the ids of an earlier lab, hence chance."""
        world, team = self._platform.world, self._app.team
        self._user = world.add_user(team, "Lea", id=f"U0{secrets.token_hex(4).upper()}")
        self._channel = world.direct(team, self._app.bot.id, self._user.id)

    @property
    def learner(self) -> str:
        """The user's id."""
        return self._user.id

    @property
    def version(self) -> int:
        """Changes with the book and with the status."""
        return self._platform.ledger.version * 1_000_003 + hash(self.writing()) % 1_000_003

    @property
    def whereabouts(self) -> str:
        """Who writes to which app, and where."""
        return f"{self._user.name} to {self._app.app.name} in {self._app.team.name}"

    def lines(self) -> list[Line]:
        """The direct message, with its threads in the order of time."""
        begin = f"{self._app.team.id}/{self._channel.id}/"
        ledger = self._platform.ledger
        found = [
            one
            for thread in ledger.threads()
            if thread.startswith(begin)
            for one in ledger.transcript(thread)
        ]
        return [_line(one) for one in sorted(found, key=lambda one: one.place)]

    def writing(self) -> str:
        """The app's status."""
        now = time.monotonic()
        for (channel, _), (status, until) in self._app.team.statuses.items():
            if channel == self._channel.id and until > now:
                return status
        return ""

    async def say(self, text: str) -> None:
        """Write a message, or, with a slash at its beginning, use the app's slash command."""
        where = {"user": self._user, "channel": self._channel, "app": self._app}
        if text.startswith("/coach"):
            await self._platform.command(text.removeprefix("/coach").strip(), **where)
        else:
            await self._platform.say(text, **where)

    async def press(self, message_id: str, button: str) -> None:
        """Press a button."""
        await self._platform.press(
            button, user=self._user, channel=self._channel, app=self._app, message=message_id
        )

    async def edit(self, message_id: str, text: str) -> None:
        """Change an own message."""
        await self._platform.edit(
            message_id, text, user=self._user, channel=self._channel, app=self._app
        )


def _line(one: Accepted) -> Line:
    blocks = tuple(one.details.get("blocks") or ())
    return Line(
        id=one.message_id,
        who="learner" if one.sender else "bot",
        # Slack escapes &, < and > in everything that it stores.
        text=html.unescape(one.text),
        at=one.at,
        buttons=tuple(_buttons(blocks)),
        blocks=blocks,
        is_edited=bool(one.edits) and one.sender is not None,
        is_unfinished=one.is_unfinished,
    )


def _buttons(blocks: tuple[Mapping[str, Any], ...]) -> Iterator[str]:
    for block in blocks:
        for element in block.get("elements") or ():
            if block.get("type") == "actions" and element.get("type") == "button":
                yield str(element["text"]["text"])
