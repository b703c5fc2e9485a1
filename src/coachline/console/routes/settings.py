"""The pages of settings: the bot, its limits, keys, and what was done."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.console.routes.fields import chosen, typed_fields
from coachline.console.schema_forms import Form as Asked
from coachline.console.seat import Seat
from coachline.console.settings_pages import (
    SAMPLE,
    NotChanged,
    Preview,
    ProfileDesk,
    end_of_day,
)
from coachline.foundation.database import Database
from coachline.foundation.errors import InvalidInput
from coachline.foundation.http import Page, decode_cursor
from coachline.foundation.ids import KeyId
from coachline.tenancy import ALL_SCOPES, AuditLog, Keys, NewKey, Rates, Tenants

Cursor = Annotated[str | None, Query(max_length=128)]
_PATH = "/console/settings"
_ON_A_PAGE = 50


class SettingsPages:
    """``/console/settings`` and what is below it."""

    def __init__(
        self,
        profile: ProfileDesk,
        tenants: Tenants,
        keys: Keys,
        audit: AuditLog,
        database: Database,
        pages: Pages,
        desk: Desk,
        *,
        rates: Rates,
    ) -> None:
        self._profile = profile
        self._tenants = tenants
        self._keys = keys
        self._audit = audit
        self._database = database
        self._pages = pages
        self._rates = rates
        self.router = APIRouter(prefix=_PATH, include_in_schema=False)
        add = self.router.add_api_route
        reader, owner = [Depends(desk.seat("read"))], [Depends(desk.seat("admin"))]
        add("", self.show, methods=["GET"], dependencies=reader)
        add("", self.save, methods=["POST"], dependencies=owner)
        add("/preview", self.preview, methods=["POST"], dependencies=owner)
        add("/limits", self.show_limits, methods=["GET"], dependencies=reader)
        add("/keys", self.show_keys, methods=["GET"], dependencies=owner)
        add("/keys", self.make_key, methods=["POST"], dependencies=owner)
        add("/keys/{key_id}/revoke", self.revoke_key, methods=["POST"], dependencies=owner)
        add("/audit", self.show_audit, methods=["GET"], dependencies=owner)

    async def show(self, request: Request, seat: Seated) -> Response:
        """How the bot is called, speaks and answers."""
        return self._show(request, seat, await self._profile.form(seat.tenant_id))

    async def save(self, request: Request, seat: Seated) -> Response:
        """Change the profile."""
        typed = await typed_fields(request)
        try:
            is_changed = await self._profile.save(seat.tenant_id, typed, actor=seat.actor)
        except NotChanged as refusal:
            return self._show(request, seat, refusal.form, is_refused=True)
        told = "Saved. It holds for every answer from now on." if is_changed else "Nothing changed."
        return self._pages.done(request, _PATH, told)

    async def preview(self, request: Request, seat: Seated) -> Response:
        """What a model would be told with what is typed, saved or not."""
        typed = await typed_fields(request)
        try:
            form, shown = await self._profile.preview(
                seat.tenant_id, typed, typed.get("question", "")[:2_000]
            )
        except NotChanged as refusal:
            return self._show(request, seat, refusal.form, is_refused=True)
        return self._show(request, seat, form, preview=shown)

    async def show_limits(self, request: Request, seat: Seated) -> Response:
        """How much may be answered, and who decides it."""
        profile = await self._tenants.profile(seat.tenant_id)
        return self._pages.render(
            request, "settings_limits.html", seat, profile=profile, rates=self._rates
        )

    async def show_keys(self, request: Request, seat: Seated, cursor: Cursor = None) -> Response:
        """Every API key."""
        return await self._show_keys(request, seat, cursor=cursor)

    async def make_key(
        self,
        request: Request,
        seat: Seated,
        name: Annotated[str, Form()] = "",
        expires_on: Annotated[str, Form(max_length=20)] = "",
    ) -> Response:
        """Make an API key and show its token this once."""
        scopes = await chosen(request, "scopes")
        try:
            made = await self._keys.create(
                seat.tenant_id,
                name.strip(),
                scopes,
                end_of_day(expires_on, seat.time_zone),
                actor=seat.actor,
            )
        except InvalidInput as error:
            return await self._show_keys(
                request,
                seat,
                fault=error.message,
                typed={"name": name, "scopes": scopes, "expires_on": expires_on},
            )
        return await self._show_keys(request, seat, made=made)

    async def revoke_key(self, request: Request, seat: Seated, key_id: UUID) -> Response:
        """Refuse a key from now on."""
        await self._keys.revoke(seat.tenant_id, KeyId(key_id), actor=seat.actor)
        return self._pages.done(request, f"{_PATH}/keys", "Revoked. It is refused within seconds.")

    async def show_audit(
        self,
        request: Request,
        seat: Seated,
        cursor: Cursor = None,
        action: Annotated[str, Query(max_length=100, pattern=r"^[a-z_.]*$")] = "",
        check: Annotated[bool, Query()] = False,
    ) -> Response:
        """What was done here, and whether anybody changed the record of it."""
        before = None if cursor is None else decode_cursor(cursor, int)
        async with self._database.tenant(seat.tenant_id) as session:
            found = await self._audit.list(
                session, before_seq=before, action=action or None, limit=_ON_A_PAGE + 1
            )
            checked = await self._audit.verify(session) if check else None
        return self._pages.render(
            request,
            "settings_audit.html",
            seat,
            listed=Page[Any].cut(found, limit=_ON_A_PAGE, key=lambda one: one.seq),
            action=action,
            checked=checked,
        )

    def _show(
        self,
        request: Request,
        seat: Seat,
        form: Asked,
        *,
        preview: Preview | None = None,
        is_refused: bool = False,
    ) -> Response:
        return self._pages.render(
            request,
            "settings.html",
            seat,
            status=HTTPStatus.UNPROCESSABLE_ENTITY if is_refused else HTTPStatus.OK,
            form=form,
            preview=preview,
            sample=SAMPLE,
        )

    async def _show_keys(
        self,
        request: Request,
        seat: Seat,
        *,
        cursor: str | None = None,
        made: NewKey | None = None,
        fault: str = "",
        typed: dict[str, Any] | None = None,
    ) -> Response:
        before = None if cursor is None else decode_cursor(cursor, UUID)
        found = await self._keys.list(seat.tenant_id, before=before, limit=_ON_A_PAGE + 1)
        return self._pages.render(
            request,
            "settings_keys.html",
            seat,
            status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
            listed=Page[Any].cut(found, limit=_ON_A_PAGE, key=lambda one: one.id),
            scopes=ALL_SCOPES,
            made=made,
            fault=fault,
            typed=typed or {"name": "", "scopes": [], "expires_on": ""},
        )
