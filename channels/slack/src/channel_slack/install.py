"""Connecting: proving the credentials, finding out who we are, and installation by OAuth 2."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from slack_sdk.web.async_slack_response import AsyncSlackResponse

from channel_kit import Connected, CredentialsRejected, OutcomeUnknown, ReplyRejected
from channel_slack.client import SlackClient, text_in
from channel_slack.config import SlackConfig
from channel_slack.inbound import account_of
from channel_slack.manifest import SCOPES
from channel_slack.socket import SocketMode

_SCOPES_HEADER: Final = "x-oauth-scopes"


class Installation:
    """One app in one workspace."""

    def __init__(self, config: SlackConfig, client: SlackClient, socket: SocketMode) -> None:
        self._config = config
        self._client = client
        self._socket = socket

    async def connect(self, inbound_url: str) -> Connected:
        """Ask Slack who the tokens belong to, and say what is left to click.

        Raises:
            CredentialsRejected: a token is wrong or missing.
            ChannelError: Slack cannot be asked now.
        """
        who = await self._client.call(lambda web: web.auth_test())
        team, user, bot = (text_in(who, name) for name in ("team_id", "user_id", "bot_id"))
        if team is None or user is None or bot is None:
            raise CredentialsRejected("the token is not the bot token of a workspace")
        if self._config.receive == "socket":
            await self._socket.ticket()
        app = await self._app_id(bot)
        title = f"{text_in(who, 'team') or team} (@{text_in(who, 'user') or user})"
        return Connected(
            account=account_of(app or bot, team, self._config),
            title=title,
            config={
                "team_id": team,
                "bot_user_id": user,
                "bot_id": bot,
                **({"app_id": app} if app else {}),
            },
            steps=self._steps(who, inbound_url, app),
            write_to=f"https://slack.com/app_redirect?{urlencode({'app': app, 'team': team})}"
            if app
            else None,
        )

    def install_url(self, *, redirect_url: str, state: str) -> str:
        """Return Slack's page that asks for consent.

        Raises:
            CredentialsRejected: the settings have no ``client_id``.
        """
        client_id, _ = self._credentials()
        asked = {
            "client_id": client_id,
            "scope": ",".join(SCOPES),
            "redirect_uri": redirect_url,
            "state": state,
        }
        return f"{self._config.authorize_url}?{urlencode(asked)}"

    async def complete(self, *, code: str, redirect_url: str) -> Mapping[str, Any]:
        """Exchange the code for the bot token and what it belongs to.

        Raises:
            CredentialsRejected: Slack refuses the code, or gives no token that would last.
            ChannelError: Slack cannot be asked now.
        """
        client_id, client_secret = self._credentials()
        basic = b64encode(f"{client_id}:{client_secret}".encode()).decode()
        given = await self._client.call_as_app(
            # As web.oauth_v2_access, whose BasicAuth aiohttp is about to remove.
            lambda web: web.api_call(
                "oauth.v2.access",
                data={"code": code, "redirect_uri": redirect_url},
                headers={"Authorization": f"Basic {basic}"},
            )
        )
        if text_in(given, "refresh_token") is not None:
            raise CredentialsRejected(
                "token rotation is switched on: its tokens end after 12 hours; switch it off"
            )
        found = {
            "bot_token": text_in(given, "access_token"),
            "team_id": text_in(given, "team", "id"),
            "app_id": text_in(given, "app_id"),
            "bot_user_id": text_in(given, "bot_user_id"),
        }
        if None in found.values():
            raise CredentialsRejected("Slack gave no bot token of one workspace")
        installer = text_in(given, "authed_user", "id")
        return found if installer is None else {**found, "installed_by": installer}

    def _credentials(self) -> tuple[str, str]:
        client_id, client_secret = self._config.client_id, self._config.client_secret
        if client_id is None or client_secret is None:
            raise CredentialsRejected("installing needs client_id and client_secret")
        return client_id, client_secret.get_secret_value()

    async def _app_id(self, bot: str) -> str | None:
        """Return the app's id, by which events name it."""
        try:
            answer = await self._client.call(lambda web: web.bots_info(bot=bot))
        except (ReplyRejected, OutcomeUnknown):  # without users:read, which the steps then name
            return self._config.app_id or _app_in(self._config)
        return text_in(answer, "bot", "app_id") or self._config.app_id or _app_in(self._config)

    def _steps(self, who: AsyncSlackResponse, inbound_url: str, app: str | None) -> tuple[str, ...]:
        page = f"https://api.slack.com/apps/{app}" if app else "https://api.slack.com/apps"
        steps: list[str] = []
        missing = _missing_scopes(who)
        if missing:
            steps.append(
                f"At {page}/oauth add the bot scopes {', '.join(missing)}, and reinstall the app."
            )
        if self._config.receive == "socket":
            steps.append(f"At {page}/socket-mode check that Socket Mode is on.")
        else:
            steps += [
                f"At {page}/event-subscriptions enter the Request URL {inbound_url}",
                f"At {page}/interactive-messages switch Interactivity on, with the same URL.",
                f"At {page}/slash-commands give {self._config.command} the same URL.",
            ]
        return (*steps, "Or do all of that at once: paste the app manifest of the README.")


def _missing_scopes(who: AsyncSlackResponse) -> list[str]:
    headers = {str(name).lower(): str(value) for name, value in who.headers.items()}
    if _SCOPES_HEADER not in headers:
        return []  # Not every proxy and emulator tells.
    granted = {scope.strip() for scope in headers[_SCOPES_HEADER].split(",")}
    return [scope for scope in SCOPES if scope not in granted]


def _app_in(config: SlackConfig) -> str | None:
    """Return the app's id from the app token, which begins ``xapp-1-{app}-``."""
    token = config.app_token.get_secret_value() if config.app_token else ""
    parts = token.split("-")
    return parts[2] if len(parts) >= 4 and parts[2].startswith("A") else None
