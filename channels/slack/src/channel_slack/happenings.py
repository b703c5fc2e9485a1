"""Events in which nobody says anything: who came, who left, and whether we may still be here."""

from __future__ import annotations

from typing import Final

from channel_kit import EventKind, InboundEvent
from channel_slack.address import HOME
from channel_slack.reading import Fields
from channel_slack.scope import Scope

_SLACK: Final = "slack"
"""In the place of the person, for what Slack itself says."""


def opened(fields: Fields, scope: Scope) -> InboundEvent | None:
    """Return somebody's first look at the app's Home tab, or at the messages with it.

    Slack tells every look. The external id is the same each time, so that the gateway takes the
    first one as new and all later ones as that one again.
    """
    event = fields.get("event")
    tab = event.find_text("tab")
    if tab not in ("home", "messages"):
        return None
    user = event.get_id("user")
    return scope.event(
        EventKind.OPENED,
        external_id=f"o:{scope.team}:{tab}:{user}",
        user=user,
        channel=HOME if tab == "home" else event.get_id("channel"),
        at=event.find_timestamp("event_ts"),
    )


def revoked(fields: Fields, scope: Scope) -> InboundEvent | None:
    """Return that the bot token was revoked; tokens of single people are not ours."""
    event = fields.get("event")
    return _gone(event, scope) if event.get("tokens").has("bot") else None


def uninstalled(fields: Fields, scope: Scope) -> InboundEvent | None:
    """Return that the app was removed from the workspace."""
    return _gone(fields.get("event"), scope)


def user_changed(fields: Fields, scope: Scope) -> InboundEvent | None:
    """Return that somebody's account was deactivated: they cannot be written to any more."""
    event = fields.get("event")
    user = event.get("user")
    if not user.is_true("deleted") or user.is_true("is_bot"):
        return None
    found = user.get_id("id")
    return scope.event(
        EventKind.CONSENT,
        external_id=scope.delivery_id(),
        user=found,
        # Slack takes a person for the direct message with them, whose own id is not told here.
        channel=found,
        at=event.find_timestamp("event_ts"),
        consent="blocked",
    )


def _gone(event: Fields, scope: Scope) -> InboundEvent:
    return scope.event(
        EventKind.REVOKED,
        external_id=scope.delivery_id(),
        user=_SLACK,
        channel=HOME,
        at=event.find_timestamp("event_ts"),
    )
