"""Who is calling, apart from the web framework: a worker proves nobody and should not load it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coachline.foundation.ids import TenantId

ADMIN_SCOPE: Final = "admin"
"""The scope that includes every other one."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: one tenant's credential. ``actor`` names it in the audit log."""

    tenant_id: TenantId
    actor: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Tell whether this credential has ``scope``; ``admin`` has them all."""
        return scope in self.scopes or ADMIN_SCOPE in self.scopes
