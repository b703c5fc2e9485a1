"""One attempt to bring a reply to its platform, and by which way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from channel_kit import Channel, Choice, Citation, Filling, Placeholder, Reconciling, Reply
from coachline.foundation.ids import LearnerId, ReplyId
from coachline.messaging.tables import ConversationRow, ReplyRow
from coachline.messaging.turns import Lane


class Way(Enum):
    """How the platform is called next."""

    SEND = auto()
    FILL = auto()
    FIND = auto()


@dataclass(slots=True)
class Attempt:
    """A reply marked ``sending``. ``number`` fences everything that becomes of it.

    ``handle`` is the message that it is written into, as the outbox has it. ``since`` is when the
    last call that may have been accepted began.
    """

    id: ReplyId
    number: int
    failures: int
    reply: Reply
    way: Way
    lane: Lane
    learner_id: LearnerId
    since: datetime
    handle: str | None


def choose_way(channel: Channel, handle: str | None, *, is_doubtful: bool) -> Way | None:
    """The next call for a reply; None when its doubt can never be cleared up.

    What may have been accepted is never blindly sent again. It is written where it is or will be
    seen once, sent under an id that the platform shows once, or asked about.
    """
    if isinstance(channel, Placeholder) or (isinstance(channel, Filling) and handle is not None):
        return Way.FILL
    if not is_doubtful or channel.capabilities.idempotent_send:
        return Way.SEND
    return Way.FIND if isinstance(channel, Reconciling) else None


def make_attempt(
    row: ConversationRow, head: ReplyRow, number: int, way: Way, *, since: datetime, now: datetime
) -> Attempt:
    """The attempt ``number`` at the reply ``head``, begun ``now`` by the database's clock."""
    reply = Reply(
        id=str(head.id),
        thread=row.thread,
        text=head.text,
        in_reply_to=tuple(head.in_reply_to),
        citations=tuple(Citation.model_validate(item) for item in head.citations),
        choices=tuple(Choice.model_validate(item) for item in head.choices),
        hint=head.hint,
        part=head.part,
        parts=head.parts,
        attempt=number,
        at=now,
    )
    return Attempt(
        id=ReplyId(head.id),
        number=number,
        failures=head.failures,
        reply=reply,
        way=way,
        lane="broadcast" if head.lane == "broadcast" else "conversation",
        learner_id=LearnerId(row.learner_id),
        since=since,
        handle=head.handle,
    )
