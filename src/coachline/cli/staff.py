"""``coachline staff``: the people who may sign in to a tenant's console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from coachline.cli.support import emit, open_services, run

if TYPE_CHECKING:
    from coachline.tenancy import StaffChanges, StaffMember

app = typer.Typer(no_args_is_help=True, help="Add, list, change, disable people of the console.")

TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
Email = Annotated[str, typer.Argument(help="The person's email address.")]
RoleName = Annotated[str, typer.Option("--role", help="owner, coach or viewer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]

_PAGE = 200


@app.command()
def add(
    email: Email,
    tenant: TenantName,
    name: Annotated[str, typer.Option(help="What colleagues call them.")],
    role: RoleName = "coach",
    as_json: AsJson = False,
) -> None:
    """Let a person sign in to the console."""

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            member = await services.sign_in.staff.add(
                found.id, name=name, email=email, role=role, actor="cli"
            )
        emit(_shown(member), as_json)

    run(work)


@app.command(name="list")
def list_all(tenant: TenantName, as_json: AsJson = False) -> None:
    """List a tenant's people, newest first, disabled ones too."""

    async def work() -> None:
        people: list[StaffMember] = []
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            before: UUID | None = None
            while page := await services.sign_in.staff.list(found.id, before=before, limit=_PAGE):
                people += page
                before = page[-1].id
        emit([_shown(member) for member in people], as_json)

    run(work)


@app.command()
def role(
    email: Email,
    role: Annotated[str, typer.Argument(help="owner, coach or viewer.")],
    tenant: TenantName,
    as_json: AsJson = False,
) -> None:
    """Change what a person may do; it holds everywhere within five seconds."""
    _change(tenant, email, {"role": role}, as_json)


@app.command()
def disable(email: Email, tenant: TenantName, as_json: AsJson = False) -> None:
    """Sign a person out and let them in no more, within five seconds."""
    _change(tenant, email, {"is_disabled": True}, as_json)


@app.command()
def enable(email: Email, tenant: TenantName, as_json: AsJson = False) -> None:
    """Let a disabled person in again."""
    _change(tenant, email, {"is_disabled": False}, as_json)


def _change(tenant: str, email: str, changes: StaffChanges, as_json: bool) -> None:
    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(tenant)
            staff = services.sign_in.staff
            member = await staff.get_by_email(found.id, email)
            changed = await staff.change(found.id, member.id, changes, actor="cli")
        emit(_shown(changed), as_json)

    run(work)


def _shown(member: StaffMember) -> dict[str, object]:
    return {
        "staff_id": str(member.id),
        "name": member.name,
        "email": member.email,
        "role": member.role,
        "disabled": member.disabled_at is not None,
        "signed_in_at": member.signed_in_at and member.signed_in_at.isoformat(),
    }
