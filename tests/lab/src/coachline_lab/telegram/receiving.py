"""Methods of the Bot API about a bot itself and how it receives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from coachline_lab.telegram.api import Method
from coachline_lab.telegram.arguments import Arguments
from coachline_lab.telegram.payloads import me
from coachline_lab.telegram.refusals import bad_request
from coachline_lab.telegram.updates import Updates
from coachline_lab.telegram.world import Bot, Webhook

PORTS: Final = frozenset({443, 80, 88, 8443})
DOWNLOAD_BYTES: Final = 20 << 20
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")


class ReceivingMethods:
    """``getMe``, the webhook's methods, ``getUpdates``, files and commands."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def methods(self) -> Mapping[str, Method]:
        """The methods by lower-case name."""
        return {
            "getme": self._get_me,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._get_webhook_info,
            "getupdates": self._get_updates,
            "getfile": self._get_file,
            "setmycommands": self._set_my_commands,
            "deletemycommands": self._delete_my_commands,
            "getmycommands": self._get_my_commands,
        }

    async def _get_me(self, bot: Bot, arguments: Arguments) -> Any:
        return me(bot.person, is_private=bot.is_private, has_topics=bot.has_topics)

    async def _set_webhook(self, bot: Bot, arguments: Arguments) -> Any:
        url = arguments.text("url").strip()
        if not url:
            return await self._delete_webhook(bot, arguments)
        _check_address(url)
        secret = arguments.text("secret_token")
        if secret and not _SECRET.fullmatch(secret):
            raise bad_request("secret token contains unallowed characters")
        most = arguments.integer("max_connections", 40)
        if not 1 <= most <= 100:
            raise bad_request("max_connections must be between 1 and 100")
        _keep_allowed(bot, arguments)
        if arguments.is_true("drop_pending_updates"):
            bot.pending.clear()
        bot.last_error = None
        self._updates.set_webhook(bot, Webhook(url, secret, most))
        return True

    async def _delete_webhook(self, bot: Bot, arguments: Arguments) -> Any:
        if arguments.is_true("drop_pending_updates"):
            bot.pending.clear()
        bot.last_error = None
        self._updates.set_webhook(bot, None)
        return True

    async def _get_webhook_info(self, bot: Bot, arguments: Arguments) -> Any:
        info: dict[str, Any] = {
            "url": bot.webhook.url if bot.webhook else "",
            "has_custom_certificate": False,
            "pending_update_count": len(bot.pending),
        }
        if bot.webhook is not None:
            info |= {"max_connections": bot.webhook.max_connections, "ip_address": "127.0.0.1"}
        if bot.last_error is not None:
            info |= {"last_error_date": bot.last_error[0], "last_error_message": bot.last_error[1]}
        if bot.allowed:
            info["allowed_updates"] = sorted(bot.allowed)
        return info

    async def _get_updates(self, bot: Bot, arguments: Arguments) -> Any:
        _keep_allowed(bot, arguments)
        return await self._updates.poll(
            bot,
            arguments.integer("offset"),
            arguments.integer("limit", 100),
            arguments.integer("timeout"),
        )

    async def _get_file(self, bot: Bot, arguments: Arguments) -> Any:
        file_id = arguments.text("file_id")
        data = bot.files.get(file_id)
        if data is None:
            raise bad_request("invalid file_id")
        if len(data) > DOWNLOAD_BYTES:
            raise bad_request("file is too big")
        path = f"documents/file_{len(bot.file_paths)}"
        bot.file_paths[path] = file_id
        return {
            "file_id": file_id,
            "file_unique_id": file_id.rpartition("-")[2],
            "file_size": len(data),
            "file_path": path,
        }

    async def _set_my_commands(self, bot: Bot, arguments: Arguments) -> Any:
        commands = arguments.listed("commands") or []
        if len(commands) > 100:
            raise bad_request("BOT_COMMANDS_TOO_MUCH")
        for one in commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", str(one.get("command", ""))):
                raise bad_request("BOT_COMMAND_INVALID")
            if not 1 <= len(str(one.get("description", ""))) <= 256:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        bot.commands = commands
        return True

    async def _delete_my_commands(self, bot: Bot, arguments: Arguments) -> Any:
        bot.commands = []
        return True

    async def _get_my_commands(self, bot: Bot, arguments: Arguments) -> Any:
        return bot.commands


def _keep_allowed(bot: Bot, arguments: Arguments) -> None:
    """Left out, the previous setting stays; empty, it is the default again."""
    kinds = arguments.listed("allowed_updates")
    if kinds is not None:
        bot.allowed = frozenset(map(str, kinds)) or None


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("127.0.0.1", "localhost", "::1") and parts.scheme in ("http", "https"):
        return  # the one place where the lab asks for less than the platform
    if parts.scheme != "https":
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if (parts.port or 443) not in PORTS:
        raise bad_request("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
