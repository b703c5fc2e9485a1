"""The pages before sign-in: an API key, a link, the organisation's own provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from coachline.console.entrance import Entered, Entrance
from coachline.console.errors import ProviderUnavailable, SignInNotFound
from coachline.console.own_paths import HOME, own_path
from coachline.console.pages import Pages
from coachline.console.routes.desk import COOKIE, Desk
from coachline.console.sessions import LONGEST
from coachline.console.tickets import GOOD_FOR, Departure
from coachline.foundation.errors import CoachlineError, Unauthenticated
from coachline.foundation.http import RequestLimiter, client_address

Next = Annotated[str, Query(max_length=1_000)]
Token = Annotated[str, Query(max_length=512)]
Organisation = Annotated[str, Query(max_length=63)]
_AWAY_COOKIE: Final = "__Host-coachline-away"
_LONGEST_COOKIE: Final = 128
_DOOR: Final = "console"


class SignInRoutes:
    """``/console/sign-in`` and what leads from there into the console."""

    def __init__(
        self, entrance: Entrance, pages: Pages, desk: Desk, limiter: RequestLimiter
    ) -> None:
        self._entrance = entrance
        self._pages = pages
        self._limiter = limiter
        self.router = APIRouter(
            prefix="/console/sign-in",
            include_in_schema=False,
            dependencies=[Depends(desk.visitor())],
        )
        add = self.router.add_api_route
        add("", self.show, methods=["GET"])
        add("", self.enter_by_key, methods=["POST"])
        add("/link", self.enter_by_link, methods=["GET"])
        add("/provider", self.depart, methods=["GET"])
        add("/done", self.arrive, methods=["GET"])

    async def show(
        self,
        request: Request,
        organisation: Organisation = "",
        next: Next = "",  # noqa: A002 - the word of sign-in links everywhere
    ) -> Response:
        """The ways in; of an organisation that was named, the way to its provider."""
        back = own_path(next)
        if not organisation:
            return self._show(request, return_to=back)
        door = await self._check_door(request)
        try:
            issuer = await self._entrance.find_issuer(organisation)
        except SignInNotFound as error:
            # Else names of organisations could be guessed by the thousand.
            await self._limiter.note_failure(door)
            return self._show(request, return_to=back, organisation=organisation, error=error)
        query = urlencode({"organisation": organisation, "next": back})
        provider = {
            "organisation": organisation,
            "host": urlsplit(issuer).netloc,
            "href": f"/console/sign-in/provider?{query}",
        }
        return self._show(request, return_to=back, provider=provider)

    async def depart(
        self,
        request: Request,
        organisation: Organisation = "",
        next: Next = "",  # noqa: A002 - as above
    ) -> Response:
        """Send the browser to the organisation's provider, with a cookie to know it by."""
        back = own_path(next)
        door = await self._check_door(request)
        try:
            away = await self._entrance.depart(organisation, return_to=back)
        except (SignInNotFound, ProviderUnavailable) as error:
            await self._limiter.note_failure(door)
            return self._show(request, return_to=back, organisation=organisation, error=error)
        answer = self._pages.done(request, away.url)
        _set_cookie(answer, _AWAY_COOKIE, away.cookie, int(GOOD_FOR.total_seconds()))
        return answer

    async def arrive(
        self,
        request: Request,
        state: Token = "",
        code: Annotated[str, Query(max_length=4_096)] = "",
        iss: Annotated[str | None, Query(max_length=1_000)] = None,
    ) -> Response:
        """Take the browser back from the provider, once."""
        departure = Departure(state, request.cookies.get(_AWAY_COOKIE, "")[:_LONGEST_COOKIE])
        enter = partial(
            self._entrance.by_provider, departure, code=code, issuer=iss, agent=_agent(request)
        )
        answer = await self._enter(request, enter, return_to=HOME)
        _delete_cookie(answer, _AWAY_COOKIE)
        return answer

    async def enter_by_key(
        self,
        request: Request,
        api_key: Annotated[str, Form(max_length=512)] = "",
        next: Annotated[str, Form(max_length=1_000)] = "",  # noqa: A002 - as above
    ) -> Response:
        """Sign in with an API key that somebody pasted."""
        enter = partial(self._entrance.by_key, api_key.strip(), agent=_agent(request))
        return await self._enter(request, enter, return_to=own_path(next))

    async def enter_by_link(self, request: Request, ticket: Token = "") -> Response:
        """Sign in with a link, which is good once."""
        enter = partial(
            self._entrance.by_link, ticket, is_local=_is_local(request), agent=_agent(request)
        )
        return await self._enter(request, enter, return_to=HOME)

    async def _enter(
        self, request: Request, enter: Callable[[], Awaitable[Entered]], *, return_to: str
    ) -> Response:
        """The page that was wanted with a fresh cookie, or the ways in with what was wrong."""
        door = await self._check_door(request)
        try:
            entered = await enter()
        except CoachlineError as error:
            if isinstance(error, Unauthenticated):
                await self._limiter.note_failure(door)
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            return self._show(request, return_to=return_to, error=error)
        answer = self._pages.done(request, own_path(entered.return_to or return_to))
        _set_cookie(answer, COOKIE, entered.cookie, int(LONGEST.total_seconds()))
        return answer

    async def _check_door(self, request: Request) -> str:
        """The name under which failures of this address are counted.

        Raises:
            TooManyRequests: there were too many of them.
        """
        door = f"{_DOOR}/{client_address(request)}"
        await self._limiter.check_failures(door)
        return door

    def _show(
        self,
        request: Request,
        *,
        return_to: str,
        organisation: str = "",
        provider: Mapping[str, str] | None = None,
        error: CoachlineError | None = None,
    ) -> Response:
        return self._pages.render(
            request,
            "sign_in.html",
            None,
            status=error.status if error else HTTPStatus.OK,
            problem=error.message if error else "",
            next=return_to,
            organisation=organisation,
            provider=provider,
        )


def _set_cookie(answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax"
    )


def _delete_cookie(answer: Response, name: str) -> None:
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


def _is_local(request: Request) -> bool:
    """Whether the other end of the socket is on this machine, whatever a header says."""
    try:
        return ip_address(client_address(request)).is_loopback
    except ValueError:
        return False
