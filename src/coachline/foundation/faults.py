"""Named places on a message's path where the fault suite ends or freezes a process.

A place is an audit event of the interpreter. Nothing listens to it in a gateway, and no setting
makes anything listen: only the suite's own program does, which adds its hook before it starts one.
"""

from __future__ import annotations

import sys
from typing import Final, Literal, TypeAlias

EVENT: Final = "coachline.fault"
"""The audit event; its one argument is the point."""

Point: TypeAlias = Literal[
    "poll:fetched",
    "poll:stored",
    "intake:verified",
    "intake:storing",
    "intake:stored",
    "conversation:claiming",
    "conversation:claimed",
    "turn:beginning",
    "turn:begun",
    "draft:shown",
    "draft:kept",
    "turn:answered",
    "turn:saving",
    "turn:saved",
    "reply:marking",
    "reply:marked",
    "reply:reserved",
    "reply:kept",
    "reply:accepted",
    "reply:found",
    "reply:recording",
    "reply:recorded",
    "conversation:releasing",
    "conversation:released",
]
"""Every point, in the order of the path.

Those in "-ing" stand in a transaction just before its commit; their pairs just behind it. A draft
is shown, a message reserved, a reply accepted or found by the platform, and nothing is stored of it
yet.
"""


def hit(point: Point) -> None:
    """Pass ``point``: about 40 ns, and nothing more, unless a hook of the fault suite listens."""
    sys.audit(EVENT, point)
