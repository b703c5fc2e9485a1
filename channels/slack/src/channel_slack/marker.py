"""The marks on replies and drafts that let us find them again, and that nobody else can make."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

EVENT_TYPE: Final = "coachline_reply"
"""What the metadata of our replies is called."""

DRAFT_TYPE: Final = "coachline_draft"
"""What the metadata of a message is called that shows the beginning of an answer."""


class Marker:
    """Marks messages with the id of a reply, or of a draft, and proves the mark.

    Any app in the workspace may post metadata. Only who knows the signing secret can make the
    proof, so that nobody can make a reply look sent that was not.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def metadata(self, reply_id: str, part: int) -> dict[str, Any]:
        """Return the ``metadata`` of a message that carries a reply."""
        payload = {"id": reply_id, "part": part, "mac": _proof(self._keys[0], "reply", reply_id)}
        return {"event_type": EVENT_TYPE, "event_payload": payload}

    def draft_metadata(self, draft_id: str) -> dict[str, Any]:
        """Return the ``metadata`` of a message that shows a draft."""
        payload = {"id": draft_id, "mac": _proof(self._keys[0], "draft", draft_id)}
        return {"event_type": DRAFT_TYPE, "event_payload": payload}

    def marks(self, message: Mapping[str, Any], reply_id: str) -> bool:
        """Tell whether a message of Slack's carries this reply."""
        return self._bears(message, EVENT_TYPE, "reply", reply_id)

    def marks_draft(self, message: Mapping[str, Any], draft_id: str) -> bool:
        """Tell whether a message of Slack's shows this draft, and not yet the answer."""
        return self._bears(message, DRAFT_TYPE, "draft", draft_id)

    def _bears(self, message: Mapping[str, Any], kind: str, what: str, wanted: str) -> bool:
        metadata = message.get("metadata")
        if not isinstance(metadata, Mapping) or metadata.get("event_type") != kind:
            return False
        payload = metadata.get("event_payload")
        if not isinstance(payload, Mapping) or payload.get("id") != wanted:
            return False
        given = str(payload.get("mac")).encode()
        return any(
            hmac.compare_digest(_proof(key, what, wanted).encode(), given) for key in self._keys
        )


def _proof(key: bytes, what: str, marked: str) -> str:
    # Named, so that no signature of a request can ever be taken for one of these.
    content = f"coachline {what} {marked}".encode()
    return hmac.new(key, content, hashlib.sha256).hexdigest()
