"""The feed, who is told of it, every delivery to them, and what it adds up to."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, FetchedValue, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from coachline.foundation.database import Base, TenantOwned

_Json = JSONB()


class FeedRow(TenantOwned, Base):
    """Something that happened, written by a trigger of the table in which it did.

    ``written`` is the order of writing, ``position`` the order of reading, null until it is given.
    ``data`` holds ids, numbers and words of ours.
    """

    __tablename__ = "feed_event"

    written: Mapped[int] = mapped_column(BigInteger, server_default=FetchedValue())
    position: Mapped[int | None] = mapped_column(BigInteger)
    type: Mapped[str]
    conversation_id: Mapped[UUID | None]
    learner_id: Mapped[UUID | None]
    connection_id: Mapped[UUID | None]
    subject_id: Mapped[UUID]
    data: Mapped[dict[str, Any]] = mapped_column(_Json, server_default="{}")
    occurred_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class FeedHeadRow(TenantOwned, Base):
    """The last position that was given; its lock makes one writer of positions at a time."""

    __tablename__ = "feed_head"

    position: Mapped[int] = mapped_column(BigInteger, server_default="0")


class EndpointRow(TenantOwned, Base):
    """An address that is told what happens. Its secrets open only for this row.

    ``types`` and ``learner_id`` narrow what is told; ``reason`` is why it is disabled, and
    ``failing_since`` when the first attempt failed of which none succeeded since.
    """

    __tablename__ = "endpoint"

    url: Mapped[str]
    types: Mapped[list[str]] = mapped_column(_Json, server_default="[]")
    learner_id: Mapped[UUID | None]
    redaction: Mapped[str] = mapped_column(server_default="none")
    sealed_secret: Mapped[bytes]
    sealed_previous: Mapped[bytes | None]
    previous_until: Mapped[datetime | None]
    public_key: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="active")
    reason: Mapped[str | None]
    failing_since: Mapped[datetime | None]


class DeliveryRow(TenantOwned, Base):
    """An event on its way to an endpoint; a test has none.

    Of one ``lane`` one is sent after the other, by ``position``. ``attempts`` is the fence of an
    outcome, ``tries`` those since it was planned or asked for again. While ``claimed_until`` lies
    ahead somebody makes an attempt.
    """

    __tablename__ = "delivery"

    endpoint_id: Mapped[UUID]
    event_id: Mapped[UUID | None]
    learner_id: Mapped[UUID | None]
    type: Mapped[str]
    position: Mapped[int] = mapped_column(BigInteger)
    lane: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    tries: Mapped[int] = mapped_column(server_default="0")
    next_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class AttemptRow(TenantOwned, Base):
    """One attempt: what the endpoint answered, or why it did not."""

    __tablename__ = "delivery_attempt"

    delivery_id: Mapped[UUID]
    number: Mapped[int]
    at: Mapped[datetime]
    status: Mapped[int | None]
    latency_ms: Mapped[int]
    answer: Mapped[str] = mapped_column(server_default="")
    problem: Mapped[str | None]


class UsageDayRow(TenantOwned, Base):
    """What happened on one connection on one day of the tenant; see :class:`Figures`."""

    __tablename__ = "usage_day"

    day: Mapped[date]
    connection_id: Mapped[UUID]
    messages: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bot_replies: Mapped[int] = mapped_column(BigInteger, server_default="0")
    coach_replies: Mapped[int] = mapped_column(BigInteger, server_default="0")
    notices: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bot_answers: Mapped[int] = mapped_column(BigInteger, server_default="0")
    coach_answers: Mapped[int] = mapped_column(BigInteger, server_default="0")
    failed_replies: Mapped[int] = mapped_column(BigInteger, server_default="0")
    failed_turns: Mapped[int] = mapped_column(BigInteger, server_default="0")
    opt_outs: Mapped[int] = mapped_column(BigInteger, server_default="0")
    first_answers: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    model_times: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")


class ConversationDayRow(TenantOwned, Base):
    """A conversation in which a learner wrote on a day: who is active is counted from these."""

    __tablename__ = "conversation_day"

    day: Mapped[date]
    connection_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    learner_id: Mapped[UUID]
