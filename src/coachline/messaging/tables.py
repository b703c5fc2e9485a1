"""The truth of messaging: connections, conversations, events, turns, replies."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from coachline.foundation.database import Base, TenantOwned, Timestamped

ConnectionState = Literal["active", "disabled"]
ConversationState = Literal["idle", "waiting", "rung", "running"]
ConnectionHealth = Literal["unknown", "hearing", "deaf", "lost"]
EventState = Literal["new", "answered", "recorded", "refused", "parked", "commanded"]
TurnState = Literal["running", "saved", "failed", "abandoned"]
ReplyState = Literal[
    "pending", "sending", "sent", "unknown", "dead", "held", "suppressed", "dropped", "proposed"
]
Attention = Literal["none", "waiting", "flagged"]
AnswerMode = Literal["bot", "draft"]
OnExpiry = Literal["send", "drop"]
ProposalReason = Literal["draft_mode", "safety"]
TakeoverEnd = Literal["handed_back", "lapsed", "forced"]

_Json = JSONB()


class ConnectionRow(TenantOwned, Base):
    """One tenant's account on a platform; ``sealed_config`` opens only for this row.

    ``title`` and ``write_to`` are what the platform calls it. ``health`` is of connections that
    fetch their events themselves: ``deaf`` hears nothing though the platform could be heard.
    """

    __tablename__ = "connection"

    channel: Mapped[str]
    name: Mapped[str]
    sealed_config: Mapped[bytes]
    state: Mapped[str] = mapped_column(server_default="active")
    problem: Mapped[str | None]
    title: Mapped[str | None]
    write_to: Mapped[str | None]
    health: Mapped[str] = mapped_column(server_default="unknown")
    heard_at: Mapped[datetime | None]
    install_hash: Mapped[bytes | None]
    install_until: Mapped[datetime | None]


class ConnectionRoute(Timestamped, Base):
    """Tenant-free: which tenant a connection's address or account belongs to, and who polls it."""

    __tablename__ = "connection_route"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    channel: Mapped[str | None]
    account: Mapped[str | None]
    polls: Mapped[bool] = mapped_column(server_default="false")
    holder: Mapped[UUID | None]
    held_until: Mapped[datetime | None]


class ConversationRow(TenantOwned, Base):
    """One learner in one thread of one connection, and the lock of everything done there.

    ``epoch`` is the fencing token, one higher with every claim. ``bell`` names the reminder that
    may claim it. ``failures`` counts turns in a row that did not get saved. ``is_private`` says
    that nobody else reads along.

    ``takeover_id`` is the fence of the coach who has it, ``is_bot_held`` that no model answers
    without one. ``mode`` None is the tenant's. Up to ``read_seq`` a coach has read it; ``said_at``
    is when a place was last taken in it, kept by the database.
    """

    __tablename__ = "conversation"

    connection_id: Mapped[UUID]
    identity_id: Mapped[UUID]
    learner_id: Mapped[UUID]
    thread: Mapped[str]
    is_private: Mapped[bool] = mapped_column(server_default="true")
    state: Mapped[str] = mapped_column(server_default="idle")
    epoch: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bell: Mapped[UUID | None]
    due_at: Mapped[datetime | None]
    burst_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default="0")
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    takeover_id: Mapped[UUID | None]
    attention: Mapped[str] = mapped_column(server_default="none")
    attention_at: Mapped[datetime | None]
    is_bot_held: Mapped[bool] = mapped_column(server_default="false")
    mode: Mapped[str | None]
    read_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    said_at: Mapped[datetime | None]


class EventRow(TenantOwned, Base):
    """An inbound event. ``seq`` is its place in the conversation, shared with replies."""

    __tablename__ = "inbox_event"

    connection_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    external_id: Mapped[str]
    kind: Mapped[str]
    text: Mapped[str]
    reply_to: Mapped[str | None]
    consent: Mapped[str | None]
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(_Json, server_default="[]")
    raw: Mapped[dict[str, Any]] = mapped_column(_Json, server_default="{}")
    occurred_at: Mapped[datetime]
    seq: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default="new")
    attempts: Mapped[int] = mapped_column(server_default="0")
    turn_id: Mapped[UUID | None]
    settled_at: Mapped[datetime | None]


class TurnRow(TenantOwned, Base):
    """One try to answer a burst. ``trace`` tells how, in ids and numbers, never in text."""

    __tablename__ = "turn"

    conversation_id: Mapped[UUID]
    epoch: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    outcome: Mapped[str | None]
    model: Mapped[str | None]
    prompt_version: Mapped[str | None]
    handle: Mapped[str | None]
    trace: Mapped[dict[str, Any]] = mapped_column(_Json, server_default="{}")
    problem: Mapped[str | None]
    finished_at: Mapped[datetime | None]


class ReplyRow(TenantOwned, Base):
    """One part of an answer, or, without a turn, something that nobody asked for.

    ``attempts`` is the fence of its outcome. ``handle`` is the message that it is written into.
    ``is_notice`` says that the gateway says it, not the coach. ``report`` is the last that the
    platform told about it after taking it. ``author`` is whose words they are, ``actor`` the person
    who wrote or approved them.
    """

    __tablename__ = "outbox_reply"

    conversation_id: Mapped[UUID]
    turn_id: Mapped[UUID | None]
    part: Mapped[int]
    parts: Mapped[int]
    seq: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str]
    citations: Mapped[list[dict[str, Any]]] = mapped_column(_Json, server_default="[]")
    in_reply_to: Mapped[list[str]] = mapped_column(_Json, server_default="[]")
    choices: Mapped[list[dict[str, Any]]] = mapped_column(_Json, server_default="[]")
    hint: Mapped[str] = mapped_column(server_default="")
    is_notice: Mapped[bool] = mapped_column(server_default="false")
    lane: Mapped[str] = mapped_column(server_default="conversation")
    handle: Mapped[str | None]
    report: Mapped[str | None]
    reported_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    failures: Mapped[int] = mapped_column(server_default="0")
    not_before: Mapped[datetime | None]
    sending_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    receipt: Mapped[dict[str, Any] | None] = mapped_column(_Json)
    problem: Mapped[str | None]
    author: Mapped[str] = mapped_column(server_default="bot")
    actor: Mapped[str | None]


class TakeoverRow(TenantOwned, Base):
    """A coach has a conversation until ``until``, or has had it. Its id is the fencing token."""

    __tablename__ = "takeover"

    conversation_id: Mapped[UUID]
    actor: Mapped[str]
    name: Mapped[str]
    taken_at: Mapped[datetime]
    until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ending: Mapped[str | None]
    note: Mapped[str] = mapped_column(server_default="")


class ProposalRow(TenantOwned, Base):
    """An answer that a coach has to approve. Its id is its turn's, whose replies are its text."""

    __tablename__ = "proposal"

    conversation_id: Mapped[UUID]
    reason: Mapped[str]
    decide_by: Mapped[datetime | None]
    on_expiry: Mapped[str]
    decision: Mapped[str | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]


class HumanRequestRow(TenantOwned, Base):
    """A learner asked for a human. Open until ``answered_at``; one at a time in a conversation.

    ``turn_id`` is the turn that heard it.
    """

    __tablename__ = "human_request"

    conversation_id: Mapped[UUID]
    turn_id: Mapped[UUID]
    asked_at: Mapped[datetime]
    escalate_at: Mapped[datetime]
    escalated_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
