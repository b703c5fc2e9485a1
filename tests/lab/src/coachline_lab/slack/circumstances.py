"""What people do to an app: buttons, commands, its home, and taking it away."""

from __future__ import annotations

import secrets
from typing import Any

from aiohttp import web

from coachline_lab.slack.arguments import Arguments
from coachline_lab.slack.events import Events
from coachline_lab.slack.posting import Posting, content_of
from coachline_lab.slack.refusals import Refusal
from coachline_lab.slack.stage import Said, Stage
from coachline_lab.slack.world import Channel, Installation, Stored, User

RESPONSES = 5
"""How often one ``response_url`` can be used."""


class Circumstances:
    """Buttons, slash commands, the home tab, deactivation and revocation."""

    def __init__(self, stage: Stage, events: Events, posting: Posting) -> None:
        self.base_url = ""
        self._stage = stage
        self._events = events
        self._posting = posting
        self._responses: dict[str, tuple[Installation, Channel, Stored | None, int]] = {}

    def add_to(self, app: web.Application) -> None:
        """Serve response URLs in ``app``."""
        app.router.add_post("/actions/{key}", self._respond)

    async def press(
        self,
        button: str,
        *,
        user: User | str | None = None,
        channel: Channel | str | None = None,
        app: Installation | None = None,
        message: str | None = None,
    ) -> Said:
        """Press a button by its label, below ``message`` or the newest that has it.

        Raises:
            LookupError: there is no such button.
        """
        installation, person, place = self._where(user, channel, app)
        stored, block, element = _find_button(place, button, message)
        url = self._response_url(installation, place, stored)
        payload: dict[str, Any] = {
            "type": "block_actions",
            "user": _who(person),
            "api_app_id": installation.app.id,
            "token": installation.app.verification_token,
            "container": {
                "type": "message",
                "message_ts": stored.ts,
                "channel_id": place.id,
                "is_ephemeral": False,
            },
            "trigger_id": self._trigger(),
            "team": {"id": place.team.id, "domain": place.team.name.casefold()},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": place.id, "name": place.name or "directmessage"},
            "message": stored.json,
            "state": {"values": {}},
            "response_url": url,
            "actions": [
                {
                    **{k: v for k, v in element.items() if k != "accessibility_label"},
                    "block_id": block.get("block_id", "lab"),
                    "action_ts": self._stage.world.stamp(),
                }
            ],
        }
        if stored.root:
            payload["container"]["thread_ts"] = stored.root
        said = await self._events.interact(installation.app, "interactive", payload)
        return self._stage.said(place, stored, status=said.status, body=said.body, response_url=url)

    async def command(
        self,
        text: str = "",
        *,
        command: str = "/coach",
        user: User | str | None = None,
        channel: Channel | str | None = None,
        app: Installation | None = None,
    ) -> Said:
        """Use a slash command."""
        installation, person, place = self._where(user, channel, app)
        url = self._response_url(installation, place, None)
        form = {
            "token": installation.app.verification_token,
            "team_id": place.team.id,
            "team_domain": place.team.name.casefold(),
            "channel_id": place.id,
            "channel_name": place.name or "directmessage",
            "user_id": person.id,
            "user_name": person.name.casefold(),
            "command": command,
            "text": text,
            "api_app_id": installation.app.id,
            "is_enterprise_install": "false",
            "response_url": url,
            "trigger_id": self._trigger(),
        }
        stored = Stored({"ts": self._stage.world.stamp(), "user": person.id})
        said = await self._events.interact(installation.app, "slash_commands", form)
        thread = f"{place.team.id}/{place.id}/"
        place_now = self._stage.ledger.place
        return Said(
            thread, place_now, stored.ts, place.id, (), said.status, said.body, response_url=url
        )

    async def open_home(
        self,
        *,
        tab: str = "home",
        user: User | str | None = None,
        app: Installation | None = None,
    ) -> Said:
        """Look at the app's home tab, or at its messages."""
        installation, person, place = self._where(user, None, app)
        stamp = self._stage.world.stamp()
        event = {
            "type": "app_home_opened",
            "user": person.id,
            "channel": place.id,
            "tab": tab,
            "event_ts": stamp,
        }
        ids = self._stage.telling.to_one(installation, event)
        return self._stage.said(place, Stored({"ts": stamp}), ids)

    async def deactivate(
        self, user: User | str | None = None, *, app: Installation | None = None
    ) -> tuple[str, ...]:
        """Deactivate somebody's account, as an administrator of the workspace."""
        installation, person, _ = self._where(user, None, app)
        person.is_deleted = True
        event = {
            "type": "user_change",
            "user": person.as_json(),
            "cache_ts": 1,
            "event_ts": self._stage.world.stamp(),
        }
        return self._stage.telling.to_one(installation, event)

    async def revoke(self, *, app: Installation | None = None) -> tuple[str, ...]:
        """Revoke the app's bot token."""
        installation = self._stage.installation(app)
        installation.is_revoked = True
        event = {
            "type": "tokens_revoked",
            "tokens": {"oauth": [], "bot": [installation.bot.id]},
            "event_ts": self._stage.world.stamp(),
        }
        return self._stage.telling.to_one(installation, event)

    async def uninstall(self, *, app: Installation | None = None) -> tuple[str, ...]:
        """Remove the app from the workspace: its token is revoked, then it is gone."""
        installation = self._stage.installation(app)
        revoked = await self.revoke(app=installation)
        event = {"type": "app_uninstalled", "event_ts": self._stage.world.stamp()}
        return revoked + self._stage.telling.to_one(installation, event)

    def _where(
        self,
        user: User | str | None,
        channel: Channel | str | None,
        app: Installation | None,
    ) -> tuple[Installation, User, Channel]:
        installation = self._stage.installation(app)
        person = self._stage.user(user, installation.team)
        return installation, person, self._stage.channel(channel, person, installation)

    def _trigger(self) -> str:
        return f"{self._stage.world.stamp()}.{secrets.token_hex(16)}"

    def _response_url(
        self, installation: Installation, channel: Channel, stored: Stored | None
    ) -> str:
        key = secrets.token_urlsafe(16)
        self._responses[key] = (installation, channel, stored, RESPONSES)
        return f"{self.base_url}/actions/{key}"

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        known = self._responses.get(key)
        if known is None or not known[3]:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        installation, channel, stored, left = known
        self._responses[key] = (installation, channel, stored, left - 1)
        try:
            said = Arguments(await request.json())
            if stored is not None and said.flag("delete_original"):
                channel.remove(stored.ts)
                if stored.entry is not None:
                    self._stage.ledger.remove(stored.entry)
                return web.Response(text="ok")
            content, _ = content_of(said)
            if stored is not None and said.flag("replace_original"):
                self._posting.change(channel, stored, content)
            else:
                self._posting.write(installation, channel, content)
        except Refusal as refusal:
            return web.json_response(refusal.as_json(), status=400)
        return web.Response(text="ok")


def _who(user: User) -> dict[str, Any]:
    name = user.name.casefold()
    return {"id": user.id, "username": name, "name": name, "team_id": user.team_id}


def _find_button(
    channel: Channel, label: str, message: str | None
) -> tuple[Stored, dict[str, Any], dict[str, Any]]:
    for stamp in [message] if message else sorted(channel.messages, reverse=True):
        stored = channel.messages[stamp]
        for block in stored.json.get("blocks", ()):
            for element in [*block.get("elements", ()), block.get("accessory", {})]:
                is_button = element.get("type") == "button"
                if is_button and element["text"]["text"] == label:
                    return stored, block, element
    raise LookupError(f"there is no button {label!r}")
