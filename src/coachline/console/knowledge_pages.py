"""What the pages of knowledge do with files and texts that somebody brings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from coachline.foundation.errors import CoachlineError, InvalidInput, UnsupportedMedia
from coachline.foundation.ids import TenantId
from coachline.knowledge import MAX_DOCUMENT_BYTES, MEDIA_TYPES, Documents, MediaType, read_bytes

SUFFIXES: Final = tuple(MEDIA_TYPES)
_AROUND_A_FILE: Final = 4_096
_MOST_FILES: Final = 20


@dataclass(frozen=True, slots=True)
class Brought:
    """A file as a browser sends it: its name is whatever its sender wants."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """A text that was typed into the form, and under which name it shall be known."""

    source: str = ""
    text: str = ""


class Shelf:
    """Puts what somebody brings among the tenant's documents."""

    def __init__(self, documents: Documents, *, max_body_bytes: int) -> None:
        self._documents = documents
        self.most_bytes = min(MAX_DOCUMENT_BYTES, max_body_bytes - _AROUND_A_FILE)
        """The largest file that arrives here."""

    async def add_files(self, tenant_id: TenantId, files: list[Brought], *, actor: str) -> str:
        """Save files; what there is to tell of it. Those before one that fails are saved.

        Raises:
            InvalidInput: there is none, or too many, or one without a name or words.
            UnsupportedMedia: one is no text, or has another suffix than texts have.
            TooLarge: one is too long.
        """
        if not files:
            raise InvalidInput("Choose a file first.")
        if len(files) > _MOST_FILES:
            raise InvalidInput(f"At most {_MOST_FILES} files at once.")
        for file in files:
            name = _own_name(file.name)
            try:
                await self._save(tenant_id, name, read_bytes(file.data), _type_of(name), actor)
            except CoachlineError as error:
                raise type(error)(f"{_shown(name)}: {error.message}") from None
        what = _shown(_own_name(files[0].name)) if len(files) == 1 else f"{len(files)} files"
        return f"{what}: taken. It answers questions as soon as it is ready."

    async def add_text(self, tenant_id: TenantId, written: Written, *, actor: str) -> str:
        """Save a text that was typed; what there is to tell of it.

        Raises:
            InvalidInput: the name is none, or the text has no words.
            UnsupportedMedia: it holds what no text holds.
            TooLarge: it is too long.
        """
        await self._save(tenant_id, written.source, written.text, "text/markdown", actor)
        return (
            f"{_shown(written.source.strip())}: taken. It answers questions as soon as it is ready."
        )

    async def _save(
        self, tenant_id: TenantId, source: str, text: str, media_type: MediaType, actor: str
    ) -> None:
        await self._documents.save(
            tenant_id, source=source, text=text, media_type=media_type, actor=actor
        )


def _own_name(name: str) -> str:
    """The last part of a path: some programs send where the file lay."""
    return re.split(r"[/\\]", name)[-1].strip()


def _type_of(name: str) -> MediaType:
    dot, suffix = name.rpartition(".")[1:]
    found = MEDIA_TYPES.get(f"{dot}{suffix}".lower())
    if found is None:
        raise UnsupportedMedia(f"Give Markdown or plain text: a file named {', '.join(SUFFIXES)}.")
    return found


def _shown(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:80] or "The file"
