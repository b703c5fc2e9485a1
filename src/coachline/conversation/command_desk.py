"""Where commands are answered: one place that knows who does what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coachline.conversation.commands import Command, CommandName, parse_digit
from coachline.conversation.helping import Helping
from coachline.conversation.human_requests import HumanRequests
from coachline.conversation.linking import Linking
from coachline.conversation.pausing import Pausing
from coachline.conversation.rights import Rights
from coachline.conversation.scene import Scene, notice
from coachline.conversation.sources import Sources
from coachline.learners import looks_like_code
from coachline.messaging import DraftReply, Message, QueuedEvent, TurnLedger

# Their answers are for one person's eyes; a code that others read is somebody else's learner.
_PERSONAL: Final = frozenset(
    {
        CommandName.LINK,
        CommandName.UNLINK,
        CommandName.SHARE,
        CommandName.MYDATA,
        CommandName.FORGET,
    }
)


@dataclass(frozen=True, slots=True)
class Desk:
    """Who answers commands, each its own."""

    helping: Helping
    linking: Linking
    pausing: Pausing
    rights: Rights
    sources: Sources
    humans: HumanRequests
    ledger: TurnLedger


class Commands:
    """Answers commands without a model. Everything they do may be done twice."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(
        self, scene: Scene, command: Command, event: QueuedEvent, recent: list[Message]
    ) -> DraftReply | None:
        """Do what a command asks and return what is said to it; None when nothing need be said.

        Args:
            scene: who asks.
            command: what.
            event: the message that it was read from.
            recent: the end of the conversation.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
            LeaseLost: another process has the conversation.
        """
        if not scene.is_private and _is_personal(command):
            return await self._ask_apart(scene, command)
        return await self._do(scene, command, event, recent)

    async def _do(
        self, scene: Scene, command: Command, event: QueuedEvent, recent: list[Message]
    ) -> DraftReply | None:
        desk, argument = self._desk, command.argument
        match command.name:
            case CommandName.HELP | CommandName.UNKNOWN:
                is_known = command.name is CommandName.HELP
                return desk.helping.explain(scene) if is_known else desk.helping.wonder(scene)
            case CommandName.START | CommandName.LINK:
                return await self._begin(scene, command)
            case CommandName.UNLINK | CommandName.SHARE:
                return await self._change_link(scene, command)
            case CommandName.PAUSE | CommandName.RESUME | CommandName.STOP:
                return await self._pause(scene, command)
            case CommandName.MYDATA:
                return await desk.rights.show(scene)
            case CommandName.FORGET:
                return await desk.rights.forget(scene, argument, event, recent)
            case CommandName.SOURCE:
                return await desk.sources.show(scene, parse_digit(argument), event.reply_to)
            case CommandName.HUMAN:
                return await desk.humans.ask(scene)
            case CommandName.MORE:
                return await self._go_on(scene)

    async def _go_on(self, scene: Scene) -> DraftReply | None:
        is_more = await self._desk.ledger.release_held(scene.turn) > 0
        return None if is_more else self._desk.helping.end(scene)

    async def _ask_apart(self, scene: Scene, command: Command) -> DraftReply:
        """Do nothing that others would see, and let no code live that they have seen."""
        asked = CommandName.LINK if command.name is CommandName.START else command.name
        apart = self._desk.helping.ask_apart(scene, asked)
        if not looks_like_code(command.argument):
            return apart
        spoiled = await self._desk.linking.spoil(scene, command.argument)
        return notice(f"{spoiled.text}\n\n{apart.text}")

    async def _begin(self, scene: Scene, command: Command) -> DraftReply | None:
        desk = self._desk
        if looks_like_code(command.argument):
            # What was typed was meant; a link is only followed, and anybody can make one.
            if command.name is CommandName.START:
                return desk.linking.offer(scene, command.argument)
            return await desk.linking.redeem(scene, command.argument)
        if command.name is CommandName.LINK:
            wrong = command.argument and await desk.linking.redeem(scene, command.argument)
            return wrong or await desk.linking.make(scene)
        return await desk.pausing.start(scene) or desk.helping.greet(scene)

    async def _change_link(self, scene: Scene, command: Command) -> DraftReply:
        if command.name is CommandName.UNLINK:
            return await self._desk.linking.unlink(scene)
        return await self._desk.linking.share(scene, command.argument)

    async def _pause(self, scene: Scene, command: Command) -> DraftReply:
        if command.name is CommandName.PAUSE:
            return await self._desk.pausing.pause(scene, command.argument)
        if command.name is CommandName.RESUME:
            return await self._desk.pausing.resume(scene)
        return await self._desk.pausing.stop(scene)


def _is_personal(command: Command) -> bool:
    is_code = command.name is CommandName.START and looks_like_code(command.argument)
    return command.name in _PERSONAL or is_code
