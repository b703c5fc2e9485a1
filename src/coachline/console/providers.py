"""Each tenant's provider of identities: kept sealed, changed by owners."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from coachline.console import repository
from coachline.console.errors import SignInInvalid, SignInNotFound
from coachline.console.oidc import Provider
from coachline.console.tables import SignInRow
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import TenantId
from coachline.foundation.seal import Seal
from coachline.tenancy import AuditLog

_TABLE: Final = "sign_in"
_COLUMN: Final = "sealed_client_secret"
_LONGEST: Final = 500
_MOST_DOMAINS: Final = 20
_DOMAIN: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """How a tenant's people sign in, without the secret.

    ``domains`` of email addresses may enter without having been added; none is the usual case.
    """

    issuer: str
    client_id: str
    domains: tuple[str, ...]
    updated_at: datetime


class Providers:
    """Keeps, shows and opens the providers of tenants."""

    def __init__(self, database: Database, seal: Seal, audit: AuditLog) -> None:
        self._database = database
        self._seal = seal
        self._audit = audit

    async def get(self, tenant_id: TenantId) -> SignInSettings:
        """The tenant's settings.

        Raises:
            SignInNotFound: there are none.
        """
        async with self._database.tenant(tenant_id) as session:
            return _settings(await repository.find_sign_in(session))

    async def open(self, tenant_id: TenantId) -> tuple[Provider, tuple[str, ...]]:
        """The tenant's provider with its secret, and the domains that may enter.

        Raises:
            SignInNotFound: there is none.
            SealBroken: the secret was sealed under a master key that is not known here.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await repository.find_sign_in(session)
        shown = _settings(row)
        if row is None:
            raise _not_found()
        secret = self._seal.open(
            row.sealed_client_secret, tenant_id=tenant_id, table=_TABLE, row=row.id, column=_COLUMN
        )
        return Provider(shown.issuer, shown.client_id, secret.decode()), shown.domains

    async def save(
        self,
        tenant_id: TenantId,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        domains: Sequence[str] = (),
        actor: str,
    ) -> SignInSettings:
        """Set the tenant's provider, in place of another one if there is one.

        Raises:
            SignInInvalid: a value cannot be used; the message names it.
        """
        values = {
            "issuer": _check_issuer(issuer),
            "client_id": _check_text("client_id", client_id),
            "domains": _check_domains(domains),
        }
        secret = _check_text("client_secret", client_secret)
        async with self._database.tenant(tenant_id) as session:
            row_id = await repository.claim_sign_in(session, **values, sealed_client_secret=b"")
            sealed = self._close(session, row_id, secret)
            await repository.save_sign_in(session, **values, sealed_client_secret=sealed)
            saved = _settings(await repository.find_sign_in(session))
            await self._record(session, "sign_in.save", actor, issuer=saved.issuer)
        return saved

    async def remove(self, tenant_id: TenantId, *, actor: str) -> None:
        """Let nobody sign in by a provider any more; who is signed in stays.

        Raises:
            SignInNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            if not await repository.remove_sign_in(session):
                raise _not_found()
            await self._record(session, "sign_in.remove", actor)

    async def reseal(self, tenant_id: TenantId) -> bool:
        """Seal the secret under the active master key; False when it is, or there is none.

        Raises:
            SealBroken: it was sealed under a master key that is not known here.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await repository.find_sign_in(session)
            if row is None or self._seal.is_current(row.sealed_client_secret):
                return False
            sealed = self._seal.reseal(
                row.sealed_client_secret,
                tenant_id=tenant_id,
                table=_TABLE,
                row=row.id,
                column=_COLUMN,
            )
            await repository.save_sign_in(session, sealed_client_secret=sealed)
        return True

    def _close(self, session: TenantSession, row_id: UUID, secret: str) -> bytes:
        return self._seal.seal(
            secret.encode(),
            tenant_id=session.tenant_id,
            table=_TABLE,
            row=row_id,
            column=_COLUMN,
        )

    async def _record(
        self, session: TenantSession, action: str, actor: str, **details: str
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            object=f"tenant:{session.tenant_id}",
            details=details,
        )


def _settings(row: SignInRow | None) -> SignInSettings:
    if row is None:
        raise _not_found()
    return SignInSettings(row.issuer, row.client_id, tuple(row.domains), row.updated_at)


def _not_found() -> SignInNotFound:
    return SignInNotFound("This organisation has set no provider to sign in with.")


def _check_issuer(issuer: str) -> str:
    """OpenID Connect Core 1.0 section 2: https, no query, no fragment. It is kept as it is."""
    try:
        parts = urlsplit(_check_text("issuer", issuer))
        # Plain HTTP goes nowhere but to networks that the operator allows: foundation/outgoing.py.
        is_url = parts.scheme in ("https", "http") and bool(parts.hostname)
        is_more = bool(parts.query or parts.fragment or parts.username or parts.password)
    except ValueError:
        is_url, is_more = False, False
    if not is_url or is_more:
        raise SignInInvalid(
            "issuer must look like https://id.example.org, just as the provider says."
        )
    return issuer


def _check_text(name: str, value: str) -> str:
    if not value or len(value) > _LONGEST or not value.isascii() or not value.isprintable():
        raise SignInInvalid(f"{name} must be 1 to {_LONGEST} printable ASCII characters.")
    return value


def _check_domains(domains: Sequence[str]) -> list[str]:
    found = sorted({domain.strip().lower() for domain in domains})
    if len(found) > _MOST_DOMAINS or not all(_DOMAIN.fullmatch(domain) for domain in found):
        raise SignInInvalid(f"domains are at most {_MOST_DOMAINS} names such as example.org.")
    return found
