"""The Web API over HTTP: knows the token, lets a fault meet the call, notes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from coachline_lab.faults import Fault, Faults, Mode
from coachline_lab.ledger import Ledger
from coachline_lab.records import Call
from coachline_lab.serving import answer_under
from coachline_lab.slack.arguments import Arguments, read_arguments
from coachline_lab.slack.rates import Rates
from coachline_lab.slack.refusals import Refusal, too_many
from coachline_lab.slack.world import Installation, World, thread_of

Method = Callable[[Installation, Arguments], Awaitable[dict[str, Any]]]
OpenMethod = Callable[[Arguments], Awaitable[dict[str, Any]]]

_NEEDED_SCOPE: Final = (
    ("chat.", "chat:write"),
    ("assistant.threads.setstatus", "chat:write"),
    ("conversations.open", "im:write"),
    ("reactions.add", "reactions:write"),
    ("users.info", "users:read"),
)


class SlackApi:
    """Answers ``/api/{method}``.

    Args:
        methods: what a bot token may call, by lower-case name.
        open_methods: what carries its credentials itself: OAuth and Socket Mode.
    """

    def __init__(
        self,
        world: World,
        ledger: Ledger,
        faults: Faults,
        rates: Rates,
        methods: Mapping[str, Method],
        open_methods: Mapping[str, OpenMethod],
    ) -> None:
        self._world = world
        self._ledger = ledger
        self._faults = faults
        self._rates = rates
        self._methods = methods
        self._open_methods = open_methods

    def add_to(self, app: web.Application) -> None:
        """Serve the API in ``app``."""
        app.router.add_route("*", "/api/{method}", self._call)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        try:
            arguments = await read_arguments(request)
        except Refusal as refusal:
            return _answer(refusal)
        fault = self._faults.take(name)
        installation = self._world.tokens.get(arguments.token)
        noted = self._note(installation, name, arguments, fault)

        async def accept() -> web.StreamResponse:
            return await self._do(name, installation, arguments, noted, fault)

        def refuse(met: Fault) -> web.StreamResponse:
            refusal = _refusal(met)
            if noted.outcome != "ok":
                noted.outcome, noted.retry_after = refusal.error, refusal.retry_after
            return _answer(refusal)

        response = await answer_under(fault, request, accept=accept, refuse=refuse)
        if installation is not None and not response.prepared:
            response.headers["X-OAuth-Scopes"] = installation.scopes
        return response

    async def _do(
        self,
        name: str,
        installation: Installation | None,
        arguments: Arguments,
        noted: Call,
        fault: Fault,
    ) -> web.Response:
        try:
            result = await self._result(name, installation, arguments, fault)
        except Refusal as refusal:
            noted.outcome, noted.retry_after = refusal.error, refusal.retry_after
            return _answer(refusal)
        noted.outcome = "ok"
        return web.json_response({"ok": True, **result})

    async def _result(
        self,
        name: str,
        installation: Installation | None,
        arguments: Arguments,
        fault: Fault,
    ) -> dict[str, Any]:
        folded = name.casefold()
        if folded in self._open_methods:
            return await self._open_methods[folded](arguments)
        method = self._methods.get(folded)
        if method is None:
            raise Refusal("unknown_method", req_method=name)
        if not arguments.token:
            raise Refusal("not_authed")
        if installation is None:
            raise Refusal("invalid_auth")
        if installation.is_revoked:
            raise Refusal("token_revoked")
        _check_scope(folded, installation)
        if fault.mode is Mode.DYING_STREAM and folded in ("chat.appendstream", "chat.stopstream"):
            self._let_die(installation, arguments)
        self._rates.draw(installation.account, folded, arguments.text("channel"))
        return await method(installation, arguments)

    def _let_die(self, installation: Installation, arguments: Arguments) -> None:
        channel = installation.team.channels.get(arguments.text("channel"))
        stored = channel.messages.get(arguments.text("ts")) if channel else None
        if stored is not None and stored.stream_until is not None:
            stored.stream_until = 0.0

    def _note(
        self, installation: Installation | None, name: str, arguments: Arguments, fault: Fault
    ) -> Call:
        channel = arguments.text("channel") or arguments.text("channel_id")
        thread = None
        if installation is not None and channel:
            thread = thread_of(installation.team.id, channel, arguments.text("thread_ts"))
        hidden = ("client_secret", "code", "refresh_token")
        args = {key: value for key, value in arguments.values.items() if key not in hidden}
        account = installation.account if installation else ""
        return self._ledger.called(account, name, args, thread=thread, fault=fault.mode.value)


def _check_scope(folded: str, installation: Installation) -> None:
    granted = installation.scopes.split(",")
    for prefix, scope in _NEEDED_SCOPE:
        if folded.startswith(prefix) and scope not in granted:
            raise Refusal("missing_scope", needed=scope, provided=installation.scopes)


def _refusal(fault: Fault) -> Refusal:
    if fault.mode is Mode.RATE_LIMITED:
        return too_many(fault.retry_after)
    if fault.mode is Mode.REJECTED:
        return Refusal(fault.error or "fatal_error", status=fault.status or 200)
    return Refusal("internal_error", status=fault.status or 500)


def _answer(refusal: Refusal) -> web.Response:
    headers = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else {}
    return web.json_response(refusal.as_json(), status=refusal.status, headers=headers)
