"""Who talks to whom, where, and what can be done there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from channel_kit import Capabilities, Choice
from coachline.conversation.commands import CommandName
from coachline.conversation.sentences import Sentences, sentences_in
from coachline.foundation.ids import IdentityId
from coachline.learners import Learner
from coachline.messaging import DraftReply, Turn
from coachline.tenancy import TenantProfile


@dataclass(frozen=True, slots=True)
class Scene:
    """A turn with everything known about the two who talk and about their channel.

    ``place`` is what the channel is called in a sentence: its name, and the end of a number.
    ``is_private`` is false where others read along: nothing personal is said there.
    """

    turn: Turn
    profile: TenantProfile
    learner: Learner
    identity_id: IdentityId
    capabilities: Capabilities
    place: str
    is_private: bool

    @property
    def language(self) -> str:
        """The learner's language tag."""
        return self.learner.language

    @property
    def sentences(self) -> Sentences:
        """The few sentences that every turn may need."""
        return sentences_in(self.learner.language)

    def written(self, name: CommandName, argument: str = "") -> str:
        """Return a command as it is written on this channel: ``/help``, or ``HELP``."""
        word = name.value.upper() if self.capabilities.bare_commands else f"/{name.value}"
        return f"{word} {argument}".strip()


def place_of(channel: str, thread: str) -> str:
    """Return what a learner calls a channel: ``Telegram``, or ``SMS …89`` for a number."""
    name = channel.upper() if channel == "sms" else channel.capitalize()
    number = thread.rpartition(":")[2]
    is_number = number.startswith("+") and number[1:].isdigit()
    return f"{name} …{number[-2:]}" if is_number else name


def notice(text: str, choices: Sequence[Choice] = ()) -> DraftReply:
    """Return something that the gateway says itself: no part of the talk."""
    return DraftReply(text, choices=tuple(choices), is_notice=True)
