"""The pages of channels: connecting, health, tests, opening and closing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from coachline.console.channel_pages import ChannelDesk, ChannelKind, Made, NotConnected, Typed
from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.console.routes.fields import typed_fields
from coachline.console.schema_forms import Form as Asked
from coachline.console.seat import Seat
from coachline.foundation.errors import CoachlineError
from coachline.foundation.http import Page, decode_cursor
from coachline.foundation.ids import ConnectionId
from coachline.messaging import GREETING, Connection, Connections, Trials

Cursor = Annotated[str | None, Query(max_length=128)]
_PATH = "/console/channels"
_ON_A_PAGE = 50


class ChannelPages:
    """``/console/channels`` and what is below it."""

    def __init__(
        self,
        channels: ChannelDesk,
        connections: Connections,
        trials: Trials,
        pages: Pages,
        desk: Desk,
        *,
        public_url: str,
    ) -> None:
        self._channels = channels
        self._connections = connections
        self._trials = trials
        self._pages = pages
        self._public_url = public_url
        self.router = APIRouter(prefix=_PATH, include_in_schema=False)
        add = self.router.add_api_route
        reader, writer = [Depends(desk.seat("read"))], [Depends(desk.seat("connections"))]
        add("", self.show, methods=["GET"], dependencies=reader)
        add("/list", self.show_list, methods=["GET"], dependencies=reader)
        add("/new", self.choose, methods=["GET"], dependencies=writer)
        add("/new/{channel}", self.ask, methods=["GET"], dependencies=writer)
        add("/new/{channel}", self.add, methods=["POST"], dependencies=writer)
        add("/{connection_id}", self.show_one, methods=["GET"], dependencies=reader)
        add("/{connection_id}/config", self.ask_anew, methods=["GET"], dependencies=writer)
        add("/{connection_id}/config", self.configure, methods=["POST"], dependencies=writer)
        add("/{connection_id}/state", self.set_state, methods=["POST"], dependencies=writer)
        add("/{connection_id}/install", self.install, methods=["POST"], dependencies=writer)
        add("/{connection_id}/test", self.send_test, methods=["POST"], dependencies=writer)

    async def show(self, request: Request, seat: Seated, cursor: Cursor = None) -> Response:
        """Every connection and how it is."""
        listed = await self._list(seat, cursor)
        return self._pages.render(request, "channels.html", seat, listed=listed)

    async def show_list(self, request: Request, seat: Seated, cursor: Cursor = None) -> Response:
        """The connections alone, for a page that keeps up."""
        listed = await self._list(seat, cursor)
        return self._pages.render(request, "channels_list.html", seat, listed=listed)

    async def choose(self, request: Request, seat: Seated) -> Response:
        """Step 1: which channel."""
        kinds = [await self._channels.get(name) for name in self._channels.list()]
        return self._pages.render(request, "channels_new.html", seat, kinds=kinds)

    async def ask(self, request: Request, seat: Seated, channel: str) -> Response:
        """Step 2: what the channel asks for."""
        kind = await self._channels.get(channel)
        typed = Typed(channel, {})
        return self._ask(request, seat, kind, kind.form, typed)

    async def add(self, request: Request, seat: Seated, channel: str) -> Response:
        """Step 3: connected, and what is left to click; or what is wrong."""
        given = await typed_fields(request)
        typed = Typed(given.get("connection_name", "").strip(), given, "install" in given)
        try:
            made = await self._channels.add(seat.tenant_id, channel, typed, actor=seat.actor)
        except NotConnected as refusal:
            return await self._refuse(request, seat, channel, typed, refusal)
        return self._tell(request, seat, made)

    async def show_one(self, request: Request, seat: Seated, connection_id: UUID) -> Response:
        """One connection."""
        return self._show_one(request, seat, await self._get(seat, connection_id))

    async def ask_anew(self, request: Request, seat: Seated, connection_id: UUID) -> Response:
        """The form of new settings for a connection; the old ones are not shown."""
        found = await self._get(seat, connection_id)
        kind = await self._channels.get(found.channel)
        typed = Typed(found.name, {})
        return self._ask(request, seat, kind, kind.form, typed, connection=found)

    async def configure(self, request: Request, seat: Seated, connection_id: UUID) -> Response:
        """Give a connection new settings."""
        found = await self._get(seat, connection_id)
        typed = Typed(found.name, await typed_fields(request))
        try:
            made = await self._channels.configure(seat.tenant_id, found, typed, actor=seat.actor)
        except NotConnected as refusal:
            return await self._refuse(request, seat, found.channel, typed, refusal, found)
        return self._tell(request, seat, made)

    async def set_state(
        self,
        request: Request,
        seat: Seated,
        connection_id: UUID,
        state: Annotated[Literal["active", "disabled"], Form()],
    ) -> Response:
        """Open or close a connection."""
        found = await self._get(seat, connection_id)
        try:
            changed = await self._connections.set_state(
                seat.tenant_id, found.id, state, actor=seat.actor
            )
        except CoachlineError as error:
            return self._show_one(request, seat, found, state_fault=error)
        told = "It is open." if changed.state == "active" else "It is closed."
        return self._pages.done(request, f"{_PATH}/{connection_id}", told)

    async def install(self, request: Request, seat: Seated, connection_id: UUID) -> Response:
        """A new link that installs the connection, shown this once."""
        found = await self._get(seat, connection_id)
        url = await self._channels.begin_install(seat.tenant_id, found.id)
        steps = ("Open the link below within ten minutes and allow it.",)
        return self._tell(request, seat, Made(found, steps, {}, url))

    async def send_test(
        self,
        request: Request,
        seat: Seated,
        connection_id: UUID,
        to: Annotated[str, Form(max_length=512)] = "",
        text: Annotated[str, Form(max_length=1_000)] = "",
    ) -> Response:
        """Send one message beside every conversation."""
        found = await self._get(seat, connection_id)
        if not to.strip() or not to.strip().isprintable():
            fault = CoachlineError("Say where to: a chat id, a phone number, a thread.")
            return self._show_one(request, seat, found, test_fault=fault, to=to, text=text)
        try:
            await self._trials.send(
                seat.tenant_id,
                found.id,
                to=to.strip(),
                text=text.strip() or GREETING,
                actor=seat.actor,
            )
        except CoachlineError as error:
            return self._show_one(request, seat, found, test_fault=error, to=to, text=text)
        return self._pages.done(
            request, f"{_PATH}/{connection_id}", "The platform took the test message."
        )

    async def _get(self, seat: Seat, connection_id: UUID) -> Connection:
        return await self._connections.get(seat.tenant_id, ConnectionId(connection_id))

    async def _list(self, seat: Seat, cursor: str | None) -> Page[Any]:
        after = None if cursor is None else ConnectionId(decode_cursor(cursor, UUID))
        found = await self._connections.list(seat.tenant_id, after=after, limit=_ON_A_PAGE + 1)
        return Page[Any].cut(found, limit=_ON_A_PAGE, key=lambda one: one.id)

    def _ask(
        self,
        request: Request,
        seat: Seat,
        kind: ChannelKind,
        form: Asked,
        typed: Typed,
        *,
        connection: Connection | None = None,
        name_fault: str = "",
        status: int = HTTPStatus.OK,
    ) -> Response:
        return self._pages.render(
            request,
            "channels_form.html",
            seat,
            status=status,
            kind=kind,
            form=form,
            typed=typed,
            connection=connection,
            name_fault=name_fault,
            public_url=self._public_url,
        )

    async def _refuse(
        self,
        request: Request,
        seat: Seat,
        channel: str,
        typed: Typed,
        refusal: NotConnected,
        connection: Connection | None = None,
    ) -> Response:
        """The form again, with what was typed but the secrets, and what is wrong with it."""
        return self._ask(
            request,
            seat,
            await self._channels.get(channel),
            refusal.form,
            typed,
            connection=connection,
            name_fault=refusal.name_fault,
            status=refusal.status,
        )

    def _tell(self, request: Request, seat: Seat, made: Made) -> Response:
        """What was made, with what is told only this once."""
        return self._pages.render(
            request,
            "channels_made.html",
            seat,
            made=made,
            inbound_url=self._connections.inbound_url(made.connection.id),
        )

    def _show_one(
        self,
        request: Request,
        seat: Seat,
        connection: Connection,
        *,
        state_fault: CoachlineError | None = None,
        test_fault: CoachlineError | None = None,
        to: str = "",
        text: str = "",
    ) -> Response:
        fault = state_fault or test_fault
        return self._pages.render(
            request,
            "channels_one.html",
            seat,
            status=fault.status if fault else HTTPStatus.OK,
            connection=connection,
            inbound_url=self._connections.inbound_url(connection.id),
            state_fault=state_fault.message if state_fault else "",
            test_fault=test_fault.message if test_fault else "",
            to=to,
            text=text,
        )
