"""What a tenant is and how it wants to be: the data that the services of the room pass around."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

from coachline.foundation.ids import TenantId

TenantStatus = Literal["active", "suspended"]
AnswerMode = Literal["bot", "draft"]
OnExpiry = Literal["send", "drop"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as the operator sees it."""

    id: TenantId
    name: str
    status: TenantStatus
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A tenant just made. ``api_key`` is its first admin key, shown this once."""

    tenant_id: TenantId
    name: str
    api_key: str


@dataclass(frozen=True, slots=True)
class TenantProfile:
    """How a tenant's bot speaks and what it may use. None means: the server's default.

    In the mode ``draft`` a coach approves each answer within ``proposal_seconds`` (None: takes the
    time they need), or it goes the way of ``on_proposal_expiry``. ``human_words`` are what a
    learner may write beside our own words to ask for a person.
    ``allowed_hosts`` are those that answers may link to, beside the hosts of cited sources.
    ``crisis_script`` is said at once to a learner in danger. ``safety_model`` judges beside the
    rules; the scores are from where on something is a concern, and a crisis.
    """

    tenant_id: TenantId
    display_name: str
    persona: str
    language: str
    time_zone: str
    chat_model: str | None
    fallback_models: tuple[str, ...]
    apology: str | None
    max_turns: int | None
    messages_per_day: int | None
    answer_mode: AnswerMode = "bot"
    proposal_seconds: int | None = 3600
    on_proposal_expiry: OnExpiry = "drop"
    human_words: tuple[str, ...] = ()
    escalate_after_seconds: int = 900
    allowed_hosts: tuple[str, ...] = ()
    crisis_script: str | None = None
    safety_model: str | None = None
    safety_concern_score: float | None = None
    safety_crisis_score: float | None = None


class ProfileChanges(TypedDict, total=False):
    """The fields to change; a missing one stays, None goes back to the server's default."""

    display_name: str
    persona: str
    language: str
    time_zone: str
    chat_model: str | None
    fallback_models: tuple[str, ...]
    apology: str | None
    max_turns: int | None
    messages_per_day: int | None
    answer_mode: AnswerMode
    proposal_seconds: int | None
    on_proposal_expiry: OnExpiry
    human_words: tuple[str, ...]
    escalate_after_seconds: int
    allowed_hosts: tuple[str, ...]
    crisis_script: str | None
    safety_model: str | None
    safety_concern_score: float | None
    safety_crisis_score: float | None
