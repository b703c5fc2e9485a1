"""Who and what is on a fake Telegram: people, bots, chats and what stands in them."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from coachline_lab.records import Accepted
from coachline_lab.telegram.refusals import Refusal, bad_request

ChatType = Literal["private", "group", "supergroup"]


@dataclass(frozen=True, slots=True)
class Person:
    """A user, or the user side of a bot."""

    id: int
    first_name: str
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = "en"
    is_bot: bool = False

    def as_json(self) -> dict[str, Any]:
        """As ``User`` of the Bot API."""
        shown = {
            "id": self.id,
            "is_bot": self.is_bot,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "username": self.username,
            "language_code": None if self.is_bot else self.language_code,
        }
        return {name: value for name, value in shown.items() if value is not None}


@dataclass(slots=True)
class Stored:
    """A message that stands in a chat: as its JSON, and in the ledger where a bot wrote it."""

    json: dict[str, Any]
    entry: Accepted | None = None
    by_bot: int | None = None


@dataclass(slots=True)
class Chat:
    """A chat. A private one belongs to one bot; its id is the person's.

    ``barrier`` is why bots cannot write here: ``blocked``, ``deactivated`` or ``kicked``.
    ``live_drafts`` maps draft id and topic to what is shown and until when (loop's clock).
    """

    id: int
    type: ChatType
    title: str | None = None
    person: Person | None = None
    is_forum: bool = False
    bots: dict[int, Bot] = field(default_factory=dict)
    admins: set[int] = field(default_factory=set)
    messages: dict[int, Stored] = field(default_factory=dict)
    topics: dict[int, dict[str, Any]] = field(default_factory=dict)
    last_message_id: int = 0
    migrated_to: int | None = None
    barrier: str | None = None
    refuses_drafts: bool = False
    live_drafts: dict[tuple[int, int], tuple[str, float]] = field(default_factory=dict)
    unseen: dict[tuple[int, int], tuple[int, Accepted]] = field(default_factory=dict)
    """Ephemeral messages by person and number: the bot that wrote them, and their entry."""
    last_unseen: dict[int, int] = field(default_factory=dict)
    business: str = ""
    """The connection of a business account, whose chat with a customer this is."""

    def as_json(self) -> dict[str, Any]:
        """As ``Chat`` of the Bot API."""
        shown: dict[str, Any] = {"id": self.id, "type": self.type}
        if self.person is not None:
            person = self.person.as_json()
            names = ("first_name", "last_name", "username")
            shown |= {name: person[name] for name in names if name in person}
        else:
            shown["title"] = self.title
        if self.is_forum and self.type == "supergroup":
            shown["is_forum"] = True
        return shown

    def thread(self, topic: int | None = None) -> str:
        """The ledger's address of this chat or of one of its topics."""
        place = f"{self.id}/{topic}" if topic else str(self.id)
        return f"{place}@{self.business}" if self.business else place

    def get(self, message_id: int, problem: str) -> Stored:
        """Return a message.

        Raises:
            Refusal: there is none; ``problem`` says for what it was wanted.
        """
        stored = self.messages.get(message_id)
        if stored is None:
            raise bad_request(problem)
        return stored


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a bot's updates go."""

    url: str
    secret: str = ""
    max_connections: int = 40


@dataclass(slots=True)
class Bot:
    """A bot account with its own ids: updates, private chats, files."""

    person: Person
    token: str
    is_private: bool = True
    """Privacy mode: in groups it only sees what is meant for it."""
    has_topics: bool = False
    webhook: Webhook | None = None
    allowed: frozenset[str] | None = None
    privates: dict[int, Chat] = field(default_factory=dict)
    businesses: dict[tuple[str, int], Chat] = field(default_factory=dict)
    next_update: int = field(default_factory=lambda: 100_000_000 + secrets.randbelow(10**8))
    last_message_id: int = 0
    pending: dict[int, Pending] = field(default_factory=dict)
    recent: deque[Pending] = field(default_factory=lambda: deque(maxlen=1000))
    more: asyncio.Event = field(default_factory=asyncio.Event)
    poller: int = 0
    callbacks: dict[str, bool] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    file_paths: dict[str, str] = field(default_factory=dict)
    commands: list[Any] = field(default_factory=list)
    last_error: tuple[int, str] | None = None
    gone_since: float | None = None

    @property
    def id(self) -> int:
        """The bot's user id, which its token begins with."""
        return self.person.id

    @property
    def account(self) -> str:
        """How the ledger names it."""
        return str(self.id)

    def takes(self, kind: str) -> bool:
        """Whether it asked for updates of this kind. Some come only when they are named."""
        if self.allowed:
            return kind in self.allowed
        return kind not in ("chat_member", "message_reaction", "message_reaction_count")


@dataclass(slots=True)
class Pending:
    """An update that was not confirmed yet. Those of one ``lane`` keep their order."""

    update: dict[str, Any]
    lane: str
    since: float

    @property
    def id(self) -> int:
        """The update's id."""
        number: int = self.update["update_id"]
        return number


class World:
    """Everything that exists, by its id."""

    def __init__(self) -> None:
        self.bots: dict[str, Bot] = {}
        self.people: dict[int, Person] = {}
        self.groups: dict[int, Chat] = {}
        self._next_id = 1_000

    def add_bot(
        self,
        token: str | None = None,
        *,
        username: str | None = None,
        name: str = "Coach",
        is_private: bool = True,
        has_topics: bool = False,
    ) -> Bot:
        """Make a bot, as BotFather does; without a token it is given one.

        Raises:
            ValueError: the token is no token, or taken.
        """
        number = self.next_id()
        token = token or f"{7_000_000_000 + number}:{secrets.token_urlsafe(26)[:35]}"
        if not re.fullmatch(r"\d+:[\w-]+", token) or token in self.bots:
            raise ValueError("a token is a number, a colon and letters, and new")
        username = username or f"coach{number}_bot"
        person = Person(int(token.partition(":")[0]), name, username=username, is_bot=True)
        bot = Bot(person, token, is_private=is_private, has_topics=has_topics)
        self.bots[token] = bot
        return bot

    def add_person(self, first_name: str, *, id: int | None = None, **names: Any) -> Person:  # noqa: A002 - the platform's word
        """Make a person."""
        person = Person(id or self.next_id(), first_name, **names)
        self.people[person.id] = person
        return person

    def person(self, given: Person | int) -> Person:
        """Return who is meant; an id that is new becomes a person."""
        if isinstance(given, Person):
            return self.people.setdefault(given.id, given)
        return self.people.get(given) or self.add_person(f"Learner {given}", id=given)

    def add_group(
        self,
        title: str,
        bots: Iterable[Bot],
        *,
        type: ChatType = "group",  # noqa: A002 - the platform's word
        is_forum: bool = False,
        id: int | None = None,  # noqa: A002 - the platform's word
    ) -> Chat:
        """Make a group, without telling anybody."""
        offset = -1_000_000_000_000 if type == "supergroup" else 0
        chat = Chat(id or offset - self.next_id(), type, title, is_forum=is_forum)
        chat.bots = {bot.id: bot for bot in bots}
        self.groups[chat.id] = chat
        return chat

    def private(self, bot: Bot, person: Person) -> Chat:
        """The private chat of a person with a bot, begun if it is new."""
        chat = bot.privates.get(person.id)
        if chat is None:
            chat = Chat(person.id, "private", person=person, bots={bot.id: bot})
            chat.is_forum = bot.has_topics
            bot.privates[person.id] = chat
        return chat

    def customer(self, bot: Bot, connection: str, person: Person) -> Chat:
        """The chat of a customer with a business account that a bot answers for."""
        chat = bot.businesses.get((connection, person.id))
        if chat is None:
            chat = Chat(person.id, "private", person=person, bots={bot.id: bot})
            chat.business = connection
            bot.businesses[(connection, person.id)] = chat
        return chat

    def chat_of(self, bot: Bot, chat_id: int, connection: str = "") -> Chat:
        """The chat that a bot may write to, on behalf of a business if ``connection`` says so.

        Raises:
            Refusal: there is none, it moved, or the bot may not.
        """
        if connection:
            chat = bot.businesses.get((connection, chat_id))
            if chat is None:
                raise bad_request("BUSINESS_PEER_INVALID")
        else:
            chat = bot.privates.get(chat_id) or self.groups.get(chat_id)
        if chat is None:
            if chat_id in self.people:
                raise Refusal(403, "Forbidden: bot can't initiate conversation with a user")
            raise bad_request("chat not found")
        if chat.migrated_to is not None:
            raise Refusal(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": chat.migrated_to},
            )
        barriers = {
            "blocked": "bot was blocked by the user",
            "deactivated": "user is deactivated",
            "kicked": f"bot was kicked from the {chat.type} chat",
        }
        if chat.barrier is not None:
            raise Refusal(403, f"Forbidden: {barriers[chat.barrier]}")
        if bot.id not in chat.bots:
            raise Refusal(403, f"Forbidden: bot is not a member of the {chat.type} chat")
        return chat

    def next_id(self) -> int:
        """A number that nobody had."""
        self._next_id += 1
        return self._next_id


def next_message_id(chat: Chat) -> int:
    """The id of the next message: a bot counts those of all its private chats together."""
    if chat.type == "private" and not chat.business:
        (bot,) = chat.bots.values()
        bot.last_message_id += 1
        return bot.last_message_id
    chat.last_message_id += 1
    return chat.last_message_id


def now() -> int:
    """Unix time, as the platform dates things."""
    return int(time.time())
