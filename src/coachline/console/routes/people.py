"""The pages of people: who may sign in, as what, and with which provider."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from coachline.console.pages import Pages
from coachline.console.people_pages import MAY, NotTaken, PeopleDesk, is_own
from coachline.console.providers import Providers, SignInSettings
from coachline.console.routes.desk import Desk, Seated
from coachline.console.routes.fields import typed_fields
from coachline.console.seat import Seat
from coachline.foundation.http import Page, decode_cursor
from coachline.foundation.ids import StaffId
from coachline.tenancy import Staff, StaffMember

Cursor = Annotated[str | None, Query(max_length=128)]
_PATH: Final = "/console/settings/people"
_ON_A_PAGE: Final = 50


class PeoplePages:
    """``/console/settings/people`` and what is below it, for owners."""

    def __init__(
        self, people: PeopleDesk, staff: Staff, providers: Providers, pages: Pages, desk: Desk
    ) -> None:
        self._people = people
        self._staff = staff
        self._providers = providers
        self._pages = pages
        self.router = APIRouter(
            prefix=_PATH, include_in_schema=False, dependencies=[Depends(desk.seat("admin"))]
        )
        add = self.router.add_api_route
        add("", self.show, methods=["GET"])
        add("", self.add, methods=["POST"])
        add("/provider", self.show_provider, methods=["GET"])
        add("/provider", self.save_provider, methods=["POST"])
        add("/provider/remove", self.remove_provider, methods=["POST"])
        add("/{staff_id}", self.show_one, methods=["GET"])
        add("/{staff_id}", self.change, methods=["POST"])
        add("/{staff_id}/state", self.set_state, methods=["POST"])
        add("/{staff_id}/link", self.make_link, methods=["POST"])

    async def show(self, request: Request, seat: Seated, cursor: Cursor = None) -> Response:
        """Everybody who may sign in, or might."""
        return await self._show(request, seat, cursor=cursor)

    async def add(self, request: Request, seat: Seated) -> Response:
        """Let a person sign in from now on."""
        typed = await typed_fields(request)
        try:
            member = await self._people.add(seat, typed)
        except NotTaken as refusal:
            return await self._show(request, seat, refusal, typed)
        return self._pages.done(request, f"{_PATH}/{member.id}", "Added. They may sign in now.")

    async def show_one(self, request: Request, seat: Seated, staff_id: UUID) -> Response:
        """One person."""
        return await self._show_one(request, seat, await self._get(seat, staff_id))

    async def change(self, request: Request, seat: Seated, staff_id: UUID) -> Response:
        """Change a person's name or role."""
        member = await self._get(seat, staff_id)
        typed = await typed_fields(request)
        try:
            is_changed = await self._people.change(seat, member, typed)
        except NotTaken as refusal:
            return await self._show_one(request, seat, member, refusal, typed)
        told = "Saved. It holds everywhere within five seconds." if is_changed else "Nothing new."
        return self._pages.done(request, f"{_PATH}/{staff_id}", told)

    async def set_state(
        self,
        request: Request,
        seat: Seated,
        staff_id: UUID,
        state: Annotated[Literal["active", "disabled"], Form()],
    ) -> Response:
        """Sign a person out and let them in no more, or again."""
        member = await self._get(seat, staff_id)
        try:
            await self._people.set_disabled(seat, member, is_disabled=state == "disabled")
        except NotTaken as refusal:
            return await self._show_one(request, seat, member, refusal)
        told = "They may sign in again." if state == "active" else "They are signed out everywhere."
        return self._pages.done(request, f"{_PATH}/{staff_id}", told)

    async def make_link(self, request: Request, seat: Seated, staff_id: UUID) -> Response:
        """A link that signs a person in, shown this once."""
        member = await self._get(seat, staff_id)
        try:
            link = await self._people.make_link(seat, member)
        except NotTaken as refusal:
            return await self._show_one(request, seat, member, refusal)
        return await self._show_one(request, seat, member, link=link)

    async def show_provider(self, request: Request, seat: Seated) -> Response:
        """With which provider people sign in."""
        return await self._show_provider(request, seat)

    async def save_provider(self, request: Request, seat: Seated) -> Response:
        """Have people sign in with a provider."""
        typed = await typed_fields(request)
        try:
            await self._people.save_provider(seat, typed)
        except NotTaken as refusal:
            return await self._show_provider(request, seat, refusal, typed)
        return self._pages.done(request, f"{_PATH}/provider", "Saved. Try it in another browser.")

    async def remove_provider(self, request: Request, seat: Seated) -> Response:
        """Let nobody sign in by a provider any more."""
        await self._providers.remove(seat.tenant_id, actor=seat.actor)
        return self._pages.done(request, _PATH, "Nobody signs in with a provider any more.")

    async def _get(self, seat: Seat, staff_id: UUID) -> StaffMember:
        return await self._staff.get(seat.tenant_id, StaffId(staff_id))

    async def _show(
        self,
        request: Request,
        seat: Seat,
        refusal: NotTaken | None = None,
        typed: Mapping[str, str] | None = None,
        *,
        cursor: str | None = None,
    ) -> Response:
        before = None if cursor is None else decode_cursor(cursor, UUID)
        found = await self._staff.list(seat.tenant_id, before=before, limit=_ON_A_PAGE + 1)
        given = typed or {}
        return self._pages.render(
            request,
            "settings_people.html",
            seat,
            status=refusal.status if refusal else HTTPStatus.OK,
            listed=Page[Any].cut(found, limit=_ON_A_PAGE, key=lambda one: one.id),
            ways=await self._people.ways(seat),
            may=MAY,
            faults=refusal.faults if refusal else {},
            typed={
                "name": given.get("name", ""),
                "email": given.get("email", ""),
                "role": given.get("role", "coach"),
            },
        )

    async def _show_one(
        self,
        request: Request,
        seat: Seat,
        member: StaffMember,
        refusal: NotTaken | None = None,
        typed: Mapping[str, str] | None = None,
        *,
        link: str = "",
    ) -> Response:
        given = typed or {}
        return self._pages.render(
            request,
            "settings_person.html",
            seat,
            status=refusal.status if refusal else HTTPStatus.OK,
            member=member,
            ways=await self._people.ways(seat),
            may=MAY,
            is_own=is_own(seat, member.id),
            faults=refusal.faults if refusal else {},
            typed={
                "name": given.get("name", member.name),
                "role": given.get("role", member.role),
            },
            link=link,
        )

    async def _show_provider(
        self,
        request: Request,
        seat: Seat,
        refusal: NotTaken | None = None,
        typed: Mapping[str, str] | None = None,
    ) -> Response:
        ways = await self._people.ways(seat)
        present = {} if ways.provider is None else _present(ways.provider)
        given = present if typed is None else typed
        return self._pages.render(
            request,
            "settings_provider.html",
            seat,
            status=refusal.status if refusal else HTTPStatus.OK,
            provider=ways.provider,
            redirect_url=self._people.redirect_url,
            faults=refusal.faults if refusal else {},
            # The secret that was typed is not shown again.
            typed={name: given.get(name, "") for name in ("issuer", "client_id", "domains")},
        )


def _present(provider: SignInSettings) -> Mapping[str, str]:
    return {
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "domains": "\n".join(provider.domains),
    }
