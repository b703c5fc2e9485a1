"""The mark on every reply that lets us find it again, and that nobody else can make."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

EVENT_TYPE: Final = "coachline_reply"
"""What the metadata of our replies is called."""


class Marker:
    """Marks messages with a reply's id and proves the mark.

    Any app in the workspace may post metadata. Only who knows the signing secret can make the
    proof, so that nobody can make a reply look sent that was not.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def metadata(self, reply_id: str, part: int) -> dict[str, Any]:
        """Return the ``metadata`` of a message that carries a reply."""
        payload = {"id": reply_id, "part": part, "mac": _proof(self._keys[0], reply_id)}
        return {"event_type": EVENT_TYPE, "event_payload": payload}

    def marks(self, message: Mapping[str, Any], reply_id: str) -> bool:
        """Tell whether a message of Slack's carries this reply."""
        metadata = message.get("metadata")
        if not isinstance(metadata, Mapping) or metadata.get("event_type") != EVENT_TYPE:
            return False
        payload = metadata.get("event_payload")
        if not isinstance(payload, Mapping) or payload.get("id") != reply_id:
            return False
        given = str(payload.get("mac")).encode()
        return any(hmac.compare_digest(_proof(key, reply_id).encode(), given) for key in self._keys)


def _proof(key: bytes, reply_id: str) -> str:
    # Named, so that no signature of a request can ever be taken for one of these.
    content = b"coachline reply " + reply_id.encode()
    return hmac.new(key, content, hashlib.sha256).hexdigest()
