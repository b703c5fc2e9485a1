"""How much of an answer may be shown while it is being written."""

from __future__ import annotations

import re
from typing import Final

from coachline.conversation.safety.folding import fold
from coachline.conversation.safety.rule_check import RuleCheck
from coachline.conversation.safety.rule_files import read_rules

_SENTENCE: Final = re.compile(r"[^.!?…。！？\n]*[.!?…。！？\n]+[\"'”’)\]*_]*(?=\s)\s*")
_SECRET_BEGIN: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:cl_|whsec_|sk-|xox|xapp-|gh[oprsu]_|AKIA|\d{8,10}:|postgres|redis|mysql"
    r"|-----B)|\S{32}"
)


class DraftGuard:
    """Lets through what the rules have read, sentence by sentence. One for each answer.

    A sentence is judged once, when it is whole, and is shown before that only if nothing unsafe
    begins in it, so that the words in front of the one that gives it away are not shown either.
    Once something was unsafe, nothing more is shown.
    """

    def __init__(self, rules: RuleCheck, language: str) -> None:
        self._rules = rules
        self._language = language
        self._passed = ""
        self._is_shut = False

    def showable(self, draft: str) -> str:
        """Return as much of ``draft``, the whole answer so far, as may be shown; may be empty."""
        if not draft.startswith(self._passed):
            self._passed = ""  # another model began anew
        while not self._is_shut and (found := _SENTENCE.match(draft, len(self._passed))):
            self._is_shut = self._is_unsafe(found[0])
            if not self._is_shut:
                self._passed += found[0]
        if self._is_shut:
            return ""
        rest = draft[len(self._passed) :]
        return self._passed if _may_begin(rest) or self._is_unsafe(rest) else draft

    def _is_unsafe(self, text: str) -> bool:
        judged = self._rules.weigh(text, language=self._language, direction="outgoing")
        return judged.kind != "none"


def _may_begin(text: str) -> bool:
    folded = fold(text)
    return bool(_SECRET_BEGIN.search(text)) or any(
        rules.openers.search(folded) for rules in read_rules().values()
    )
