"""What every reader of an event knows: the workspace, who we are in it, and the delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit

from channel_kit import EventKind, InboundEvent, PayloadUnreadable, Sender
from channel_slack.address import Address, sender_id
from channel_slack.config import SlackConfig
from channel_slack.reading import Fields, moment

_LONGEST_NAME: Final = 256


@dataclass(frozen=True, slots=True)
class Scope:
    """One delivery to one workspace."""

    team: str
    bot_user: str | None
    event_id: str | None
    received_at: datetime
    file_origins: frozenset[str]
    raw: dict[str, Any]

    @classmethod
    def of(
        cls, fields: Fields, config: SlackConfig, *, raw: dict[str, Any], received_at: datetime
    ) -> Self:
        """Return the scope of a payload.

        Raises:
            PayloadUnreadable: it does not say for which workspace it is.
        """
        team = team_of(fields)
        if team is None:
            raise PayloadUnreadable("team_id: is not an id")
        return cls(
            team=team,
            bot_user=config.bot_user_id or _authorized_bot(fields),
            event_id=fields.find_id("event_id"),
            received_at=received_at,
            file_origins=file_origins(config),
            raw=raw,
        )

    def delivery_id(self) -> str:
        """Return the external id of an event that is about no message of its own.

        Raises:
            PayloadUnreadable: the delivery has no id.
        """
        if self.event_id is None:
            raise PayloadUnreadable("event_id: is not an id")
        return f"e:{self.event_id}"

    def event(
        self,
        kind: EventKind,
        *,
        external_id: str,
        user: str,
        channel: str,
        thread_ts: str = "",
        at: str | None,
        name: str | None = None,
        **more: Any,
    ) -> InboundEvent:
        """Return an event of a person at a place. ``at`` is Slack's time; None when it has none."""
        address = Address(self.team, channel, thread_ts, user)
        return InboundEvent(
            external_id=external_id,
            kind=kind,
            sender=Sender(id=sender_id(self.team, user), name=(name or "")[:_LONGEST_NAME] or None),
            thread=str(address),
            is_private=address.is_direct,
            occurred_at=moment(at) if at else self.received_at,
            raw=self.raw,
            **more,
        )


def team_of(fields: Fields) -> str | None:
    """Return the workspace in which the app got this.

    In a channel that workspaces share, ``team_id`` and ``team`` may be those of the other side. An
    event's first authorization tells for whom it was delivered, a button's message or view is ours.
    """
    authorizations = fields.list("authorizations")
    view, message, team = (fields.find(name) for name in ("view", "message", "team"))
    return (
        (authorizations[0].find_id("team_id") if authorizations else None)
        or (view.find_id("app_installed_team_id") if view else None)
        or (message.find_id("team") if message else None)
        or fields.find_id("team_id")
        or (team.find_id("id") if team else None)
    )


def file_origins(config: SlackConfig) -> frozenset[str]:
    """Return where the bot token may be sent for a file: Slack's file host and our ``api_url``."""
    api = config.api_url
    return frozenset({"https://files.slack.com", f"{api.scheme}://{api.host}:{api.port}"})


def origin(url: str) -> str | None:
    """Return scheme, host and port of an address as :func:`file_origins` writes them, or None."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        return None
    standard = 443 if parts.scheme == "https" else 80
    if host == "files.slack.com" and parts.scheme == "https" and (port or standard) == standard:
        return "https://files.slack.com"
    return f"{parts.scheme}://{host}:{port or standard}"


def _authorized_bot(fields: Fields) -> str | None:
    for authorization in fields.list("authorizations"):
        if authorization.is_true("is_bot"):
            return authorization.find_id("user_id")
    return None
