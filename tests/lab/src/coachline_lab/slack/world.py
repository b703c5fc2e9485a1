"""Who and what is on a fake Slack: workspaces, people, apps, channels and what stands in them."""

from __future__ import annotations

import secrets
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from coachline_lab.records import Accepted
from coachline_lab.slack.refusals import Refusal

SCOPES: Final = (
    "app_mentions:read,assistant:write,channels:history,channels:read,chat:write,commands,"
    "files:read,groups:history,groups:read,im:history,im:read,im:write,mpim:history,reactions:read,"
    "reactions:write,team:read,users:read"
)
EVENTS: Final = frozenset(
    {"message", "app_mention", "app_home_opened", "reaction_added", "reaction_removed"}
    | {"tokens_revoked", "app_uninstalled", "user_change", "member_joined_channel"}
)


@dataclass(slots=True)
class User:
    """A person of one workspace, or the user side of a bot."""

    id: str
    team_id: str
    name: str
    is_bot: bool = False
    is_deleted: bool = False

    def as_json(self) -> dict[str, Any]:
        """As ``users.info`` shows it."""
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name.casefold(),
            "deleted": self.is_deleted,
            "real_name": self.name,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "profile": {"real_name": self.name, "display_name": self.name, "team": self.team_id},
        }


@dataclass(slots=True)
class App:
    """An app as its maker registered it: one secret for all workspaces."""

    id: str
    name: str
    signing_secret: str
    client_id: str
    client_secret: str
    app_token: str
    verification_token: str
    request_url: str = ""
    uses_socket: bool = False
    events: frozenset[str] = EVENTS
    redirect_urls: tuple[str, ...] = ()
    installations: dict[str, Installation] = field(default_factory=dict)


@dataclass(slots=True)
class Installation:
    """An app in one workspace."""

    app: App
    team: Team
    bot: User
    bot_id: str
    token: str
    scopes: str = SCOPES
    installed_by: str = ""
    is_revoked: bool = False

    @property
    def account(self) -> str:
        """How the ledger names it."""
        return f"{self.app.id}:{self.team.id}"

    def profile(self) -> dict[str, Any]:
        """The ``bot_profile`` of its messages."""
        return {
            "id": self.bot_id,
            "app_id": self.app.id,
            "name": self.app.name,
            "team_id": self.team.id,
            "deleted": False,
        }


@dataclass(slots=True)
class Stored:
    """A message that stands in a channel; ``stream_until`` is when its stream dies by itself."""

    json: dict[str, Any]
    metadata: dict[str, Any] | None = None
    entry: Accepted | None = None
    by: Installation | None = None
    stream_until: float | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ts(self) -> str:
        """The message's id and time."""
        stamp: str = self.json["ts"]
        return stamp

    @property
    def root(self) -> str:
        """The ``ts`` of the message whose thread this is a reply in; empty in the channel."""
        thread = str(self.json.get("thread_ts", ""))
        return "" if thread == self.ts else thread


@dataclass(slots=True)
class Channel:
    """A channel or direct message. Messages are found by ``ts``, in order by ``order``."""

    id: str
    team: Team
    name: str
    kind: str = "channel"
    members: set[str] = field(default_factory=set)
    is_archived: bool = False
    messages: dict[str, Stored] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    threads: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_im(self) -> bool:
        """Whether it is a direct message."""
        return self.kind == "im"

    def put(self, stored: Stored) -> None:
        """Let a message stand here, in its thread or in the channel."""
        self.messages[stored.ts] = stored
        root = stored.root
        insort(self.threads.setdefault(root, []) if root else self.order, stored.ts)

    def get(self, ts: str, error: str = "message_not_found") -> Stored:
        """Return a message.

        Raises:
            Refusal: it is not there; with ``error``.
        """
        stored = self.messages.get(ts)
        if stored is None:
            raise Refusal(error)
        return stored

    def remove(self, ts: str) -> None:
        """Take a message away."""
        stored = self.messages.pop(ts)
        stamps = self.threads[stored.root] if stored.root else self.order
        del stamps[bisect_left(stamps, ts)]

    def between(
        self, stamps: list[str], oldest: str, latest: str, is_inclusive: bool
    ) -> Iterator[Stored]:
        """The messages of ``stamps`` (ascending) in a range of time, newest first."""
        low, high = (bisect_left, bisect_right) if is_inclusive else (bisect_right, bisect_left)
        start = low(stamps, oldest) if oldest else 0
        end = high(stamps, latest) if latest else len(stamps)
        for position in range(end - 1, start - 1, -1):
            yield self.messages[stamps[position]]

    def as_json(self) -> dict[str, Any]:
        """As ``conversations.info`` shows it."""
        shown = {
            "id": self.id,
            "is_im": self.is_im,
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_private": self.kind != "channel",
            "is_archived": self.is_archived,
            "is_member": True,
            "context_team_id": self.team.id,
        }
        if self.is_im:
            people = [one for one in self.members if not self.team.users[one].is_bot]
            return shown | {"user": people[0] if people else ""}
        return shown | {"name": self.name}


