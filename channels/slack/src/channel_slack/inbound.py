"""From verified bytes to events: which workspace, which shape, and whose concern it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from channel_kit import InboundEvent, PayloadUnreadable
from channel_kit.accounts import vouched
from channel_kit.payload import clean_json
from channel_slack.config import SlackConfig
from channel_slack.happenings import opened, revoked, uninstalled, user_changed
from channel_slack.interactions import button, command
from channel_slack.messages import reaction, written
from channel_slack.reading import Fields, read_body
from channel_slack.scope import Scope, team_of

_log = logging.getLogger(__name__)

_Reader = Callable[[Fields, Scope], InboundEvent | None]

# Every other event is about nothing that somebody wrote to us. Among them: agent_session_stopped
# (the stop button: an answer is stored before it is shown, there is nothing left to stop),
# reaction_removed, channel and team housekeeping, and whatever Slack thinks of next.
_EVENTS: Final[Mapping[str, _Reader]] = {
    "message": written,
    "app_mention": written,
    "reaction_added": reaction,
    "app_home_opened": opened,
    "tokens_revoked": revoked,
    "app_uninstalled": uninstalled,
    "user_change": user_changed,
}

# Credentials of a kind: whoever has them can act for a while, and nobody needs them later.
_NOT_KEPT: Final = frozenset({"token", "response_url", "response_urls"})


def parse_events(
    body: bytes, config: SlackConfig, *, received_at: datetime
) -> tuple[InboundEvent, ...]:
    """Return the event in a request's body; none when it is nobody's words.

    Raises:
        PayloadUnreadable: it is not what Slack sends; the message shows nothing of the content.
    """
    return parse_payload(read_body(body), config, received_at=received_at)


def parse_payload(
    payload: dict[str, Any], config: SlackConfig, *, received_at: datetime
) -> tuple[InboundEvent, ...]:
    """Return the event in a payload, which is the same over HTTP and over a socket.

    Raises:
        PayloadUnreadable: as :func:`parse_events`.
    """
    fields = Fields(payload)
    reader = _reader_of(fields)
    if reader is None:
        return ()
    raw = clean_json({name: value for name, value in payload.items() if name not in _NOT_KEPT})
    scope = Scope.of(fields, config, raw=raw, received_at=received_at)
    if config.team_id is not None and scope.team != config.team_id:
        # One app, one secret, many workspaces: genuine, but another tenant's.
        return ()
    try:
        event = reader(fields, scope)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise PayloadUnreadable(f"{place}: {problem['msg']}") from None
    return () if event is None else (event,)


def account_of(app: str, team: str, config: SlackConfig) -> str:
    """Return the account that an app has in a workspace: ``{app_id}:{team_id}``."""
    return vouched(f"{app}:{team}", api_url=str(config.api_url), platform="slack.com")


def account_in(body: bytes, config: SlackConfig) -> str | None:
    """Return the account that a body is about, as :func:`account_of`; None if it does not say.

    None too for our own workspace when connecting could not find out which app we are: its account
    has the bot's name there, which no body has.
    """
    try:
        fields = Fields(read_body(body))
        app, team = fields.find_id("api_app_id"), team_of(fields)
    except PayloadUnreadable:
        return None
    if app is None or team is None or (config.app_id is None and team == config.team_id):
        return None
    return account_of(app, team, config)


def challenge_in(body: bytes) -> str | None:
    """Return the word that Slack wants back when an address is entered, or None."""
    try:
        fields = Fields(read_body(body))
        is_challenge = fields.find_text("type") == "url_verification"
        return fields.find_text("challenge") if is_challenge else None
    except PayloadUnreadable:
        return None


def _reader_of(fields: Fields) -> _Reader | None:
    if fields.has("command"):
        return command
    if fields.has("ssl_check"):
        return None
    kind = fields.find_text("type")
    if kind is None:
        raise PayloadUnreadable("type: is not a string")
    if kind == "event_callback":
        return _EVENTS.get(fields.get("event").find_text("type") or "")
    if kind == "block_actions":
        return button
    if kind == "app_rate_limited":
        # Slack dropped events of this workspace for a minute; nobody is told otherwise.
        _log.warning(
            "slack_rate_limited team=%s minute=%s",
            fields.find_id("team_id"),
            fields.find_count("minute_rate_limited"),
        )
    return None
