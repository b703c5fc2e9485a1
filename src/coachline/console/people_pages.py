"""Who may sign in and with what, as an owner types it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from coachline.console.errors import SignInInvalid, SignInNotFound
from coachline.console.providers import Providers, SignInSettings
from coachline.console.seat import Seat
from coachline.console.tickets import Tickets
from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import StaffId
from coachline.tenancy import Staff, StaffChanges, StaffExists, StaffInvalid, StaffMember

MAY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "owner": "everything, also people, keys and settings",
        "coach": "read, take over, write, approve, note, change documents",
        "viewer": "read",
    }
)
"""What each role allows, for people."""


class NotTaken(Exception):
    """What was typed cannot be kept; ``faults`` are by field, "" is about the whole."""

    def __init__(self, faults: Mapping[str, str], status: int = 422) -> None:
        super().__init__()
        self.faults = faults
        self.status = status


@dataclass(frozen=True, slots=True)
class Ways:
    """How a person signs in beside a link: by the provider, where there is one."""

    provider: SignInSettings | None

    def of(self, member: StaffMember) -> str:
        """The same in words."""
        if self.provider is None:
            return "by a link"
        return "with the provider" if member.is_known else "with the provider, not yet"


class PeopleDesk:
    """Adds people, changes them, gives them links, and sets the provider.

    Nobody changes what they themselves may do: so an organisation keeps an owner.
    """

    def __init__(
        self, staff: Staff, tickets: Tickets, providers: Providers, *, public_url: str
    ) -> None:
        self._staff = staff
        self._tickets = tickets
        self._providers = providers
        self._public_url = public_url

    @property
    def redirect_url(self) -> str:
        """Where a provider sends browsers back to."""
        return f"{self._public_url}/console/sign-in/done"

    async def ways(self, seat: Seat) -> Ways:
        """How the people of an organisation sign in."""
        try:
            return Ways(await self._providers.get(seat.tenant_id))
        except SignInNotFound:
            return Ways(None)

    async def add(self, seat: Seat, typed: Mapping[str, str]) -> StaffMember:
        """Let a person sign in.

        Raises:
            NotTaken: what was typed cannot be kept.
        """
        try:
            return await self._staff.add(
                seat.tenant_id,
                name=typed.get("name", ""),
                email=typed.get("email", ""),
                role=typed.get("role", ""),
                actor=seat.actor,
            )
        except StaffExists as error:
            raise NotTaken({"email": error.message}, error.status) from None
        except StaffInvalid as error:
            raise _blame(error, "name", "email", "role") from None

    async def change(self, seat: Seat, member: StaffMember, typed: Mapping[str, str]) -> bool:
        """Change a person's name and role; whether anything differed.

        Raises:
            NotTaken: what was typed cannot be kept.
        """
        changes: StaffChanges = {}
        if (name := typed.get("name", "").strip()) != member.name:
            changes["name"] = name
        if (role := typed.get("role", member.role)) != member.role:
            _keep_own(seat, member, "role")
            changes["role"] = role
        if not changes:
            return False
        try:
            await self._staff.change(seat.tenant_id, member.id, changes, actor=seat.actor)
        except StaffInvalid as error:
            raise _blame(error, "name", "role") from None
        return True

    async def set_disabled(self, seat: Seat, member: StaffMember, *, is_disabled: bool) -> None:
        """Sign a person out and let them in no more, or again.

        Raises:
            NotTaken: it is whoever asks.
        """
        _keep_own(seat, member, "")
        await self._staff.change(
            seat.tenant_id, member.id, {"is_disabled": is_disabled}, actor=seat.actor
        )

    async def make_link(self, seat: Seat, member: StaffMember) -> str:
        """A link that signs a person in: once, within ten minutes.

        Raises:
            NotTaken: they are disabled.
        """
        if member.disabled_at is not None:
            raise NotTaken({"": "They are disabled: let them in again first."}, 409)
        ticket = await self._tickets.issue_link(
            seat.tenant_id, staff_id=member.id, is_local=False, actor=seat.actor
        )
        return f"{self._public_url}/console/sign-in/link?ticket={ticket}"

    async def save_provider(self, seat: Seat, typed: Mapping[str, str]) -> None:
        """Have people sign in with a provider, instead of the one before.

        Raises:
            NotTaken: what was typed cannot be kept.
        """
        domains = [line for line in typed.get("domains", "").splitlines() if line.strip()]
        try:
            await self._providers.save(
                seat.tenant_id,
                issuer=typed.get("issuer", "").strip(),
                client_id=typed.get("client_id", "").strip(),
                client_secret=typed.get("client_secret", "").strip(),
                domains=domains,
                actor=seat.actor,
            )
        except SignInInvalid as error:
            raise _blame(error, "issuer", "client_id", "client_secret", "domains") from None


def is_own(seat: Seat, staff_id: StaffId) -> bool:
    """Whether a person is the one who sits there."""
    return seat.actor == f"staff:{staff_id}"


def _keep_own(seat: Seat, member: StaffMember, field: str) -> None:
    if is_own(seat, member.id):
        raise NotTaken({field: "Nobody changes what they may do themselves; ask an owner."}, 409)


def _blame(error: CoachlineError, *fields: str) -> NotTaken:
    """The fault at the field that the message names first."""
    first = error.message.split(" ")[0]
    return NotTaken({first if first in fields else "": error.message}, error.status)
