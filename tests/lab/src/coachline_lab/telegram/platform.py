"""A Telegram on the loopback."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from coachline_lab.delivery import InboundFaults, Outbound
from coachline_lab.faults import Faults
from coachline_lab.ledger import Ledger
from coachline_lab.records import Accepted
from coachline_lab.serving import BODY_BYTES, LoopbackServer
from coachline_lab.telegram.api import TelegramApi
from coachline_lab.telegram.circumstances import Circumstances
from coachline_lab.telegram.gestures import GestureMethods
from coachline_lab.telegram.learner import Words
from coachline_lab.telegram.media import Media
from coachline_lab.telegram.rates import Rates
from coachline_lab.telegram.receiving import ReceivingMethods
from coachline_lab.telegram.stage import Said, Stage
from coachline_lab.telegram.unseen import UnseenMethods
from coachline_lab.telegram.updates import Updates
from coachline_lab.telegram.world import Bot, Chat, Person, World
from coachline_lab.telegram.writing import WritingMethods

ANSWER_SECONDS = 60.0
"""How long Telegram waits for a webhook's answer."""


class FakeTelegram:
    """The Bot API, the people behind it, and a ledger of what they see.

    An async context manager. ``url`` is what a client takes as the API's address. ``words``,
    ``media`` and ``around`` are what learners do; the most usual of it can be called here.
    ``rates`` keeps the platform's limits once ``rates.is_kept``; ``inbound`` disturbs webhooks.

    Args:
        port: where to listen; 0 takes a free port.
        time_scale: what the waits between deliveries are multiplied with; 1.0 is Telegram's own.
    """

    def __init__(self, *, port: int = 0, time_scale: float = 0.01) -> None:
        self.faults = Faults()
        self.ledger = Ledger("telegram")
        self.rates = Rates()
        self.world = World()
        self._outbound = Outbound(ANSWER_SECONDS)
        self.updates = Updates(self._outbound, time_scale, self._execute)
        stage = Stage(self.world, self.updates, self.ledger)
        self.words = Words(stage)
        self.media = Media(stage, self.words)
        self.around = Circumstances(stage)
        self._stage = stage
        writing = WritingMethods(self.world, self.ledger, self.rates).methods()
        methods = {
            **ReceivingMethods(self.updates).methods(),
            **writing,
            **UnseenMethods(self.world, self.ledger, writing["sendmessage"]).methods(),
            **GestureMethods(self.world).methods(),
        }
        self._api = TelegramApi(self.world, self.ledger, self.faults, methods)
        app = web.Application(client_max_size=BODY_BYTES)
        self._api.add_to(app)
        self._server = LoopbackServer(app, port)

    async def __aenter__(self) -> Self:
        await self._outbound.open()
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._outbound.close()
        await self._server.stop()

    @property
    def url(self) -> str:
        """The address of the API, without a path."""
        return self._server.url

    @property
    def inbound(self) -> InboundFaults:
        """What goes wrong on the way to webhooks."""
        return self.updates.faults

    def add_bot(self, token: str | None = None, **settings: Any) -> Bot:
        """Make a bot; see :meth:`World.add_bot`."""
        return self.world.add_bot(token, **settings)

    def add_user(self, first_name: str, **names: Any) -> Person:
        """Make a person; see :meth:`World.add_person`."""
        return self.world.add_person(first_name, **names)

    async def say(self, text: str, **where: Any) -> Said:
        """Write a message as a learner; see :meth:`Words.say`."""
        return await self.words.say(text, **where)

    async def ask(self, text: str, *, seconds: float = 10.0, **where: Any) -> Accepted:
        """Write a message and return the answer.

        Raises:
            TimeoutError: there was none in time.
        """
        said = await self.words.say(text, **where)
        return await self.wait_for_answer(said.thread, after=said.place, seconds=seconds)

    async def edit(self, message: Said | int, text: str, **where: Any) -> Said:
        """Change the own message; see :meth:`Words.edit`."""
        return await self.words.edit(message, text, **where)

    async def delete(self, message: Said | int, **where: Any) -> None:
        """Delete the own message; see :meth:`Words.delete`."""
        await self.words.delete(message, **where)

    async def press(self, button: str, **where: Any) -> Said:
        """Press a button; see :meth:`Words.press`."""
        return await self.words.press(button, **where)

    async def command(self, text: str, **where: Any) -> Said:
        """Write a command: ``text`` with or without its slash."""
        return await self.words.say(text if text.startswith("/") else f"/{text}", **where)

    async def block(self, **where: Any) -> None:
        """Block the bot; see :meth:`Circumstances.block`."""
        await self.around.block(**where)

    async def unblock(self, **where: Any) -> None:
        """Unblock the bot; see :meth:`Circumstances.unblock`."""
        await self.around.unblock(**where)

    def redeliver(self, count: int = 1, *, bot: Bot | None = None) -> None:
        """Deliver the last ``count`` updates once more, as they were."""
        self.updates.redeliver(self._stage.bot(bot), count)

    async def wait_for_answer(
        self,
        thread: str,
        *,
        after: int = 0,
        account: str | None = None,
        seconds: float = 10.0,
    ) -> Accepted:
        """Return the first finished answer behind ``after``; see :meth:`Ledger.wait_for_answer`.

        Raises:
            TimeoutError: there was none in time.
        """
        return await self.ledger.wait_for_answer(
            thread, after=after, account=account, seconds=seconds
        )

    async def idle(self, seconds: float = 10.0) -> None:
        """Return when every webhook has what it should have.

        Raises:
            TimeoutError: something is still on its way.
        """
        await self._outbound.idle(seconds)

    def drafts(self, chat: Chat | int | None = None, *, bot: Bot | None = None) -> list[str]:
        """What is shown as being written in a private chat, given as such or by its person."""
        if not isinstance(chat, Chat):
            chat = self._stage.chat(None, self._stage.person(chat), bot)
        now = asyncio.get_running_loop().time()
        return [text for text, until in chat.live_drafts.values() if until > now]

    async def _execute(self, bot: Bot, call: dict[str, Any]) -> None:
        await self._api.execute(bot, call)
