"""Ids of connections as platforms and browsers write them into an address."""

from __future__ import annotations

from uuid import UUID

from coachline.foundation.ids import ConnectionId
from coachline.messaging.errors import ConnectionNotFound


def parse_id(text: str) -> ConnectionId:
    """Return the id in an address.

    Raises:
        ConnectionNotFound: there is none: the same as for an id of nothing.
    """
    try:
        return ConnectionId(UUID(text))
    except ValueError:
        raise ConnectionNotFound("There is no such connection.") from None
