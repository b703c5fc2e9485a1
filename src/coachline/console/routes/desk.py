"""What stands before every page: the session, the form's origin and token, the scope."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from structlog.contextvars import bind_contextvars

from coachline.console.errors import ForeignForm, SignedOut, WordsUnusable
from coachline.console.pages import Pages
from coachline.console.seat import Seat
from coachline.console.sessions import Sessions
from coachline.foundation.errors import Forbidden, Unavailable
from coachline.foundation.http import Refusal, present_by

COOKIE: Final = "__Host-coachline"
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "x-csrf"
_LONGEST_COOKIE: Final = 128
_SAFE_METHODS: Final = ("GET", "HEAD")
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class SeatCheck:
    """The dependency of one page; made by :meth:`Desk.seat`."""

    def __init__(
        self, scope: str, sessions: Sessions, pages: Pages, origins: tuple[str, ...]
    ) -> None:
        self.scope = scope
        self._sessions = sessions
        self._pages = pages
        self._origins = origins

    async def __call__(self, request: Request) -> Seat:
        """Return the seat of a request, and keep it for :data:`Seated`.

        Raises:
            SignedOut: there is no session, or it has ended.
            ForeignForm: the form or script is not one of this session's pages.
            WordsUnusable: the address asks for what there cannot be.
            Forbidden: this seat has not the scope.
        """
        present_by(request, partial(self._pages.refuse, seat=None))
        seat = await self._sessions.prove(session_cookie(request))
        bind_contextvars(tenant_id=str(seat.tenant_id))
        present_by(request, partial(self._pages.refuse, seat=seat))
        if request.method not in _SAFE_METHODS:
            check_origin(request, self._origins)
            await _check_csrf(request, seat)
        _check_words(value for _, value in request.query_params.multi_items())
        if not seat.may(self.scope):
            raise Forbidden(f"As {seat.role} you may look at this, but not do it.")
        request.state.seat = seat
        return seat


class VisitorCheck:
    """The dependency of pages before sign-in: nobody sits there, but forms are still ours."""

    def __init__(self, pages: Pages, origins: tuple[str, ...]) -> None:
        self._pages = pages
        self._origins = origins

    async def __call__(self, request: Request) -> None:
        """Let the visitor pass.

        Raises:
            ForeignForm: another site's page sends the form.
            WordsUnusable: the form or the address holds what there cannot be.
        """
        present_by(request, partial(self._pages.refuse, seat=None))
        if request.method not in _SAFE_METHODS:
            check_origin(request, self._origins)
            form = await request.form()
            _check_words(value for _, value in form.multi_items() if isinstance(value, str))
        _check_words(value for _, value in request.query_params.multi_items())


class Desk:
    """Makes the dependencies that stand in front of the console's pages.

    Args:
        sessions: who is signed in.
        pages: show what is refused.
        origins: under which a browser may show the console; see ``own_origins``.
    """

    def __init__(self, sessions: Sessions, pages: Pages, *, origins: tuple[str, ...]) -> None:
        self._sessions = sessions
        self._pages = pages
        self._origins = origins

    def seat(self, scope: str) -> SeatCheck:
        """A dependency that lets only seats with ``scope`` pass, and only their own forms.

        Give it to ``add_api_route(…, dependencies=[Depends(desk.seat("read"))])``; the handler
        takes ``seat: Seated``.
        """
        return SeatCheck(scope, self._sessions, self._pages, self._origins)

    def visitor(self) -> VisitorCheck:
        """A dependency of pages that people see before they are signed in."""
        return VisitorCheck(self._pages, self._origins)

    async def greet(self, request: Request) -> None:
        """Show whoever asks for a page that there is none: signed in or not, as a page."""
        seat = None
        with suppress(SignedOut, Unavailable):
            seat = await self._sessions.prove(session_cookie(request))
        present_by(request, partial(self._refuse_unknown, seat=seat))

    def _refuse_unknown(
        self, request: Request, refusal: Refusal, seat: Seat | None
    ) -> Response | None:
        told = replace(refusal, detail="There is no such page.")
        return self._pages.refuse(request, told, seat)


def _current_seat(request: Request) -> Seat:
    seat = getattr(request.state, "seat", None)
    if not isinstance(seat, Seat):
        # A page that forgot its check: closed, not open.
        raise SignedOut("Sign in to go on.")
    return seat


Seated = Annotated[Seat, Depends(_current_seat)]
"""The seat that the page's check let pass."""


def session_cookie(request: Request) -> str:
    """The session's cookie, or nothing that could be one."""
    found = request.cookies.get(COOKIE, "")
    return found if len(found) <= _LONGEST_COOKIE else ""


def check_origin(request: Request, origins: tuple[str, ...]) -> None:
    """Pass what a page of this console sends, as the browser itself says.

    Raises:
        ForeignForm: another site's page sends it, or nothing says that ours does.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or request.headers.get("origin", "") not in origins:
        raise ForeignForm(
            "This form was not sent by the console itself. Open the console at its own address "
            f"({origins[0]}/console) and try again."
        )


async def _check_csrf(request: Request, seat: Seat) -> None:
    given = request.headers.get(CSRF_HEADER, "")
    if not given and _is_form(request):
        # Read once: the handler gets the same form from the request.
        field = (await request.form()).get(CSRF_FIELD)
        given = field if isinstance(field, str) else ""
    if not hmac.compare_digest(given.encode(), seat.csrf.encode()):
        raise ForeignForm("This form belongs to another session. Go back, reload, and try again.")


def _check_words(words: Iterable[str]) -> None:
    # PostgreSQL stores every character but this one.
    if any("\x00" in word for word in words):
        raise WordsUnusable("What is asked for holds the character NUL.")


def _is_form(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in _FORMS
