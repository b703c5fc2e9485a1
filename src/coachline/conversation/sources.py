"""Showing a source of the last answer: its title, where it is, and a piece of it."""

from __future__ import annotations

from typing import Final

from channel_kit.rendering import render
from coachline.conversation.links import host_of
from coachline.conversation.rights_sentences import rights_in
from coachline.conversation.scene import Scene, notice
from coachline.knowledge import Retrieval
from coachline.messaging import DraftReply, References

_EXCERPT_CHARACTERS: Final = 400


class Sources:
    """Reads sources again when they are asked for: what was removed since is not shown."""

    def __init__(self, references: References, retrieval: Retrieval) -> None:
        self._references = references
        self._retrieval = retrieval

    async def show(self, scene: Scene, number: int | None, answer: str | None) -> DraftReply:
        """Answer ``/source N`` about the message ``answer``, or else about the newest answer."""
        lease = scene.turn.lease
        sources = await self._references.list_sources(
            lease.tenant_id, lease.conversation_id, answer=answer
        )
        found = next((one for one in sources if one.citation.number == number), None)
        if found is None:
            return notice(rights_in(scene.language).no_source)
        citation = found.citation
        lines = [f"[{citation.number}] **{_plain(citation.title)}**"]
        # Only an address that the operator gave the document is a link.
        lines.append(citation.source if host_of(citation.source) else _plain(citation.source))
        if found.passage_id is not None:
            passage = await self._retrieval.find_passage(lease.tenant_id, found.passage_id)
            if passage is not None:
                lines.append("> " + _excerpt(passage.text, scene.capabilities.answer_characters))
        return notice("\n\n".join(line for line in lines if line))


def _excerpt(text: str, limit: int | None) -> str:
    flat = _plain(" ".join(render(text).text.split()))
    most = min(_EXCERPT_CHARACTERS, limit or _EXCERPT_CHARACTERS)
    if len(flat) <= most:
        return flat
    return flat[:most].rsplit(" ", 1)[0] + " …"


def _plain(text: str) -> str:
    # Shown as CommonMark: what a document holds must not become a link, an image or a heading.
    return "".join(f"\\{c}" if c in "\\`*_[]<>#!|~" else c for c in text)
