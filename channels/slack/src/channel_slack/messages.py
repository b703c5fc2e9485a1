"""Messages, their edits and deletions, and reactions to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from channel_kit import Attachment, EventKind, InboundEvent
from channel_slack.address import message_id
from channel_slack.markup import mentions, names_somebody, plain_text, without_mention
from channel_slack.reading import Fields
from channel_slack.scope import Scope, origin

# What a person writes. Every other subtype is Slack's own line about something that happened.
_WRITTEN: Final = frozenset({None, "file_share", "thread_broadcast", "me_message"})
_MOST_FILES: Final = 20
_LONGEST_FILE_FIELD: Final = 256
_KINDS: Final[Mapping[str, str]] = {"image": "photo", "audio": "audio", "video": "video"}


def written(fields: Fields, scope: Scope) -> InboundEvent | None:
    """Return what a ``message`` or an ``app_mention`` says to us.

    Both come for one post, with different event ids; both give the same external id.
    """
    event = fields.get("event")
    subtype = event.find_text("subtype")
    if subtype == "message_changed":
        return _changed(event, scope)
    if subtype == "message_deleted":
        return _deleted(event, scope)
    if _is_a_bots(event, scope) or not _may_be_for_us(event, event, scope):
        return None
    if subtype in _WRITTEN:
        return _said(event, scope)
    # A kind of message that is newer than we are; a person's client numbered it.
    return _said(event, scope, is_readable=False) if event.has("client_msg_id") else None


def reaction(fields: Fields, scope: Scope) -> InboundEvent | None:
    """Return a reaction to a message of ours."""
    event = fields.get("event")
    item = event.get("item")
    is_ours = scope.bot_user is not None and event.find_id("item_user") == scope.bot_user
    user = event.get_id("user")
    if item.find_text("type") != "message" or not is_ours or user == scope.bot_user:
        return None
    channel, ts = item.get_id("channel"), item.get_timestamp("ts")
    return scope.event(
        EventKind.REACTION,
        external_id=scope.delivery_id(),
        user=user,
        channel=channel,
        thread_ts="" if _is_direct(channel) else ts,
        at=event.find_timestamp("event_ts"),
        text=f":{event.find_text('reaction') or ''}:",
        reply_to=message_id(scope.team, channel, ts),
    )


def _said(event: Fields, scope: Scope, *, is_readable: bool = True) -> InboundEvent:
    channel, ts = event.get_id("channel"), event.get_timestamp("ts")
    text = _text(event, scope)
    attachments = tuple(_attachments(event, scope))
    has_words = bool(text.strip() or attachments)
    return scope.event(
        EventKind.MESSAGE if is_readable and has_words else EventKind.UNSUPPORTED,
        external_id=message_id(scope.team, channel, ts),
        user=event.get_id("user"),
        name=_name(event),
        channel=channel,
        thread_ts=_thread(channel, event),
        is_addressed=_is_addressed(event, event, scope),
        at=ts,
        text=text if is_readable else "",
        attachments=attachments,
        reply_to=_parent(event, scope, channel),
    )


def _changed(event: Fields, scope: Scope) -> InboundEvent | None:
    message, before = event.get("message"), event.find("previous_message")
    if message.find_text("subtype") == "tombstone":
        # A deleted message that has a thread below it stays as an empty stone.
        return None if before is None else _removed(event, before, scope)
    if _is_a_bots(message, scope) or message.find_text("subtype") not in _WRITTEN:
        return None
    # Slack tells its own unfurling, pinning and starring of a message as a change of it.
    if before is None and not message.has("edited"):
        return None
    if before is not None and before.find_text("text") == message.find_text("text"):
        return None
    versions = [message] if before is None else [message, before]
    if not any(_may_be_for_us(event, one, scope) for one in versions):
        return None
    channel = event.get_id("channel")
    return scope.event(
        EventKind.EDIT,
        external_id=scope.delivery_id(),
        user=message.get_id("user"),
        name=_name(message),
        channel=channel,
        thread_ts=_thread(channel, message),
        is_addressed=any(_is_addressed(event, one, scope) for one in versions),
        at=event.find_timestamp("event_ts") or event.find_timestamp("ts"),
        text=_text(message, scope),
        attachments=tuple(_attachments(message, scope)),
        reply_to=message_id(scope.team, channel, message.get_timestamp("ts")),
    )


def _deleted(event: Fields, scope: Scope) -> InboundEvent | None:
    before = event.find("previous_message")
    return None if before is None else _removed(event, before, scope)


def _removed(event: Fields, before: Fields, scope: Scope) -> InboundEvent | None:
    user = before.find_id("user")
    if user is None or _is_a_bots(before, scope) or not _may_be_for_us(event, before, scope):
        return None
    channel = event.get_id("channel")
    ts = event.find_timestamp("deleted_ts") or before.get_timestamp("ts")
    return scope.event(
        EventKind.DELETE,
        external_id=scope.delivery_id(),
        user=user,
        channel=channel,
        thread_ts=_thread(channel, before),
        is_addressed=_is_addressed(event, before, scope),
        at=event.find_timestamp("event_ts") or event.find_timestamp("ts"),
        reply_to=message_id(scope.team, channel, ts),
    )


def _is_a_bots(message: Fields, scope: Scope) -> bool:
    # Bots are told by any of these; only some of them, and some of the time, have the subtype.
    if message.has("bot_id") or message.has("bot_profile"):
        return True
    user = message.find_id("user")
    return user is None or user in (scope.bot_user, "USLACKBOT")


def _is_addressed(event: Fields, message: Fields, scope: Scope) -> bool:
    """Tell whether a message is for us: alone with us, with our name, or below our message."""
    if event.find_text("type") == "app_mention" or _is_direct(event.get_id("channel")):
        return True
    if mentions(message.find_text("text") or "", scope.bot_user):
        return True
    parent = message.find_id("parent_user_id")
    return parent is not None and parent == scope.bot_user


def _may_be_for_us(event: Fields, message: Fields, scope: Scope) -> bool:
    """Tell whether a message is for us, or goes on in a thread and names nobody else."""
    if _is_addressed(event, message, scope):
        return True
    is_below = message.find_timestamp("thread_ts") not in (None, message.find_timestamp("ts"))
    return is_below and not names_somebody(message.find_text("text") or "")


def _is_direct(channel: str) -> bool:
    return channel.startswith("D")


def _thread(channel: str, message: Fields) -> str:
    """Return where the answer goes: its thread; else a new one below it, or the bare DM."""
    thread_ts = message.find_timestamp("thread_ts")
    if thread_ts is not None:
        return thread_ts
    return "" if _is_direct(channel) else message.get_timestamp("ts")


def _parent(event: Fields, scope: Scope, channel: str) -> str | None:
    thread_ts = event.find_timestamp("thread_ts")
    if thread_ts is None or thread_ts == event.find_timestamp("ts"):
        return None
    return message_id(scope.team, channel, thread_ts)


def _text(message: Fields, scope: Scope) -> str:
    return plain_text(without_mention(message.find_text("text") or "", scope.bot_user))


def _name(message: Fields) -> str | None:
    # Only sent for people of other workspaces; for our own Slack wants to be asked.
    profile = message.find("user_profile")
    if profile is None:
        return None
    return profile.find_text("display_name") or profile.find_text("real_name")


def _attachments(message: Fields, scope: Scope) -> Iterator[Attachment]:
    for file in message.list("files")[:_MOST_FILES]:
        if file.find_text("mode") in ("tombstone", "hidden_by_limit"):
            continue
        mime_type = (file.find_text("mimetype") or "")[:_LONGEST_FILE_FIELD] or None
        reference = file.find_text("url_private_download") or file.find_text("url_private")
        is_ours = reference is not None and origin(reference) in scope.file_origins
        yield Attachment(
            kind=_KINDS.get((mime_type or "").partition("/")[0], "document"),
            reference=reference if is_ours else None,
            name=(file.find_text("name") or "")[:_LONGEST_FILE_FIELD] or None,
            mime_type=mime_type,
            size_bytes=file.find_count("size"),
        )
