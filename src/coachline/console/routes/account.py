"""What belongs to whoever sits there: their sessions, how the page looks, signing out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response

from coachline.console.own_paths import HOME, own_path
from coachline.console.pages import Pages
from coachline.console.routes.desk import COOKIE, Desk, Seated
from coachline.console.sessions import Sessions, SessionShown
from coachline.foundation.ids import SessionId

# Of the many names in a browser's self-portrait, the first of these that is in it.
_BROWSERS: Final = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
_FULL_NAMES: Final = (("Edg", "Edge"), ("OPR", "Opera"))
_SYSTEMS: Final = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux")


@dataclass(frozen=True, slots=True)
class _Line:
    id: SessionId
    browser: str
    agent: str
    created_at: datetime
    seen_at: datetime


class AccountRoutes:
    """``/console``, ``/console/account``, ``/console/theme`` and ``/console/sign-out``."""

    def __init__(self, sessions: Sessions, pages: Pages, desk: Desk) -> None:
        self._sessions = sessions
        self._pages = pages
        self.router = APIRouter(
            prefix="/console",
            include_in_schema=False,
            dependencies=[Depends(desk.seat("read"))],
        )
        add = self.router.add_api_route
        add("", self.home, methods=["GET"])
        add("/account", self.show, methods=["GET"])
        add("/account/sessions/{session_id}/end", self.end, methods=["POST"])
        add("/theme", self.turn_theme, methods=["POST"])
        add("/sign-out", self.sign_out, methods=["POST"])

    async def home(self, request: Request) -> Response:
        """Go to the first page."""
        return self._pages.done(request, HOME)

    async def show(self, request: Request, seat: Seated) -> Response:
        """Who sits there, and where else they are signed in."""
        lines = [_line(found) for found in await self._sessions.list(seat)]
        return self._pages.render(request, "account.html", seat, sessions=lines)

    async def end(self, request: Request, seat: Seated, session_id: UUID) -> Response:
        """End another session of the same person."""
        await self._sessions.end(seat, SessionId(session_id))
        return self._pages.done(request, "/console/account", "That browser is signed out.")

    async def turn_theme(
        self,
        request: Request,
        theme: Annotated[str, Form(max_length=10)],
        back: Annotated[str, Form(max_length=1_000)] = HOME,
    ) -> Response:
        """Remember light or dark in this browser."""
        return self._pages.turn_theme(request, own_path(back), theme)

    async def sign_out(self, request: Request, seat: Seated) -> Response:
        """End this session."""
        await self._sessions.end(seat)
        answer = self._pages.done(request, "/console/sign-in")
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return answer


def _line(found: SessionShown) -> _Line:
    return _Line(found.id, _browser(found.agent), found.agent, found.created_at, found.seen_at)


def _browser(agent: str) -> str:
    """A browser as people call it, such as ``Firefox on Linux``."""
    words = set(re.findall(r"[A-Za-z]+(?: OS X)?", agent))
    browser = next((name for name in _BROWSERS if name in words), "A browser")
    system = next((name for name in _SYSTEMS if name in agent), "")
    name = dict(_FULL_NAMES).get(browser, browser)
    return f"{name} on {system.replace(' OS X', '')}" if system else name
