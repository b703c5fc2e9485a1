"""What happens around a chat: blocked, joined, moved, stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coachline_lab.telegram.payloads import new_message
from coachline_lab.telegram.stage import Said, Stage
from coachline_lab.telegram.world import Bot, Chat, ChatType, Person, now


class Circumstances:
    """Everything that learners do to bots and groups."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def block(self, *, user: Person | int | None = None, bot: Bot | None = None) -> None:
        """Block the bot: it cannot write any more, and hears so."""
        self._bar(user, bot, "blocked", ("member", "kicked"))

    async def unblock(self, *, user: Person | int | None = None, bot: Bot | None = None) -> None:
        """Let the bot write again."""
        self._bar(user, bot, None, ("kicked", "member"))

    async def deactivate(self, *, user: Person | int | None = None, bot: Bot | None = None) -> None:
        """Delete the account. The bot learns of it when it writes."""
        person = self._stage.person(user)
        self._stage.chat(None, person, bot).barrier = "deactivated"

    async def add_bot_to_group(
        self,
        title: str = "Team",
        *,
        bots: Sequence[Bot] = (),
        user: Person | int | None = None,
        type: ChatType = "supergroup",  # noqa: A002 - the platform's word
        is_forum: bool = False,
        is_admin: bool = False,
        id: int | None = None,  # noqa: A002 - the platform's word
    ) -> Chat:
        """Make a group with bots in it; they hear that they were added."""
        members = list(bots) or [self._stage.bot(None)]
        chat = self._stage.world.add_group(title, members, type=type, is_forum=is_forum, id=id)
        person = self._stage.person(user)
        for bot in members:
            if is_admin:
                chat.admins.add(bot.id)
            status = "administrator" if is_admin else "member"
            self._member_update(bot, chat, person, "left", status)
            await self.join(chat, bot.person, by=person)
        return chat

    async def join(self, chat: Chat, newcomer: Person, *, by: Person | None = None) -> Said:
        """Let somebody come into a group, which a service message says."""
        content = {"new_chat_members": [newcomer.as_json()]}
        return self._service(chat, by or newcomer, content)

    async def leave(self, chat: Chat, person: Person) -> Said:
        """Let somebody leave a group."""
        return self._service(chat, person, {"left_chat_member": person.as_json()})

    async def kick_bot(
        self, chat: Chat, *, bot: Bot | None = None, user: Person | int | None = None
    ) -> None:
        """Throw a bot out of a group."""
        thrown = self._stage.bot(bot)
        chat.barrier = "kicked" if len(chat.bots) == 1 else None
        self._member_update(thrown, chat, self._stage.person(user), "member", "kicked")
        if len(chat.bots) > 1:
            del chat.bots[thrown.id]

    async def add_topic(
        self, chat: Chat, name: str = "Plans", *, user: Person | int | None = None
    ) -> int:
        """Begin a topic of a forum and return its number.

        Raises:
            ValueError: the chat is no forum.
        """
        if not chat.is_forum:
            raise ValueError("only forums have topics")
        created = {"name": name, "icon_color": 7322096}
        person = self._stage.person(user)
        message = new_message(chat, person, {"forum_topic_created": created})
        number: int = message["message_id"]
        message |= {"message_thread_id": number, "is_topic_message": True}
        chat.topics[number] = message
        self._stage.enter(chat, message, "")
        self._stage.tell(chat, "message", message)
        return number

    async def migrate(self, chat: Chat, *, user: Person | int | None = None) -> Chat:
        """Turn a group into a supergroup with another id; the old one only refers to it."""
        person = self._stage.person(user)
        world = self._stage.world
        moved = world.add_group(chat.title or "", chat.bots.values(), type="supergroup")
        moved.admins = set(chat.admins)
        self._service(chat, person, {"migrate_to_chat_id": moved.id})
        self._service(moved, person, {"migrate_from_chat_id": chat.id})
        chat.migrated_to = moved.id
        return moved

    async def stop_generation(
        self, draft_id: int, *, user: Person | int | None = None, bot: Bot | None = None
    ) -> Said:
        """Press Stop below a draft."""
        person = self._stage.person(user)
        chat = self._stage.chat(None, person, bot)
        payload = {"chat": chat.as_json(), "draft_id": draft_id}
        asked = self._stage.bot(bot)
        lane = f"stopped_message_generation:{chat.id}"
        number = self._stage.updates.emit(asked, "stopped_message_generation", payload, lane=lane)
        ids = (number,) if number is not None else ()
        return Said(str(chat.id), self._stage.ledger.place, 0, ids)

    async def connect_business(
        self, owner: Person | int, *, bot: Bot | None = None, is_enabled: bool = True
    ) -> str:
        """Let the bot answer for somebody's business account; return the connection."""
        person, asked = self._stage.world.person(owner), self._stage.bot(bot)
        payload = {
            "id": f"bc{person.id}",
            "user": person.as_json(),
            "user_chat_id": person.id,
            "date": now(),
            "rights": {"can_reply": True},
            "is_enabled": is_enabled,
        }
        self._stage.updates.emit(
            asked, "business_connection", payload, lane=f"business_connection:{person.id}"
        )
        return str(payload["id"])

    def customer_chat(
        self, connection: str, *, user: Person | int | None = None, bot: Bot | None = None
    ) -> Chat:
        """The chat of a customer with a business, to write into as anybody of the two."""
        person = self._stage.person(user)
        return self._stage.world.customer(self._stage.bot(bot), connection, person)

    async def refuse_drafts(
        self, *, user: Person | int | None = None, bot: Bot | None = None
    ) -> None:
        """Be one of those peers for whom drafts are refused."""
        self._stage.chat(None, self._stage.person(user), bot).refuses_drafts = True

    def _bar(
        self,
        user: Person | int | None,
        bot: Bot | None,
        barrier: str | None,
        statuses: tuple[str, str],
    ) -> None:
        person, asked = self._stage.person(user), self._stage.bot(bot)
        chat = self._stage.chat(None, person, asked)
        chat.barrier = barrier
        self._member_update(asked, chat, person, *statuses)

    def _service(self, chat: Chat, person: Person, content: dict[str, Any]) -> Said:
        message = new_message(chat, person, content)
        self._stage.enter(chat, message, "")
        return self._stage.said(chat, message, self._stage.tell(chat, "message", message))

    def _member_update(self, bot: Bot, chat: Chat, person: Person, before: str, after: str) -> None:
        payload = {
            "chat": chat.as_json(),
            "from": person.as_json(),
            "date": now(),
            "old_chat_member": _member(bot, before),
            "new_chat_member": _member(bot, after),
        }
        self._stage.updates.emit(bot, "my_chat_member", payload, lane=f"my_chat_member:{chat.id}")


_RIGHTS = (
    "can_be_edited",
    "is_anonymous",
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
    "can_send_welcome_messages",
)


def _member(bot: Bot, status: str) -> dict[str, Any]:
    member: dict[str, Any] = {"user": bot.person.as_json(), "status": status}
    if status == "administrator":
        member |= dict.fromkeys(_RIGHTS, False) | {"can_manage_chat": True}
    if status == "kicked":
        member["until_date"] = 0
    return member
