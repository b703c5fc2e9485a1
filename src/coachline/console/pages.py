"""Pages and parts of pages: templates in, answers under one strict policy out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from coachline.console import times
from coachline.console.navigation import DESTINATIONS
from coachline.console.rich_text import plain_text, rich_text
from coachline.console.seat import Seat
from coachline.foundation.clock import Clock
from coachline.foundation.http import Refusal, request_id

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
PART_HEADER: Final = "x-part"
"""What a script of ours sends: it wants a part of a page, or only to know that it is done."""

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    # After signing out nothing of a learner or of a secret is a click on "back" away.
    "Cache-Control": "no-store",
    # Else browsers would not say where a form comes from, and it could not be judged.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_THEME: Final = "coachline-theme"
_THEMES: Final = ("light", "dark")
_THEME_SECONDS: Final = 365 * 86_400
_SAYS: Final = "coachline-says"
_SAYS_SECONDS: Final = 30
_LONGEST_SAYS: Final = 300


class Pages:
    """Renders templates of ``console/templates``.

    Every template has: ``seat`` (None before sign-in), ``destinations``, ``path``, ``theme``,
    ``says`` (what the last form wants told), ``now``; and the filters ``short``, ``day``,
    ``clock``, ``full``, ``iso`` of times, ``span`` of seconds, ``rich`` and ``plain`` of
    CommonMark.

    Args:
        clock: tells which day is today.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._templates = Environment(
            loader=PackageLoader("coachline.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            "short": lambda at, zone: times.short_time(at, clock.now(), zone),
            "day": lambda at, zone: times.day_name(at, clock.now(), zone),
            "clock": times.clock_time,
            "full": times.full_time,
            "iso": datetime.isoformat,
            "span": times.duration,
            "rich": rich_text,
            "plain": plain_text,
        }

    def render(
        self,
        request: Request,
        template: str,
        seat: Seat | None,
        *,
        status: int = HTTPStatus.OK,
        **context: Any,
    ) -> Response:
        """A page, or a part of one, under the strict policy.

        Args:
            request: what is answered.
            template: its name, such as ``inbox.html``.
            seat: who sees it; None before sign-in.
            status: of the answer.
            context: what the template needs; a name that is missing there is an error.
        """
        theme = request.cookies.get(_THEME, "")
        says = unquote(request.cookies.get(_SAYS, ""))[:_LONGEST_SAYS]
        body = self._templates.get_template(template).render(
            seat=seat,
            destinations=DESTINATIONS,
            path=request.url.path,
            theme=theme if theme in _THEMES else "",
            says=says,
            now=self._clock.now(),
            zone=seat.time_zone if seat else ZoneInfo("UTC"),
            **context,
        )
        answer = Response(
            body, status_code=status, headers=dict(_HEADERS), media_type="text/html; charset=utf-8"
        )
        if says and not is_part(request):
            answer.delete_cookie(_SAYS, path="/console", secure=True, samesite="lax")
        return answer

    def done(self, request: Request, path: str, says: str = "") -> Response:
        """The answer to a form that was taken: to a page of ours, which tells ``says`` once.

        A script gets no page, only ``says`` in a header.
        """
        told = quote(says[:_LONGEST_SAYS])
        if is_part(request):
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"x-says": told})
        answer = Response(status_code=HTTPStatus.SEE_OTHER, headers={"location": path, **_HEADERS})
        if says:
            answer.set_cookie(
                _SAYS,
                told,
                max_age=_SAYS_SECONDS,
                path="/console",
                secure=True,
                httponly=True,
                samesite="lax",
            )
        return answer

    def turn_theme(self, request: Request, path: str, theme: str) -> Response:
        """:meth:`done`, remembering ``light`` or ``dark``; anything else follows the system."""
        answer = self.done(request, path)
        if theme in _THEMES:
            answer.set_cookie(
                _THEME, theme, max_age=_THEME_SECONDS, path="/console", secure=True, samesite="lax"
            )
        else:
            answer.delete_cookie(_THEME, path="/console", secure=True, samesite="lax")
        return answer

    def refuse(self, request: Request, refusal: Refusal, seat: Seat | None) -> Response | None:
        """A page that says what went wrong; scripts get the problem document instead."""
        if is_part(request):
            return None
        if refusal.status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return Response(
                status_code=HTTPStatus.SEE_OTHER,
                headers={"location": f"/console/sign-in?next={quote(wanted, safe='/')}"},
            )
        answer = self.render(
            request,
            "problem.html",
            seat,
            status=refusal.status,
            title=HTTPStatus(refusal.status).phrase,
            detail=refusal.detail,
            code=refusal.code,
            request_id=request_id(request),
        )
        for name in ("Retry-After",):
            if name in refusal.headers:
                answer.headers[name] = refusal.headers[name]
        return answer


def is_part(request: Request) -> bool:
    """Whether a script of ours asks, which puts the answer into a page that is there."""
    return PART_HEADER in request.headers
