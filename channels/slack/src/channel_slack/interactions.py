"""Buttons and slash commands."""

from __future__ import annotations

from typing import Final

from channel_kit import EventKind, InboundEvent, PayloadUnreadable
from channel_slack.address import HOME, message_id
from channel_slack.markup import plain_text
from channel_slack.reading import Fields
from channel_slack.scope import Scope

CHOICE_PREFIX: Final = "choice:"
"""What the ``action_id`` of our buttons begins with."""


def command(fields: Fields, scope: Scope) -> InboundEvent:
    """Return a slash command, which is answered where it was given."""
    return scope.event(
        EventKind.COMMAND,
        external_id=_trigger(fields),
        user=fields.get_id("user_id"),
        name=fields.find_text("user_name"),
        channel=fields.get_id("channel_id"),
        thread_ts=fields.find_timestamp("thread_ts") or "",
        at=None,
        text=plain_text((fields.find_text("text") or "").strip()),
    )


def button(fields: Fields, scope: Scope) -> InboundEvent | None:
    """Return the choice that a press of one of our buttons made."""
    pressed = next(iter(fields.list("actions")), None)
    if pressed is None or not (pressed.find_text("action_id") or "").startswith(CHOICE_PREFIX):
        return None
    user, container = fields.get("user"), fields.get("container")
    message = fields.find("message")
    place = fields.find("channel")
    ts = container.find_timestamp("message_ts")
    channel = (place.find_id("id") if place else None) or container.find_id("channel_id") or HOME
    thread_ts = container.find_timestamp("thread_ts") or (
        message.find_timestamp("thread_ts") if message else None
    )
    return scope.event(
        EventKind.BUTTON,
        external_id=_trigger(fields),
        user=user.get_id("id"),
        name=user.find_text("name") or user.find_text("username"),
        channel=channel,
        thread_ts=thread_ts or "",
        at=pressed.find_timestamp("action_ts"),
        text=pressed.find_text("value") or "",
        reply_to=message_id(scope.team, channel, ts) if ts else None,
    )


def _trigger(fields: Fields) -> str:
    trigger = fields.find_text("trigger_id")
    if not trigger:
        raise PayloadUnreadable("trigger_id: is not a string")
    return f"t:{trigger}"
