"""The Slack app that a tenant creates: what it may do and what it hears."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Literal

SCOPES: Final = (
    "app_mentions:read",
    "channels:history",
    "chat:write",
    "commands",
    "files:read",
    "groups:history",
    "im:history",
    "im:write",
    "mpim:history",
    "reactions:read",
    "users:read",
)
"""What the bot token must be allowed; the README says what for."""

EVENTS: Final = (
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
    "tokens_revoked",
    "user_change",
)
"""What the app subscribes to."""

_APP_HOME: Final[Mapping[str, bool]] = {
    "home_tab_enabled": True,
    "messages_tab_enabled": True,
    "messages_tab_read_only_enabled": False,
}
_COMMAND: Final[Mapping[str, str | bool]] = {
    "description": "Ask, or say help",
    "usage_hint": "help",
    # Names come with their ids, as in messages.
    "should_escape": True,
}


def manifest(
    inbound_url: str,
    *,
    receive: Literal["events", "socket"] = "events",
    command: str = "/coach",
    name: str = "Coach",
    redirect_url: str | None = None,
) -> str:
    """Return the app manifest, as JSON, for "Create an app → From a manifest".

    Args:
        inbound_url: where Slack posts events, buttons and commands; of no use with ``socket``.
        receive: how events come.
        command: the app's slash command.
        name: what people see.
        redirect_url: where Slack comes back after an installation by OAuth, if there is one.
    """
    address = {"request_url": inbound_url} if receive == "events" else {}
    url = {"url": inbound_url} if receive == "events" else {}
    redirects = {"redirect_urls": [redirect_url]} if redirect_url is not None else {}
    document = {
        "display_information": {"name": name},
        "features": {
            "app_home": _APP_HOME,
            "bot_user": {"display_name": name, "always_online": True},
            "slash_commands": [{"command": command, **_COMMAND, **url}],
        },
        "oauth_config": {**redirects, "scopes": {"bot": SCOPES}},
        "settings": {
            "event_subscriptions": {**address, "bot_events": EVENTS},
            "interactivity": {"is_enabled": True, **address},
            "org_deploy_enabled": False,
            "socket_mode_enabled": receive == "socket",
            "token_rotation_enabled": False,
        },
    }
    return json.dumps(document, indent=2)
