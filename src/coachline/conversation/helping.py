"""What the gateway says about itself: a greeting, what can be done, what it cannot read."""

from __future__ import annotations

from coachline.conversation.commands import CommandName
from coachline.conversation.help_sentences import help_in
from coachline.conversation.scene import Scene, notice
from coachline.messaging import DraftReply


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
            (scene.written(CommandName.LINK), words.link),
            (scene.written(CommandName.PAUSE, "3d"), words.pause),
            (scene.written(CommandName.STOP), words.stop),
            (scene.written(CommandName.MYDATA), words.mydata),
            (scene.written(CommandName.FORGET), words.forget),
        )
        lines = [f"- {command}: {meaning}" for command, meaning in known]
        return notice(words.intro + "\n\n" + "\n".join(lines))

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
