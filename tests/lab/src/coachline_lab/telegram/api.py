"""The Bot API over HTTP: finds the bot and the method, lets a fault meet the call, notes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from coachline_lab.faults import Fault, Faults, Mode
from coachline_lab.ledger import Ledger
from coachline_lab.records import Call
from coachline_lab.serving import answer_under
from coachline_lab.telegram.arguments import Arguments, read_arguments
from coachline_lab.telegram.refusals import Refusal, bad_request, too_many
from coachline_lab.telegram.world import Bot, World

Method = Callable[[Bot, Arguments], Awaitable[Any]]
_NOT_IN_ANSWERS: Final = ("setwebhook", "deletewebhook", "close", "logout")


class TelegramApi:
    """Answers ``/bot{token}/{method}`` and ``/file/bot{token}/{path}``.

    Args:
        methods: what the platform can do, by lower-case name.
    """

    def __init__(
        self, world: World, ledger: Ledger, faults: Faults, methods: Mapping[str, Method]
    ) -> None:
        self._world = world
        self._ledger = ledger
        self._faults = faults
        self._methods = methods

    def add_to(self, app: web.Application) -> None:
        """Serve the API in ``app``."""
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_get("/file/bot{token}/{path:.*}", self._file)

    async def execute(self, bot: Bot, call: dict[str, Any]) -> None:
        """Do what the answer of a webhook says. Its result is seen by nobody."""
        name = str(call["method"]).casefold()
        method = self._methods.get(name)
        if method is None or name in _NOT_IN_ANSWERS or name.startswith("get"):
            return
        arguments = Arguments({key: value for key, value in call.items() if key != "method"})
        noted = self._note(bot, str(call["method"]), arguments, Fault())
        await self._do(method, bot, arguments, noted)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        bot = self._world.bots.get(request.match_info["token"])
        if bot is None:
            return _answer(Refusal(401, "Unauthorized"))
        name = request.match_info["method"]
        method = self._methods.get(name.casefold())
        if method is None:
            return _answer(Refusal(404, "Not Found: method not found"))
        try:
            arguments = await read_arguments(request)
        except Refusal as refusal:
            return _answer(refusal)
        fault = self._faults.take(name)
        noted = self._note(bot, name, arguments, fault)

        async def accept() -> web.StreamResponse:
            if fault.mode is Mode.DYING_STREAM and name.casefold() == "sendmessagedraft":
                noted.outcome = "Bad Request: TEXTDRAFT_PEER_INVALID"
                return _answer(bad_request("TEXTDRAFT_PEER_INVALID"))
            return await self._do(method, bot, arguments, noted)

        def refuse(met: Fault) -> web.StreamResponse:
            refusal = _refusal(met)
            if noted.outcome != "ok":
                noted.outcome = refusal.description
                noted.retry_after = (refusal.parameters or {}).get("retry_after")
            return _answer(refusal)

        return await answer_under(fault, request, accept=accept, refuse=refuse)

    async def _do(
        self, method: Method, bot: Bot, arguments: Arguments, noted: Call
    ) -> web.Response:
        try:
            result = await method(bot, arguments)
        except Refusal as refusal:
            noted.outcome = refusal.description
            noted.retry_after = (refusal.parameters or {}).get("retry_after")
            return _answer(refusal)
        noted.outcome = "ok"
        return web.json_response({"ok": True, "result": result})

    def _note(self, bot: Bot, name: str, arguments: Arguments, fault: Fault) -> Call:
        chat, topic = arguments.values.get("chat_id"), arguments.values.get("message_thread_id")
        thread = None
        if chat is not None:
            thread = f"{chat}/{topic}" if topic else str(chat)
        return self._ledger.called(
            bot.account, name, arguments.values, thread=thread, fault=fault.mode.value
        )

    async def _file(self, request: web.Request) -> web.StreamResponse:
        bot = self._world.bots.get(request.match_info["token"])
        fault = self._faults.take("file")

        async def accept() -> web.StreamResponse:
            data = (
                bot.files.get(bot.file_paths.get(request.match_info["path"], "")) if bot else None
            )
            if data is None:
                return _answer(Refusal(404, "Not Found"))
            return web.Response(body=data, content_type="application/octet-stream")

        return await answer_under(
            fault, request, accept=accept, refuse=lambda met: _answer(_refusal(met))
        )


def _refusal(fault: Fault) -> Refusal:
    if fault.mode is Mode.RATE_LIMITED:
        return too_many(fault.retry_after)
    if fault.mode is Mode.REJECTED:
        return Refusal(fault.status or 400, fault.error or "Bad Request: rejected")
    return Refusal(fault.status or 500, "Internal Server Error")


def _answer(refusal: Refusal) -> web.Response:
    return web.json_response(refusal.as_json(), status=refusal.code)
