"""The people of a tenant: who may sign in to the console, and as what."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, TypedDict, cast, get_args
from uuid import UUID

from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from coachline.foundation.ids import StaffId, TenantId
from coachline.tenancy import repository
from coachline.tenancy.audit import AuditLog
from coachline.tenancy.tables import StaffRow
from coachline.tenancy.validation import check_text

Role = Literal["owner", "coach", "viewer"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
ROLE_SCOPES: Final[Mapping[Role, frozenset[str]]] = MappingProxyType(
    {
        "owner": frozenset({"admin"}),
        "coach": frozenset({"read", "coach", "knowledge"}),
        "viewer": frozenset({"read"}),
    }
)

_LONGEST_NAME: Final = 100
_LONGEST_EMAIL: Final = 254
# The shape that every provider and mail program agrees on; whether it exists is not asked.
_EMAIL: Final = re.compile(r"[^\s@<>\"',;:\\()\[\]]+@[^\s@<>\"',;:\\()\[\].]+(\.[^\s@.]+)+")


class StaffInvalid(InvalidInput):
    """A person cannot be kept like this; the message says why."""

    code = "staff_invalid"


class StaffNotFound(NotFound):
    """There is no such person here."""

    code = "staff_not_found"


class StaffExists(Conflict):
    """Somebody has this email address already."""

    code = "staff_exists"


class StaffRefused(Forbidden):
    """The provider knows this person, but the tenant does not let them in."""

    code = "staff_refused"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A person of a tenant. ``is_known`` says that a provider has proved who they are once."""

    id: StaffId
    name: str
    email: str
    role: Role
    is_known: bool
    disabled_at: datetime | None
    signed_in_at: datetime | None
    created_at: datetime

    @property
    def scopes(self) -> frozenset[str]:
        """What the role allows."""
        return ROLE_SCOPES[self.role]


class StaffChanges(TypedDict, total=False):
    """The fields to change; a missing one stays as it is."""

    name: str
    role: str
    is_disabled: bool


@dataclass(frozen=True, slots=True)
class ProvenIdentity:
    """Whom a provider vouches for. ``subject`` never changes, ``email`` is verified."""

    issuer: str
    subject: str
    email: str
    name: str


