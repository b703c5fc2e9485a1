"""Installing an app by a click: the page that asks, and the exchange of its code."""

from __future__ import annotations

import html
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web

from coachline_lab.slack.api import OpenMethod
from coachline_lab.slack.arguments import Arguments
from coachline_lab.slack.refusals import Refusal
from coachline_lab.slack.world import App, Team, World

_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>Install {app}</title>
<h1>{app} is requesting permission to access a workspace</h1>
<p>Scopes: {scopes}</p>
{links}
<p><a href="{denied}">Cancel</a></p>
"""


class OAuth:
    """``/oauth/v2/authorize`` for a person, ``oauth.v2.access`` for the app."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._codes: dict[str, tuple[App, Team, str, str, str]] = {}

    def methods(self) -> Mapping[str, OpenMethod]:
        """The methods by lower-case name."""
        return {"oauth.v2.access": self._access}

    def add_to(self, app: web.Application) -> None:
        """Serve the page in ``app``."""
        app.router.add_get("/oauth/v2/authorize", self._page)

    def approve(self, url: str, team: Team, *, by: str = "") -> str:
        """Click "Allow" on the page at ``url``; return where the browser is sent.

        Raises:
            Refusal: Slack would not show that page.
        """
        query = dict(parse_qsl(urlsplit(url).query))
        app, redirect = self._asked(query)
        code = secrets.token_urlsafe(24)
        self._codes[code] = (app, team, redirect, query.get("scope", ""), by)
        return _with(redirect, {"code": code, "state": query.get("state", "")})

    async def _page(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        try:
            app, redirect = self._asked(query)
        except Refusal as refusal:
            return web.Response(status=400, text=f"Something went wrong: {refusal.error}")
        chosen = self._world.teams.get(query.get("allow", ""))
        if chosen is not None:
            by = next((one.id for one in chosen.users.values() if not one.is_bot), "")
            raise web.HTTPFound(self.approve(str(request.url), chosen, by=by))
        links = [
            f'<p><a href="{html.escape(_with(str(request.rel_url), {"allow": team.id}))}">'
            f"Allow in {html.escape(team.name)}</a></p>"
            for team in self._world.teams.values()
        ]
        denied = _with(redirect, {"error": "access_denied", "state": query.get("state", "")})
        page = _PAGE.format(
            app=html.escape(app.name),
            scopes=html.escape(query.get("scope", "")),
            links="\n".join(links),
            denied=html.escape(denied),
        )
        return web.Response(text=page, content_type="text/html")

    def _asked(self, query: Mapping[str, str]) -> tuple[App, str]:
        client = query.get("client_id", "")
        app = next((one for one in self._world.apps.values() if one.client_id == client), None)
        if app is None:
            raise Refusal("invalid_client_id")
        redirect = query.get("redirect_uri") or next(iter(app.redirect_urls), "")
        allowed = not app.redirect_urls or any(redirect.startswith(x) for x in app.redirect_urls)
        if not redirect or not allowed:
            raise Refusal("bad_redirect_uri")
        return app, redirect

    async def _access(self, arguments: Arguments) -> dict[str, Any]:
        given = (arguments.text("client_id"), arguments.text("client_secret"))
        client, secret = arguments.basic or given
        app = next((one for one in self._world.apps.values() if one.client_id == client), None)
        if app is None:
            raise Refusal("invalid_client_id")
        if secret != app.client_secret:
            raise Refusal("bad_client_secret")
        # A code is good once, whether or not the rest of the call is right.
        known = self._codes.pop(arguments.needed("code", "invalid_code"), None)
        if known is None or known[0] is not app:
            raise Refusal("invalid_code")
        _, team, redirect, scope, by = known
        if arguments.text("redirect_uri", redirect) != redirect:
            raise Refusal("bad_redirect_uri")
        made = self._world.install(app, team, by=by, scopes=scope)
        return {
            "access_token": made.token,
            "token_type": "bot",
            "scope": made.scopes,
            "bot_user_id": made.bot.id,
            "app_id": app.id,
            "team": {"id": team.id, "name": team.name},
            "enterprise": None,
            "authed_user": {"id": by},
            "is_enterprise_install": False,
        }


def _with(url: str, more: Mapping[str, str]) -> str:
    joint = "&" if urlsplit(url).query else "?"
    return f"{url}{joint}{urlencode(more)}"
