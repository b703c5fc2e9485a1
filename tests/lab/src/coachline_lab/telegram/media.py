"""What a learner sends beside words."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

from coachline_lab.telegram.entities import CAPTION_UNITS, checked_text, typed_entities
from coachline_lab.telegram.learner import Words
from coachline_lab.telegram.stage import Said, Stage
from coachline_lab.telegram.world import Bot, Chat, Person

# A JPEG of one grey point: small enough to be written down, real enough to be opened.
DOT: Final = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300030202020202030202020303030304060404040404"
    "080606050609080a0a090809090a0c0f0c0a0b0e0b09090d110d0e0f101011100a0c12131210130f101010ffc900"
    "0b080001000101011100ffcc000600101005ffda0008010100003f00d2cf20ffd9"
)


class Media:
    """Photos, documents, voice, stickers, albums, places and polls."""

    def __init__(self, stage: Stage, words: Words) -> None:
        self._stage = stage
        self._words = words

    async def send_photo(
        self,
        data: bytes = DOT,
        *,
        caption: str = "",
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
        topic: int | None = None,
        album: str | None = None,
    ) -> Said:
        """Send a photo, in two sizes of which the last one is ``data``."""
        person, place = self._where(user, chat, bot)
        small = self._keep(place, data[: len(data) // 2] or data)
        large = self._keep(place, data)
        sizes = [
            {**small, "width": 90, "height": 90},
            {**large, "width": 1280, "height": 1280},
        ]
        content = {"photo": sizes, **_captioned(caption), **_in_album(album)}
        return self._words.post(person, place, content, topic=topic)

    async def send_document(
        self,
        data: bytes,
        *,
        name: str = "notes.pdf",
        mime_type: str = "application/pdf",
        caption: str = "",
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
        topic: int | None = None,
        album: str | None = None,
    ) -> Said:
        """Send a file."""
        person, place = self._where(user, chat, bot)
        kept = self._keep(place, data)
        document = {"file_name": name, "mime_type": mime_type, **kept}
        content = {"document": document, **_captioned(caption), **_in_album(album)}
        return self._words.post(person, place, content, topic=topic)

    async def send_voice(
        self,
        data: bytes = b"OggS" + bytes(64),
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
    ) -> Said:
        """Send a voice message of three seconds."""
        person, place = self._where(user, chat, bot)
        voice = {"duration": 3, "mime_type": "audio/ogg", **self._keep(place, data)}
        return self._words.post(person, place, {"voice": voice})

    async def send_sticker(
        self,
        emoji: str = "👍",
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
    ) -> Said:
        """Send a sticker."""
        person, place = self._where(user, chat, bot)
        sticker = {
            **self._keep(place, b"RIFF" + bytes(32)),
            "type": "regular",
            "width": 512,
            "height": 512,
            "is_animated": False,
            "is_video": False,
            "emoji": emoji,
            "set_name": "HotCherry",
        }
        return self._words.post(person, place, {"sticker": sticker})

    async def send_album(
        self,
        photos: Sequence[bytes] = (DOT, DOT),
        *,
        caption: str = "",
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
    ) -> list[Said]:
        """Send two to ten photos as one album: one message each, the caption on the first.

        Raises:
            ValueError: an album does not have so many.
        """
        if not 2 <= len(photos) <= 10:
            raise ValueError("an album has 2 to 10 photos")
        album = str(secrets.randbits(52))
        return [
            await self.send_photo(
                data, caption="" if number else caption, user=user, chat=chat, bot=bot, album=album
            )
            for number, data in enumerate(photos)
        ]

    async def send_location(
        self,
        latitude: float = 52.52,
        longitude: float = 13.405,
        *,
        user: Person | int | None = None,
        chat: Chat | int | None = None,
        bot: Bot | None = None,
    ) -> Said:
        """Send a place: content that a coach cannot read."""
        person, place = self._where(user, chat, bot)
        location = {"latitude": latitude, "longitude": longitude}
        return self._words.post(person, place, {"location": location})

    def _where(
        self, user: Person | int | None, chat: Chat | int | None, bot: Bot | None
    ) -> tuple[Person, Chat]:
        person = self._stage.person(user)
        return person, self._stage.chat(chat, person, bot)

    def _keep(self, chat: Chat, data: bytes) -> dict[str, Any]:
        """Store a file for every bot of the chat: ``file_id`` is good for that bot only.

        One payload goes to all bots of a group, so they share the id there.
        """
        unique = secrets.token_hex(8)
        file_id = f"AgACAgIAAxkBAAI{secrets.token_urlsafe(18).replace('-', '_')}-{unique}"
        for bot in chat.bots.values():
            bot.files[file_id] = data
        return {"file_id": file_id, "file_unique_id": unique, "file_size": len(data)}


def _captioned(caption: str) -> dict[str, Any]:
    if not caption:
        return {}
    shown, _ = checked_text(caption, None, most=CAPTION_UNITS)
    found = typed_entities(shown)
    return {"caption": shown, **({"caption_entities": found} if found else {})}


def _in_album(album: str | None) -> dict[str, Any]:
    return {"media_group_id": album} if album else {}
