"""What a tenant is and how it wants to be: the data that the services of the room pass around."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

from coachline.foundation.ids import TenantId

TenantStatus = Literal["active", "suspended"]


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
    """How a tenant's bot speaks and what it may use. None means: the server's default."""

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