class Staff:
    """Adds, lists, changes and recognises the people of tenants."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def add(
        self, tenant_id: TenantId, *, name: str, email: str, role: str, actor: str
    ) -> StaffMember:
        """Let a person sign in from now on.

        Raises:
            StaffInvalid: the name, the email address or the role cannot be used.
            StaffExists: somebody has this email address, perhaps disabled.
        """
        values = {"name": _check_name(name), "email": check_email(email), "role": _check_role(role)}
        async with self._database.tenant(tenant_id) as session:
            row = await repository.add_staff(session, values)
            if row is None:
                raise StaffExists("Somebody has this email address already, perhaps disabled.")
            await self._record(session, "staff.add", row.id, actor, role=row.role)
        return _member(row)

    async def list(
        self, tenant_id: TenantId, *, before: UUID | None = None, limit: int = 100
    ) -> Sequence[StaffMember]:
        """People added before ``before``, newest first, disabled ones too."""
        async with self._database.tenant(tenant_id) as session:
            rows = await repository.list_staff(session, before=before, limit=limit)
        return [_member(row) for row in rows]

    async def get_by_email(self, tenant_id: TenantId, email: str) -> StaffMember:
        """The person with this email address.

        Raises:
            StaffNotFound: there is none.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await repository.find_staff_by_email(session, email.strip().lower())
        return _present(row)

    async def get(self, tenant_id: TenantId, staff_id: StaffId) -> StaffMember:
        """One person.

        Raises:
            StaffNotFound: there is no such person.
        """
        async with self._database.tenant(tenant_id) as session:
            return _present(await repository.find_staff(session, staff_id))

    async def find(self, session: TenantSession, staff_id: StaffId) -> StaffMember | None:
        """One person as they are now, in the caller's transaction."""
        row = await repository.find_staff(session, staff_id)
        return None if row is None else _member(row)

    async def change(
        self, tenant_id: TenantId, staff_id: StaffId, changes: StaffChanges, *, actor: str
    ) -> StaffMember:
        """Change the named fields; who is disabled is signed out everywhere within five seconds.

        Raises:
            StaffInvalid: a value cannot be used, or nothing was named.
            StaffNotFound: there is no such person.
        """
        values: dict[str, object] = {}
        if "name" in changes:
            values["name"] = _check_name(changes["name"])
        if "role" in changes:
            values["role"] = _check_role(changes["role"])
        if "is_disabled" in changes:
            values["disabled_at"] = self._clock.now() if changes["is_disabled"] else None
        if not values:
            raise StaffInvalid("Name at least one field to change.")
        async with self._database.tenant(tenant_id) as session:
            member = _present(await repository.save_staff(session, staff_id, values))
            fields = " ".join(sorted(changes))
            await self._record(
                session, "staff.change", staff_id, actor, fields=fields, role=member.role
            )
        return member

    async def recognise(
        self, tenant_id: TenantId, proven: ProvenIdentity, *, domains: Collection[str] = ()
    ) -> StaffMember:
        """The person whom the tenant's provider has just vouched for.

        The provider's subject counts first. By the email address somebody is found once, and the
        subject is kept; an address that goes to another person later opens nothing. Somebody new
        enters, as a viewer, only with an address in one of ``domains``.

        Raises:
            StaffRefused: nobody here, somebody else here, or disabled.
        """
        email = check_email(proven.email)
        async with self._database.tenant(tenant_id) as session:
            row = await repository.find_staff_by_subject(session, proven.issuer, proven.subject)
            if row is None:
                row = await self._bind(session, proven, email, domains)
            if row.disabled_at is not None:
                raise StaffRefused("This account is disabled; ask an owner of your organisation.")
            signed_in = {"signed_in_at": self._clock.now()}
            return _present(await repository.save_staff(session, StaffId(row.id), signed_in))

    async def _bind(
        self,
        session: TenantSession,
        proven: ProvenIdentity,
        email: str,
        domains: Collection[str],
    ) -> StaffRow:
        row = await repository.find_staff_by_email(session, email)
        if row is None and email.rpartition("@")[2] in domains:
            name = proven.name.strip()[:_LONGEST_NAME] or email
            values = {"name": name, "email": email, "role": "viewer"}
            row = await repository.add_staff(session, values)
            if row is not None:
                await self._record(session, "staff.enter", row.id, "system", role="viewer")
        if row is None:
            raise StaffRefused(
                "Nobody with this email address may sign in here; ask an owner of your "
                "organisation to add you."
            )
        if row.subject is not None and row.issuer == proven.issuer:
            raise StaffRefused(
                "This email address belonged to another person; ask an owner of your organisation."
            )
        row.issuer, row.subject = proven.issuer, proven.subject
        await session.flush()
        return row

    async def _record(
        self, session: TenantSession, action: str, staff_id: UUID, actor: str, **details: str
    ) -> None:
        await self._audit.record(
            session, actor=actor, action=action, object=f"staff:{staff_id}", details=details
        )


def check_email(email: str) -> str:
    """An email address in the form in which it is compared: without spaces, in lower case.

    Raises:
        StaffInvalid: it is none.
    """
    found = email.strip().lower()
    if len(found) > _LONGEST_EMAIL or not _EMAIL.fullmatch(found):
        raise StaffInvalid("email must look like ann@example.org.")
    check_text("email", found, limit=_LONGEST_EMAIL, error=StaffInvalid)
    return found


def _check_name(name: str) -> str:
    check_text("name", name, limit=_LONGEST_NAME, error=StaffInvalid)
    return name.strip()


def _check_role(role: str) -> str:
    if role not in ROLES:
        raise StaffInvalid(f"role must be one of {', '.join(ROLES)}.")
    return role


def _present(row: StaffRow | None) -> StaffMember:
    if row is None:
        raise StaffNotFound("There is no such person here.")
    return _member(row)


def _member(row: StaffRow) -> StaffMember:
    return StaffMember(
        id=StaffId(row.id),
        name=row.name,
        email=row.email,
        role=cast("Role", row.role),
        is_known=row.subject is not None,
        disabled_at=row.disabled_at,
        signed_in_at=row.signed_in_at,
        created_at=row.created_at,
    )
