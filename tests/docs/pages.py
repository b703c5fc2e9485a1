"""Reading the documentation as text: pages, their headings, links and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_CODE = re.compile(r"(?:```|~~~)[a-z]*\n(.*?)(?:```|~~~)|`([^`\n]+)`", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A Markdown file by its path below the root."""

    path: str
    text: str

    @property
    def links(self) -> tuple[str, ...]:
        """Targets of links and pictures, those inside code left out."""
        prose = re.sub(r"`[^`\n]+`", "", _FENCE.sub("", self.text))
        return tuple(_LINK.findall(prose))

    @property
    def anchors(self) -> frozenset[str]:
        """What may follow ``#`` in a link to this page, as GitHub and GitLab make it."""
        headings = _HEADING.findall(_FENCE.sub("", self.text))
        return frozenset(
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
        )

    @property
    def sections(self) -> tuple[str, ...]:
        """Headings of the second level."""
        return tuple(re.findall(r"^## +(.+?) *$", self.text, re.MULTILINE))

    @property
    def code(self) -> Iterator[str]:
        """Each line that stands in a code block or between backticks, continuations joined."""
        for block, span in _CODE.findall(self.text):
            for line in (block or span).replace("\\\n", " ").splitlines():
                yield line.strip()


def read_pages() -> tuple[Page, ...]:
    """Every Markdown file that users read; templates and installed packages left out."""
    places = ("*.md", "docs/**/*.md", "channels/*/*.md", "tests/lab/*.md")
    found = [path for place in places for path in ROOT.glob(place)]
    return tuple(
        Page(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(found)
    )
