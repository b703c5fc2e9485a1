"""The rules of each language, read from the files in ``rules/``.

A phrase is a regular expression over folded text (:mod:`.folding`) that begins and ends with whole
words; `` ... `` stands for at most four words of the same sentence.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from coachline.conversation.safety.judging import Direction

LANGUAGES: Final = ("en", "de", "fr", "es", "pt", "it")

_WORD: Final = r"\w{1,24}\x20"
_NEAR: Final = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of danger is said with, how sure that is, and what it is called.

    ``turns`` says that a negation before it turns it round; some are negations themselves.
    """

    name: str
    direction: Direction
    score: float
    turns: bool
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class LanguageRules:
    """All that is known of one language.

    Attributes:
        rules: the rules.
        run_together: the clearest words without spaces, for letters that were spelled out.
        idioms: what only sounds dangerous; taken out before any rule is looked at.
        negated: text before a match that turns it round.
        conditional: text before a match in an answer that only speaks of it.
        fiction: words of a sentence that tells a story.
        openers: words that something unsafe may begin with while an answer is being written.
    """

    rules: tuple[Rule, ...]
    run_together: tuple[str, ...]
    idioms: re.Pattern[str]
    negated: re.Pattern[str]
    conditional: re.Pattern[str]
    fiction: re.Pattern[str]
    openers: re.Pattern[str]


@cache
def read_rules() -> Mapping[str, LanguageRules]:
    """Return the rules of every language of :data:`LANGUAGES`; read once in a process."""
    folder = resources.files("coachline.conversation.safety") / "rules"
    files = {name: (folder / f"{name}.toml").read_text(encoding="utf-8") for name in LANGUAGES}
    return MappingProxyType({name: _parse(tomllib.loads(text)) for name, text in files.items()})


def _parse(data: Mapping[str, Any]) -> LanguageRules:
    # In an answer the words between must not turn it round: "you are not lazy".
    kept = rf"(?!(?:{'|'.join(data['negations'])})\x20)"
    rules = tuple(
        Rule(
            name=one["name"],
            direction=one["direction"],
            score=one["score"],
            turns=one.get("turns", True),
            pattern=_words(one["phrases"], kept if one["direction"] == "outgoing" else ""),
        )
        for one in data["rule"]
    )
    return LanguageRules(
        rules=rules,
        run_together=tuple(data["run_together"]),
        idioms=_words(data["idioms"]),
        negated=_before(data["negations"]),
        conditional=_before(data["conditions"]),
        fiction=_words(data["fiction"]),
        openers=_words(data["openers"]),
    )


def _words(phrases: Sequence[str], kept: str = "") -> re.Pattern[str]:
    # Beginning with a space, it is only tried where a word begins, which is several times faster.
    return re.compile(rf" (?:{'|'.join(_phrase(one, kept) for one in phrases)})(?= )")


def _before(phrases: Sequence[str]) -> re.Pattern[str]:
    any_of = "|".join(_phrase(phrase, "") for phrase in phrases)
    return re.compile(rf" (?:{any_of}) (?:{_WORD}){{0,{_NEAR}}}\Z")


def _phrase(phrase: str, kept: str) -> str:
    word = f"{kept}{_WORD}"
    return phrase.replace(r"\w+ ", word).replace(" ... ", rf"\x20(?:{word}){{0,4}}")