@dataclass(slots=True)
class Team:
    """A workspace."""

    id: str
    name: str
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    directs: dict[frozenset[str], Channel] = field(default_factory=dict)
    files: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    statuses: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    homes: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    installed: dict[str, Installation] = field(default_factory=dict)
    """Apps by the user id of their bot."""


class World:
    """Everything that exists, by its id or token."""

    def __init__(self) -> None:
        self.teams: dict[str, Team] = {}
        self.apps: dict[str, App] = {}
        self.tokens: dict[str, Installation] = {}
        self.app_tokens: dict[str, App] = {}
        self._number = 0
        self._last_stamp = 0

    def add_team(self, name: str = "Acme", *, id: str | None = None) -> Team:  # noqa: A002 - the platform's word
        """Make a workspace with a channel ``general``."""
        team = Team(id or self.new_id("T"), name)
        self.teams[team.id] = team
        self.add_channel(team, "general")
        return team

    def add_app(
        self,
        name: str = "Coach",
        *,
        signing_secret: str | None = None,
        uses_socket: bool = False,
        redirect_urls: Iterable[str] = (),
    ) -> App:
        """Register an app."""
        number = self.new_id("A")
        app = App(
            id=number,
            name=name,
            signing_secret=signing_secret or secrets.token_hex(16),
            client_id=f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}",
            client_secret=secrets.token_hex(16),
            app_token=f"xapp-1-{number}-{secrets.token_hex(16)}",
            verification_token=secrets.token_urlsafe(18),
            uses_socket=uses_socket,
            redirect_urls=tuple(redirect_urls),
        )
        self.apps[app.id] = app
        self.app_tokens[app.app_token] = app
        return app

    def install(self, app: App, team: Team, *, by: str = "", scopes: str = SCOPES) -> Installation:
        """Put an app into a workspace; once more gives the same installation its scopes anew."""
        known = app.installations.get(team.id)
        if known is not None and not known.is_revoked:
            known.scopes = scopes
            return known
        bot = known.bot if known else self.add_user(team, app.name, is_bot=True)
        token = f"xoxb-{secrets.randbelow(10**12)}-{secrets.token_hex(12)}"
        bot_id = known.bot_id if known else self.new_id("B")
        made = Installation(app, team, bot, bot_id, token, scopes, by)
        app.installations[team.id] = made
        team.installed[bot.id] = made
        self.tokens[made.token] = made
        return made

    def add_user(
        self,
        team: Team,
        name: str,
        *,
        id: str | None = None,  # noqa: A002 - the platform's word
        is_bot: bool = False,
    ) -> User:
        """Make a person of a workspace."""
        user = User(id or self.new_id("U"), team.id, name, is_bot)
        team.users[user.id] = user
        return user

    def add_channel(
        self,
        team: Team,
        name: str,
        members: Iterable[str] = (),
        *,
        kind: str = "channel",
        id: str | None = None,  # noqa: A002 - the platform's word
    ) -> Channel:
        """Make a channel."""
        prefix = {"im": "D", "group": "G"}.get(kind, "C")
        channel = Channel(id or self.new_id(prefix), team, name, kind, set(members))
        team.channels[channel.id] = channel
        return channel

    def direct(self, team: Team, one: str, other: str) -> Channel:
        """The direct message of two, opened if it is new."""
        pair = frozenset((one, other))
        channel = team.directs.get(pair)
        if channel is None:
            channel = self.add_channel(team, "", pair, kind="im")
            team.directs[pair] = channel
        return channel

    def new_id(self, prefix: str) -> str:
        """An id that nobody had."""
        self._number += 1
        return f"{prefix}0LAB{self._number:06d}"

    def stamp(self) -> str:
        """A ``ts`` that nobody had: the time, to the microsecond, always later than the last."""
        self._last_stamp = max(self._last_stamp + 1, time.time_ns() // 1000)
        return f"{self._last_stamp // 10**6}.{self._last_stamp % 10**6:06d}"


def thread_of(team: str, channel: str, thread_ts: str | None = None) -> str:
    """The ledger's address of a conversation."""
    return f"{team}/{channel}/{thread_ts or ''}"
