"""What an endpoint is told of an event: its facts and, if the endpoint may have them, its words.

Words are read when they are sent, under row-level security, and are written down nowhere else. What
is erased by then is not told.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from coachline.foundation.database import TenantSession
from coachline.messaging import Texts
from coachline.monitoring.feed import FeedEvent, describe
from coachline.monitoring.repository import FeedRepository
from coachline.monitoring.tables import DeliveryRow

Redaction = Literal["none", "masked", "ids"]
"""Text as it is, with every character hidden but blanks and punctuation, or not at all."""

BODY_VERSION: Final = 1
"""Of the shape of a body. A field more is no new version; one less, or one that means something
else, is."""

TEST_TYPE: Final = "endpoint.test"
"""What somebody sends to see that an endpoint works; it is in no feed."""

_MASK: Final = "•"
# Blanks, control characters and punctuation; everything else could be part of what was meant.
_SHOWN: Final = ("Z", "P", "Cc")


class Bodies:
    """Makes the bodies of deliveries, in the caller's transaction."""

    def __init__(self) -> None:
        self._texts = Texts()
        self._feed = FeedRepository()

    async def make(
        self, session: TenantSession, delivery: DeliveryRow, redaction: str
    ) -> Mapping[str, Any] | None:
        """The body of a delivery as it would be sent now; None when its event is gone."""
        if delivery.event_id is None:
            data = {"id": str(delivery.id), "endpoint_id": str(delivery.endpoint_id)}
            return _body(TEST_TYPE, delivery.created_at, data)
        row = await self._feed.find(session, delivery.event_id)
        if row is None:
            return None
        event = describe(row)
        data = facts(event)
        if redaction != "ids" and (text := await self._find_text(session, event)) is not None:
            data["text"] = mask(text) if redaction == "masked" else text
        return _body(event.type, event.occurred_at, data)

    async def _find_text(self, session: TenantSession, event: FeedEvent) -> str | None:
        room = event.type.partition(".")[0]
        if room not in ("message", "reply"):
            return None
        if event.learner_id is not None and await self._feed.is_forgotten(
            session, event.learner_id
        ):
            return None
        if room == "message":
            return await self._texts.find_event(session, event.subject_id)
        return await self._texts.find_reply(session, event.subject_id)

    async def is_forgotten(self, session: TenantSession, learner_id: UUID | None) -> bool:
        """Whether nothing that was said to or by a learner may be kept any more."""
        return learner_id is not None and await self._feed.is_forgotten(session, learner_id)


def facts(event: FeedEvent) -> dict[str, Any]:
    """What is told of an event to everybody: ids, numbers, words of ours."""
    return {
        "id": str(event.id),
        "position": event.position,
        "conversation_id": _text(event.conversation_id),
        "learner_id": _text(event.learner_id),
        "connection_id": _text(event.connection_id),
        "subject_id": str(event.subject_id),
        **event.data,
    }


def mask(text: str) -> str:
    """``text`` with every character hidden but blanks and punctuation, so that its length shows."""
    return "".join(
        character if unicodedata.category(character).startswith(_SHOWN) else _MASK
        for character in text
    )


def encode(body: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and posted."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _body(kind: str, at: datetime, data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": kind, "version": BODY_VERSION, "timestamp": at.isoformat(), "data": data}


def _text(found: UUID | None) -> str | None:
    return None if found is None else str(found)
