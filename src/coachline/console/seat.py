"""Who sits at the console: one signed-in browser, its tenant, and what it may do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from coachline.foundation.ids import SessionId, TenantId
from coachline.foundation.principal import ADMIN_SCOPE
from coachline.tenancy import Role


@dataclass(frozen=True, slots=True)
class Seat:
    """A signed-in browser.

    Attributes:
        tenant_id: whose console it is; everything a page reads or does is this tenant's.
        session_id: of the session in the database.
        actor: who it is in the audit log: ``staff:<id>``, ``key:<id>`` or ``cli``.
        name: who it is for people.
        role: what the name on the page says; :meth:`may` decides.
        scopes: what it may do, as of an API key.
        csrf: what each form and script of this session has to send.
        organisation: how the tenant is called.
        time_zone: in which times are shown.
    """

    tenant_id: TenantId
    session_id: SessionId
    actor: str
    name: str
    role: Role
    scopes: frozenset[str]
    csrf: str = field(repr=False)
    organisation: str
    time_zone: ZoneInfo

    def may(self, scope: str) -> bool:
        """Tell whether this seat has ``scope``; an owner has them all."""
        return scope in self.scopes or ADMIN_SCOPE in self.scopes


def role_of(scopes: Collection[str]) -> Role | None:
    """The role that fits scopes best; None when they do not even allow to read."""
    if ADMIN_SCOPE in scopes:
        return "owner"
    if "read" not in scopes:
        return None
    return "coach" if "coach" in scopes else "viewer"
