"""The pages between which a browser installs a connection."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Cookie, Query, Request, Response

from coachline.foundation.errors import CoachlineError
from coachline.foundation.http import RequestLimiter, client_address
from coachline.messaging.errors import InstallationRefused
from coachline.messaging.installs import STEP_SECONDS, Installs
from coachline.messaging.routes.addresses import parse_id

_COOKIE = "coachline_install"

Token = Annotated[str, Query(max_length=512)]
Code = Annotated[str | None, Query(max_length=2048)]


class InstallRoutes:
    """``/connect/…``: the pages between which a browser installs a connection."""

    def __init__(self, installs: Installs, limiter: RequestLimiter, *, public_url: str) -> None:
        self._installs = installs
        self._limiter = limiter
        self._is_secure = public_url.startswith("https://")
        self.router = APIRouter(include_in_schema=False)
        for path, page in (("", self.depart), ("/done", self.arrive)):
            self.router.add_api_route(
                f"/connect/{{connection_id}}{path}",
                page,
                methods=["GET"],
                response_class=Response,
            )

    async def depart(self, connection_id: str, request: Request, ticket: Token = "") -> Response:
        """Send the browser to the platform, with a cookie to know it by."""
        source = f"install-{connection_id[:64]}/{client_address(request)}"
        try:
            await self._limiter.check_failures(source)
            departure = await self._installs.depart(parse_id(connection_id), ticket)
        except CoachlineError as error:
            return await self._refuse(error, source)
        answer = Response(status_code=HTTPStatus.SEE_OTHER, headers={"location": departure.url})
        answer.set_cookie(
            _COOKIE,
            departure.cookie,
            max_age=STEP_SECONDS,
            path=f"/connect/{connection_id}",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def arrive(
        self,
        connection_id: str,
        request: Request,
        state: Token = "",
        code: Code = None,
        cookie: Annotated[str, Cookie(alias=_COOKIE, max_length=512)] = "",
    ) -> Response:
        """Take the browser back, and connect."""
        source = f"install-{connection_id[:64]}/{client_address(request)}"
        try:
            await self._limiter.check_failures(source)
            made = await self._installs.arrive(
                parse_id(connection_id), state=state, cookie=cookie, code=code
            )
        except CoachlineError as error:
            return await self._refuse(error, source)
        answer = _page(
            HTTPStatus.OK,
            "Connected",
            f"{made.title or made.name} is connected. You can close this window.",
        )
        answer.delete_cookie(_COOKIE, path=f"/connect/{connection_id}")
        return answer

    async def _refuse(self, error: CoachlineError, source: str) -> Response:
        if isinstance(error, InstallationRefused):
            await self._limiter.note_failure(source)
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise error
        return _page(error.status, "Not connected", error.message)


def _page(status: int, title: str, text: str) -> Response:
    return Response(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p></html>",
        status_code=status,
        media_type="text/html",
    )
