"""What the gateway says about itself: a greeting, what can be done, what it cannot read."""

from __future__ import annotations

from typing import Final

from channel_kit import Choice
from coachline.conversation.commands import CommandName
from coachline.conversation.help_sentences import help_in
from coachline.conversation.human_words import human_in
from coachline.conversation.scene import Scene, notice
from coachline.messaging import DraftReply

_PERSONAL: Final = (CommandName.LINK, CommandName.MYDATA, CommandName.FORGET)


class Helping:
    """Words each answer for the channel it is read on."""

    def greet(self, scene: Scene) -> DraftReply:
        """Say hello under the tenant's name."""
        return notice(
            help_in(scene.language).greeting.format(
                coach=scene.profile.display_name, help=scene.written(CommandName.HELP)
            )
        )

    def explain(self, scene: Scene) -> DraftReply:
        """List what can be written on this channel."""
        words = help_in(scene.language)
        known = (
            (CommandName.LINK, "", words.link),
            (CommandName.PAUSE, "3d", words.pause),
            (CommandName.STOP, "", words.stop),
            (CommandName.MYDATA, "", words.mydata),
            (CommandName.FORGET, "", words.forget),
            (CommandName.HUMAN, "", human_in(scene.language).help),
        )
        lines = [
            f"- {scene.written(name, argument)}: {meaning}"
            for name, argument, meaning in known
            if scene.is_private or name not in _PERSONAL
        ]
        apart = () if scene.is_private else (self.ask_apart(scene, *_PERSONAL).text,)
        choices = (self.offer_human(scene),) if scene.capabilities.buttons else ()
        return notice("\n\n".join((words.intro, "\n".join(lines), *apart)), choices)

    def offer_human(self, scene: Scene) -> Choice:
        """A button that asks for a human."""
        return Choice(label=human_in(scene.language).label, value=f"/{CommandName.HUMAN}")

    def ask_apart(self, scene: Scene, *names: CommandName) -> DraftReply:
        """Ask to write commands where nobody else reads their answers."""
        commands = ", ".join(scene.written(name) for name in names)
        return notice(help_in(scene.language).in_private.format(commands=commands))

    def wonder(self, scene: Scene) -> DraftReply:
        """Say that there is no such command."""
        words = help_in(scene.language)
        return notice(words.unknown.format(help=scene.written(CommandName.HELP)))

    def regret(self, scene: Scene) -> DraftReply:
        """Say that what came cannot be read, and what can."""
        words = help_in(scene.language)
        takes_files = scene.capabilities.attachments_in
        return notice(words.only_texts_and_files if takes_files else words.only_text)

    def end(self, scene: Scene) -> DraftReply:
        """Say that nothing is left of the answer that was cut."""
        return notice(help_in(scene.language).nothing_more)
