"""Where people act on a fake Slack: which workspace, who, in which channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coachline_lab.ledger import Ledger
from coachline_lab.slack.telling import Telling
from coachline_lab.slack.world import (
    Channel,
    Installation,
    Stored,
    Team,
    User,
    World,
    thread_of,
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a person did.

    ``thread`` is the ledger's address of where answers to it come: its thread, or the direct
    message itself. ``place`` is where the ledger stood; ``ts`` the message that it made or was
    about; ``event_ids`` what the apps were told. ``status`` and ``body`` are what an app said at
    once to a command or a button; ``response_url`` came with those.
    """

    thread: str
    place: int
    ts: str
    channel: str
    event_ids: tuple[str, ...] = ()
    status: int = 0
    body: bytes = b""
    response_url: str = ""


class Stage:
    """Finds who acts where. What is left out is the only one that there is, or made."""

    def __init__(self, world: World, telling: Telling, ledger: Ledger) -> None:
        self.world = world
        self.telling = telling
        self.ledger = ledger

    def installation(self, given: Installation | None) -> Installation:
        """The app that is meant, in its workspace.

        Raises:
            LookupError: there is none, or there are several.
        """
        if given is not None:
            return given
        found = [one for app in self.world.apps.values() for one in app.installations.values()]
        if len(found) != 1:
            raise LookupError(f"{len(found)} installations here: say which one")
        return found[0]

    def user(self, given: User | str | None, team: Team) -> User:
        """Who acts; without a name it is always the same person of the workspace."""
        if isinstance(given, User):
            return given
        name = given or "U0LEA"
        known = team.users.get(name)
        return known or self.world.add_user(team, "Lea" if given is None else name, id=name)

    def channel(self, given: Channel | str | None, user: User, app: Installation) -> Channel:
        """The channel that is meant; without one, the direct message with the app.

        Raises:
            LookupError: there is no such channel.
        """
        if isinstance(given, Channel):
            return given
        if given is None:
            return self.world.direct(app.team, user.id, app.bot.id)
        if given not in app.team.channels:
            raise LookupError(f"there is no channel {given}")
        return app.team.channels[given]

    def post(
        self, user: User, channel: Channel, content: dict[str, Any], *, thread_ts: str = ""
    ) -> Said:
        """Let a person's message stand in a channel and tell the apps."""
        stamp = self.world.stamp()
        json = {
            "type": "message",
            "user": user.id,
            "team": channel.team.id,
            "ts": stamp,
            **content,
            **({"thread_ts": thread_ts} if thread_ts else {}),
        }
        root = channel.messages.get(thread_ts)
        if root is not None and "user" in root.json:
            json["parent_user_id"] = root.json["user"]
        stored = Stored(json)
        channel.put(stored)
        thread = thread_of(channel.team.id, channel.id, thread_ts)
        stored.entry = self.ledger.said(
            "", thread, stamp, content.get("text", ""), sender=user.name
        )
        ids = self.telling.message(channel, stored)
        return self.said(channel, stored, ids)

    def said(
        self, channel: Channel, stored: Stored, ids: tuple[str, ...] = (), **more: Any
    ) -> Said:
        """What a person gets to know about the own deed."""
        root = str(stored.json.get("thread_ts", ""))
        # In channels an answer opens the thread of what was said.
        where = root or ("" if channel.is_im else stored.ts)
        thread = thread_of(channel.team.id, channel.id, where)
        return Said(thread, self.ledger.place, stored.ts, channel.id, ids, **more)
