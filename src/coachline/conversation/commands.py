"""What a learner asks of the gateway itself, read from their words. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from coachline.conversation.human_words import HUMAN_WORDS, asks_for_human
from coachline.learners import looks_like_code


class CommandName(StrEnum):
    """Every command, by the word that is written. ``unknown`` is a slash with another word."""

    HELP = "help"
    START = "start"
    STOP = "stop"
    LINK = "link"
    UNLINK = "unlink"
    SHARE = "share"
    PAUSE = "pause"
    RESUME = "resume"
    MYDATA = "mydata"
    FORGET = "forget"
    MORE = "more"
    SOURCE = "source"
    HUMAN = "human"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Command:
    """A command and the words behind it."""

    name: CommandName
    argument: str = ""


_SLASH: Final = re.compile(r"/([a-z]{1,32})(?:@\w{1,64})?(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)
_BARE: Final = re.compile(r"([^\W\d_]{2,20})(?:\s+(.*))?", re.DOTALL)
_DIGIT: Final = re.compile(r"\[?([1-9])[\].)]?")
_SPAN: Final = re.compile(r"(\d{1,3})\s*([a-z]*)", re.IGNORECASE)

# The obvious words of the languages that the sentences are written in. A word that is also said
# in a talk ("stop", "plus") counts only where it stands alone.
_WORDS: Final = MappingProxyType(
    {
        **{name.value: name for name in CommandName if name is not CommandName.UNKNOWN},
        "hilfe": CommandName.HELP,
        "aide": CommandName.HELP,
        "ayuda": CommandName.HELP,
        "ajuda": CommandName.HELP,
        "aiuto": CommandName.HELP,
        "mehr": CommandName.MORE,
        "más": CommandName.MORE,
        "mas": CommandName.MORE,
        "mais": CommandName.MORE,
        "pausa": CommandName.PAUSE,
        "info": CommandName.HELP,
        **dict.fromkeys(HUMAN_WORDS, CommandName.HUMAN),
    }
)
_HOURS: Final = MappingProxyType({"h": 1, "d": 24, "w": 7 * 24})
_LONGEST_PAUSE: Final = timedelta(days=365)


def parse_command(text: str, *, is_bare: bool, human_words: Collection[str] = ()) -> Command | None:
    """Return the command that ``text`` is, or None when it is something said to the coach.

    Args:
        text: what was written.
        is_bare: whether commands are known without a slash here. Then the whole text must be the
            command: "help" is one, "help me sleep" is not. "link" with a code is one everywhere.
        human_words: what the tenant's learners may write, beside our own phrases, to ask for a
            human; both are known everywhere, as whole messages.
    """
    text = text.strip()
    found = _SLASH.fullmatch(text)
    if found is not None:
        word, argument = found[1].lower(), (found[2] or "").strip()
        return Command(_WORDS.get(word, CommandName.UNKNOWN), argument)
    if asks_for_human(text, human_words):
        return Command(CommandName.HUMAN)
    bare = _bare(text)
    # Whoever was told to write a code does not know how this channel wants its commands.
    is_code = bare is not None and bare.name is CommandName.LINK and looks_like_code(bare.argument)
    return bare if is_bare or is_code else None


def parse_digit(text: str) -> int | None:
    """Return the number of a choice or a source that ``text`` names alone, 1 to 9."""
    found = _DIGIT.fullmatch(text.strip())
    return None if found is None else int(found[1])


def parse_span(text: str) -> timedelta | None:
    """Return how long a pause is: ``12h``, ``3d``, ``2w``, a bare number in days; at most a year.

    None when it cannot be told, or is nothing.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        return None
    hours = _HOURS.get((found[2] or "d")[0].lower())
    span = timedelta(hours=int(found[1]) * (hours or 0))
    return min(span, _LONGEST_PAUSE) if span else None


def _bare(text: str) -> Command | None:
    found = _BARE.fullmatch(text.rstrip(".!"))
    if found is None:
        return None
    word, argument = found[1].lower(), (found[2] or "").strip()
    if (word, argument.lower()) == ("my", "data"):
        return Command(CommandName.MYDATA)
    name = _WORDS.get(word)
    if name is None or (argument and not _fits(name, argument)):
        return None
    return Command(name, argument)


def _fits(name: CommandName, argument: str) -> bool:
    """Whether what stands behind a bare command belongs to it, so that it is no sentence."""
    match name:
        case CommandName.LINK | CommandName.START:
            return looks_like_code(argument)
        case CommandName.PAUSE:
            return parse_span(argument) is not None
        case CommandName.SOURCE:
            return parse_digit(argument) is not None
        case CommandName.SHARE:
            return argument.lower() in ("all", "memory", "separate")
        case CommandName.FORGET:
            return argument.lower() in ("yes", "no")
        case _:
            return False
