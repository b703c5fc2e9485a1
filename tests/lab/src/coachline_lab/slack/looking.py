"""Methods of the Web API that look, and the small ones: status, reactions, home."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from coachline_lab.slack.api import Method
from coachline_lab.slack.arguments import Arguments
from coachline_lab.slack.blocks import checked_blocks
from coachline_lab.slack.posting import Posting
from coachline_lab.slack.refusals import Refusal
from coachline_lab.slack.telling import Telling
from coachline_lab.slack.world import Installation, Stored, World

MOST_OBJECTS: Final = 1000
STATUS_SECONDS: Final = 120.0


class Looking:
    """``auth.*``, ``bots.*``, ``users.*``, ``conversations.*``, reactions, status and home.

    ``most_objects`` is how many messages one page of history holds; Slack gives some apps 15.
    """

    def __init__(self, world: World, posting: Posting, telling: Telling) -> None:
        self.most_objects = MOST_OBJECTS
        self._world = world
        self._posting = posting
        self._telling = telling

    def methods(self) -> Mapping[str, Method]:
        """The methods by lower-case name."""
        return {
            "auth.test": self._auth_test,
            "auth.revoke": self._auth_revoke,
            "bots.info": self._bots_info,
            "users.info": self._users_info,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.info": self._info,
            "conversations.open": self._open,
            "conversations.join": self._join,
            "reactions.add": self._react,
            "reactions.remove": self._take_back,
            "assistant.threads.setstatus": self._set_status,
            "views.publish": self._publish,
        }

    async def _auth_test(self, installation: Installation, _: Arguments) -> dict[str, Any]:
        team = installation.team
        return {
            "url": f"https://{team.name.casefold()}.slack.com/",
            "team": team.name,
            "user": installation.bot.name.casefold(),
            "team_id": team.id,
            "user_id": installation.bot.id,
            "bot_id": installation.bot_id,
            "is_enterprise_install": False,
        }

    async def _auth_revoke(self, installation: Installation, _: Arguments) -> dict[str, Any]:
        installation.is_revoked = True
        return {"revoked": True}

    async def _bots_info(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        wanted = arguments.needed("bot", "bot_not_found")
        for one in installation.team.installed.values():
            if one.bot_id == wanted:
                profile = one.profile()
                return {"bot": profile | {"user_id": one.bot.id, "updated": 1}}
        raise Refusal("bot_not_found")

    async def _users_info(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        user = installation.team.users.get(arguments.needed("user", "user_not_found"))
        if user is None:
            raise Refusal("user_not_found")
        return {"user": user.as_json()}

    async def _history(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        given = arguments.needed("channel", "channel_not_found")
        channel = self._posting.channel_of(installation, given)
        found = channel.between(channel.order, *self._range(arguments))
        return self._page(found, arguments)

    async def _replies(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        given = arguments.needed("channel", "channel_not_found")
        channel = self._posting.channel_of(installation, given)
        root = arguments.needed("ts")
        if root not in channel.messages and root not in channel.threads:
            raise Refusal("thread_not_found")
        stamps = channel.threads.get(root, [])
        oldest, latest, is_inclusive = self._range(arguments)
        newest_first = list(channel.between(stamps, oldest, latest, is_inclusive))
        replies = list(reversed(newest_first))
        # The message that began the thread comes along whatever the range is.
        first = [channel.messages[root]] if root in channel.messages else []
        return self._page([*first, *replies], arguments)

    def _range(self, arguments: Arguments) -> tuple[str, str, bool]:
        oldest, latest = arguments.text("oldest"), arguments.text("latest")
        is_inclusive = arguments.flag("inclusive")
        return _full(oldest), _full(latest), is_inclusive

    def _page(self, found: Iterable[Stored], arguments: Arguments) -> dict[str, Any]:
        limit = min(arguments.integer("limit", 100) or 100, self.most_objects)
        skipped = _skipped(arguments.text("cursor"))
        page = list(islice(found, skipped, skipped + limit + 1))
        has_more = len(page) > limit
        with_metadata = arguments.flag("include_all_metadata")
        messages = [_seen(one, with_metadata) for one in page[:limit]]
        answer: dict[str, Any] = {"messages": messages, "has_more": has_more}
        if has_more:
            cursor = base64.b64encode(f"next:{skipped + limit}".encode()).decode()
            answer["response_metadata"] = {"next_cursor": cursor}
        return answer

    async def _info(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        given = arguments.needed("channel", "channel_not_found")
        channel = self._posting.channel_of(installation, given, must_be_member=False)
        return {"channel": channel.as_json()}

    async def _open(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        user = installation.team.users.get(arguments.needed("users", "users_list_not_supplied"))
        if user is None:
            raise Refusal("user_not_found")
        if user.is_deleted:
            raise Refusal("user_disabled")
        channel = self._world.direct(installation.team, user.id, installation.bot.id)
        return {"channel": channel.as_json() if arguments.flag("return_im") else {"id": channel.id}}

    async def _join(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        given = arguments.needed("channel", "channel_not_found")
        channel = self._posting.channel_of(installation, given, must_be_member=False)
        if channel.kind != "channel":
            raise Refusal("method_not_supported_for_channel_type")
        channel.members.add(installation.bot.id)
        return {"channel": channel.as_json()}

    async def _react(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        stored = self._reacted(installation, arguments)
        name = arguments.needed("name", "invalid_name")
        users = stored.reactions.setdefault(name, [])
        if installation.bot.id in users:
            raise Refusal("already_reacted")
        users.append(installation.bot.id)
        return {}

    async def _take_back(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        stored = self._reacted(installation, arguments)
        users = stored.reactions.get(arguments.text("name"), [])
        if installation.bot.id not in users:
            raise Refusal("no_reaction")
        users.remove(installation.bot.id)
        return {}

    def _reacted(self, installation: Installation, arguments: Arguments) -> Stored:
        given = arguments.needed("channel", "channel_not_found")
        channel = self._posting.channel_of(installation, given)
        return channel.get(arguments.needed("timestamp", "no_item_specified"))

    async def _set_status(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        given = arguments.needed("channel_id", "channel_not_found")
        channel = self._posting.channel_of(installation, given)
        thread = arguments.needed("thread_ts", "invalid_thread_ts")
        if len(arguments.structure("loading_messages") or ()) > 10:
            raise Refusal("invalid_arguments")
        key, status = (channel.id, thread), arguments.text("status")
        installation.team.statuses.pop(key, None)
        if status:
            until = time.monotonic() + STATUS_SECONDS
            installation.team.statuses[key] = (status, until)
        return {}

    async def _publish(self, installation: Installation, arguments: Arguments) -> dict[str, Any]:
        user, view = arguments.needed("user_id", "user_not_found"), arguments.structure("view")
        if user not in installation.team.users:
            raise Refusal("user_not_found")
        if not isinstance(view, dict) or view.get("type") != "home":
            raise Refusal("invalid_arguments")
        shown = view | {"blocks": _home_blocks(view), "app_id": installation.app.id}
        installation.team.homes[(installation.app.id, user)] = shown
        return {"view": shown | {"id": f"V{installation.app.id}{user}", "hash": "1.lab"}}


def _home_blocks(view: Mapping[str, Any]) -> list[dict[str, Any]]:
    blocks = view.get("blocks")
    if isinstance(blocks, list) and len(blocks) > 50:  # a home may have more than a message
        return checked_blocks(blocks[:50]) + checked_blocks(blocks[50:100])
    return checked_blocks(blocks)


def _seen(stored: Stored, with_metadata: bool) -> dict[str, Any]:
    shown = dict(stored.json)
    reactions = [
        {"name": name, "users": users, "count": len(users)}
        for name, users in stored.reactions.items()
        if users
    ]
    if reactions:
        shown["reactions"] = reactions
    if with_metadata and stored.metadata is not None:
        shown["metadata"] = stored.metadata
    return shown


def _full(stamp: str) -> str:
    """A time with all its six places, so that it compares as text; empty for none."""
    if not stamp or stamp in ("0", "now"):
        return ""
    seconds, _, micros = stamp.partition(".")
    if not seconds.isdigit() or (micros and not micros.isdigit()):
        raise Refusal("invalid_ts_oldest")
    return f"{seconds}.{micros[:6]:0<6}"


def _skipped(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        word, _, number = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal("invalid_cursor") from None
    if word != "next" or not number.isdigit():
        raise Refusal("invalid_cursor")
    return int(number)
