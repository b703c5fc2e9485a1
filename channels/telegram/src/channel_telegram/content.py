"""What a message holds: words, files, something we cannot read, or nothing that anybody said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from aiogram.enums import ContentType
from aiogram.types import Message, MessageEntity

from channel_kit import Attachment
from channel_kit.text import clean

# Said by somebody, but nothing that can be read here. UNKNOWN is what came after this version of
# aiogram. All that is named nowhere is Telegram's own note: joined, pinned, migrated, …
_UNREADABLE: Final = frozenset(
    {
        ContentType.CHECKLIST,
        ContentType.CONTACT,
        ContentType.DICE,
        ContentType.GAME,
        ContentType.GIFT,
        ContentType.GIVEAWAY,
        ContentType.INVOICE,
        ContentType.LIVE_PHOTO,
        ContentType.LOCATION,
        ContentType.PAID_MEDIA,
        ContentType.POLL,
        ContentType.RICH_MESSAGE,
        ContentType.STICKER,
        ContentType.STORY,
        ContentType.UNIQUE_GIFT,
        ContentType.UNKNOWN,
        ContentType.VENUE,
    }
)


class _File(Protocol):
    @property
    def file_id(self) -> str: ...
    @property
    def file_size(self) -> int | None: ...


def is_unreadable(message: Message) -> bool:
    """Whether somebody said something that is neither words nor a file."""
    return message.content_type in _UNREADABLE


def words(message: Message) -> tuple[str, Sequence[MessageEntity]]:
    """Return the text of a message, or the caption of its file, with the entities in it."""
    if message.text is not None:
        return message.text, message.entities or ()
    return message.caption or "", message.caption_entities or ()


def attachments(message: Message) -> tuple[Attachment, ...]:
    """Return the file of a message: Telegram sends one a message, an album as several."""
    if message.photo:
        # Every size of the same picture; the largest is worth looking at.
        return (_attachment("photo", max(message.photo, key=lambda size: size.width)),)
    # An animation is also given as a document, for old bots.
    files: tuple[tuple[str, _File | None], ...] = (
        ("video", message.animation),
        ("video", message.video),
        ("video", message.video_note),
        ("audio", message.voice),
        ("audio", message.audio),
        ("document", message.document),
    )
    for kind, file in files:
        if file is not None:
            return (_attachment(kind, file),)
    return ()


def _attachment(kind: str, file: _File) -> Attachment:
    name, mime_type = getattr(file, "file_name", None), getattr(file, "mime_type", None)
    return Attachment(
        kind=kind,
        reference=file.file_id,
        name=clean(name) if name else None,
        mime_type=clean(mime_type) if mime_type else None,
        size_bytes=file.file_size,
    )
