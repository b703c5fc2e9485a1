"""From what a model wrote to what a learner reads. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from channel_kit import Citation
from channel_kit.text import clean
from coachline.conversation.coach_marks import without_marks
from coachline.conversation.links import host_of, only_listed
from coachline.knowledge import Passage
from coachline.messaging import DraftReply

_MOST_UNMARKED: Final = 2
_THINKING: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_TEMPLATE: Final = re.compile(
    r"<\|[^<>|\n]{0,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
)
_ROLE: Final = re.compile(
    r"\A(?:\*\*)?(?:assistant|coach|bot|ai|model|answer)(?:\*\*)?\s*:\s*(?:\*\*)?", re.IGNORECASE
)
_MARKER: Final = re.compile(r"[ \t]?\[(\d{1,4}(?:\s?,\s?\d{1,4})*)\](?![(\[:])")
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_SENTENCE_END: Final = re.compile(r"[.!?…。！？][\"'”’)\]*_]*(?=\s|$)|[。！？]")


@dataclass(frozen=True, slots=True)
class Wording:
    """How one answer is worded.

    Args:
        speaker: the name under which the tenant's coach writes, taken off the beginning.
        passages: what the model was given; number ``n`` of the prompt is ``passages[n - 1]``.
        good_score: the least score at which a passage is cited though no marker names it.
        allowed_hosts: the tenant's own list of hosts that an answer may link to.
    """

    speaker: str
    passages: Sequence[Passage]
    good_score: float
    allowed_hosts: frozenset[str] = frozenset()

    def text(self, written: str) -> str:
        """Return ``written``, complete or not, fit to be shown; may be empty."""
        text = _TEMPLATE.sub("", _THINKING.sub("", clean(written)))
        text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")
        text = without_marks(self._without_role(text.strip()))
        text = only_listed(text, self._hosts())
        text = _MARKER.sub(self._known_marker, text)
        return _BLANK_LINES.sub("\n\n", text).strip()

    def reply(self, written: str) -> DraftReply | None:
        """Return the reply, with the passages it stands on, or None when nothing is left to say."""
        text = self.text(written)
        return DraftReply(text, self._citations(text)) if text else None

    def _hosts(self) -> frozenset[str]:
        # Only where the operator says a document comes from: its text may be anybody's.
        sources = (host_of(passage.source) for passage in self.passages)
        return self.allowed_hosts | {host for host in sources if host is not None}

    def _without_role(self, text: str) -> str:
        named = re.compile(rf"\A(?:\*\*)?{re.escape(self.speaker)}(?:\*\*)?\s*:\s*(?:\*\*)?")
        return named.sub("", _ROLE.sub("", text)) if self.speaker else _ROLE.sub("", text)

    def _known_marker(self, found: re.Match[str]) -> str:
        known = [n for n in _numbers(found) if 1 <= n <= len(self.passages)]
        space = found[0][: found[0].index("[")]
        return space + "".join(f"[{n}]" for n in known) if known else ""

    def _citations(self, text: str) -> tuple[Citation, ...]:
        marked = sorted({n for found in _MARKER.finditer(text) for n in _numbers(found)})
        numbers = (
            marked
            or [n for n, p in enumerate(self.passages, 1) if p.score >= self.good_score][
                :_MOST_UNMARKED
            ]
        )
        return tuple(
            Citation(number=n, title=self.passages[n - 1].title, source=self.passages[n - 1].source)
            for n in numbers
        )


def whole_sentences(written: str) -> str:
    """An answer that ran into its limit, without the sentence that it broke off.

    Where the whole second half is one sentence, it stays and ends in an ellipsis.
    """
    ends = [found.end() for found in _SENTENCE_END.finditer(written)]
    if ends and ends[-1] >= len(written.rstrip()) / 2:
        return written[: ends[-1]].rstrip()
    return written.rstrip() + "…"


def _numbers(found: re.Match[str]) -> list[int]:
    return [int(number) for number in found[1].split(",")]
