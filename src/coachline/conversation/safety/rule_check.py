"""The check that needs no model: rules in six languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from coachline.conversation.safety.folding import spelled_out, variants
from coachline.conversation.safety.judging import USUAL, Direction, Judgement
from coachline.conversation.safety.rule_files import LanguageRules, Rule, read_rules
from coachline.conversation.sentences import primary

LONGEST: Final = 8_000
"""Characters of a text that are judged: of a longer one its beginning and its end."""

_TURNED_ROUND: Final = 0.6
_MASK: Final = " | "
_BEFORE: Final = 80
_CLEAREST: Final = 0.95
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
SECRET: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:cl_[\w-]{20,}|whsec_[\w+/=-]{16,}|sk-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}"
    r"|xapp-[\w-]{10,}|gh[oprsu]_\w{20,}|AKIA[A-Z0-9]{16}|\d{8,10}:[\w-]{35}"
    r"|(?:postgres(?:ql)?|rediss?|mysql)://[^\s:/@]*:[^\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY)"
)
"""What keys, tokens and addresses with a password look like; ours first."""


class RuleCheck:
    """Judges by the rules of all languages.

    The learner's own language counts in full. Of the others only what would be a crisis counts in
    what a learner writes, for a language tag is often but a default; of an answer all counts.
    """

    async def judge(self, text: str, *, language: str, direction: Direction) -> Judgement:
        """What ``text`` may be dangerous for, by the rules."""
        return self.weigh(text, language=language, direction=direction)

    def weigh(self, text: str, *, language: str, direction: Direction) -> Judgement:
        """The same without waiting: rules read nothing but the text."""
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"
        found: dict[str, float] = {}
        for reading in variants(text):
            for name, score in _find(reading, primary(language), direction):
                found[name] = max(found.get(name, 0.0), score)
        if direction == "incoming" and _is_spelled_out(text):
            found["suicide"] = _CLEAREST
        if direction == "outgoing" and SECRET.search(_INVISIBLE.sub("", text)):
            found["secret"] = _CLEAREST
        ranked = sorted(found, key=lambda name: -found[name])
        score = max(found.values(), default=0.0)
        return Judgement(round(score, 3), tuple(ranked), USUAL.kind_of(score))


def _is_spelled_out(text: str) -> bool:
    letters = spelled_out(text)
    return bool(letters) and any(
        word in letters for rules in read_rules().values() for word in rules.run_together
    )


def _find(text: str, language: str, direction: Direction) -> Iterator[tuple[str, float]]:
    languages = read_rules()
    for rules in languages.values():
        text = rules.idioms.sub(_MASK, text)
    is_known = language in languages
    for name, rules in languages.items():
        is_whole = name == language or not is_known or direction == "outgoing"
        for rule in rules.rules:
            if rule.direction == direction and (is_whole or rule.score >= USUAL.crisis):
                score = _strongest(text, rule, rules)
                if score > 0.0:
                    yield rule.name, score


def _strongest(text: str, rule: Rule, rules: LanguageRules) -> float:
    return max((_score(found, rule, rules) for found in rule.pattern.finditer(text)), default=0.0)


def _score(found: re.Match[str], rule: Rule, rules: LanguageRules) -> float:
    text, begin = found.string, found.start() + 1
    before = text[max(0, begin - _BEFORE) : begin]
    is_negated = rule.turns and rules.negated.search(before)
    if rule.direction == "outgoing":
        return 0.0 if is_negated or rules.conditional.search(before) else rule.score
    sentence = before.rpartition(".")[2] + text[begin : begin + _BEFORE].partition(" . ")[0]
    if is_negated or rules.fiction.search(f" {sentence} "):
        return rule.score * _TURNED_ROUND
    return rule.score
