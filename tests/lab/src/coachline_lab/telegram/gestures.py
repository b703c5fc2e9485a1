"""Methods of the Bot API that say nothing: typing, reactions, answers to buttons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from coachline_lab.telegram.api import Method
from coachline_lab.telegram.arguments import Arguments
from coachline_lab.telegram.entities import units
from coachline_lab.telegram.refusals import bad_request
from coachline_lab.telegram.world import Bot, World
from coachline_lab.telegram.writing import chat_in, topic_in

ACTIONS: Final = frozenset(
    {"typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice"}
    | {"upload_document", "choose_sticker", "find_location", "record_video_note"}
    | {"upload_video_note"}
)


class GestureMethods:
    """``sendChatAction``, ``setMessageReaction``, ``answerCallbackQuery``, ``leaveChat``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def methods(self) -> Mapping[str, Method]:
        """The methods by lower-case name."""
        return {
            "sendchataction": self._send_chat_action,
            "setmessagereaction": self._set_message_reaction,
            "answercallbackquery": self._answer_callback_query,
            "leavechat": self._leave_chat,
        }

    async def _send_chat_action(self, bot: Bot, arguments: Arguments) -> Any:
        chat = chat_in(self._world, bot, arguments)
        topic_in(chat, arguments)
        if arguments.text("action") not in ACTIONS:
            raise bad_request("wrong parameter action in request")
        return True

    async def _set_message_reaction(self, bot: Bot, arguments: Arguments) -> Any:
        chat = chat_in(self._world, bot, arguments)
        stored = chat.get(arguments.integer("message_id"), "message to react not found")
        reactions = arguments.listed("reaction") or []
        if len(reactions) > 1:
            raise bad_request("REACTIONS_TOO_MANY")
        for one in reactions:
            if not isinstance(one, dict) or one.get("type") not in ("emoji", "custom_emoji"):
                raise bad_request("REACTION_INVALID")
        if stored.entry is not None:
            stored.entry.details = {**stored.entry.details, "reaction": reactions}
        return True

    async def _answer_callback_query(self, bot: Bot, arguments: Arguments) -> Any:
        query = arguments.text("callback_query_id")
        if query not in bot.callbacks:
            raise bad_request(
                "query is too old and response timeout expired or query ID is invalid"
            )
        if units(arguments.text("text")) > 200:
            raise bad_request("MESSAGE_TOO_LONG")
        bot.callbacks[query] = True
        return True

    async def _leave_chat(self, bot: Bot, arguments: Arguments) -> Any:
        chat = chat_in(self._world, bot, arguments)
        if chat.type == "private":
            raise bad_request("chat member status can't be changed in private chats")
        chat.bots.pop(bot.id, None)
        return True
