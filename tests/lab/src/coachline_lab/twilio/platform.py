"""Twilio on the loopback: its API, its signed webhooks, its keywords, and the people who write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from coachline_lab.delivery import InboundFaults
from coachline_lab.faults import Fault, Faults, Mode
from coachline_lab.ledger import Ledger
from coachline_lab.records import Accepted
from coachline_lab.serving import LoopbackServer, answer_under
from coachline_lab.twilio.api import Api, Form, Handler, Refusal, find_file
from coachline_lab.twilio.keywords import AUTOMATIC, act_on_keyword
from coachline_lab.twilio.records import (
    API_VERSION,
    WHATSAPP,
    Account,
    Delivery,
    File,
    Message,
    Number,
    Service,
    new_sid,
)
from coachline_lab.twilio.webhooks import Webhooks

PERSON: Final = "+15557650001"
NUMBER: Final = "+15550006789"

_Answer = web.StreamResponse


class FakeTwilio:
    """Twilio, for the length of an ``async with``.

    ``url`` is the address of its API; other products are paths below it (``/messaging``).
    ``account`` is there from the beginning, :meth:`add_account` makes more. ``faults`` are those of
    the API, ``inbound`` those of the webhooks. In the ledger an
    account is the sending number and a thread the person's.

    Every message that is taken is reported on as far as ``progress`` says, to the address that
    was given for it: ``is_reordered`` reports the last first, ``report_copies`` says each so often.

    Args:
        port: where to listen on 127.0.0.1; 0 takes a free one.
        pause_seconds: between two attempts to deliver a webhook.
    """

    def __init__(self, *, port: int = 0, pause_seconds: float = 0.01) -> None:
        self.faults = Faults()
        self.inbound = InboundFaults()
        self.ledger = Ledger("twilio")
        self.accounts: dict[str, Account] = {}
        self.messages: dict[str, Message] = {}
        self.deliveries: list[Delivery] = []
        self.progress: Sequence[str] = ("sent", "delivered")
        self.is_reordered = False
        self.report_copies = 1
        self.url = ""
        self.account = self.add_account()
        self._pause_seconds = pause_seconds
        self._api = Api(self)
        self._server = LoopbackServer(self._application(), port)
        self._reports: set[asyncio.Task[None]] = set()
        self._inbound: list[tuple[Account, str, str, Mapping[str, str]]] = []

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._webhooks = Webhooks(self._http, self._pause_seconds)
        await self._server.start()
        self.url = self._server.url
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for report in self._reports:
            report.cancel()
        await asyncio.gather(*self._reports, return_exceptions=True)
        await self._server.stop()
        await self._http.close()

    def add_account(
        self,
        *,
        numbers: Sequence[str] = (NUMBER,),
        sid: str | None = None,
        token: str | None = None,
    ) -> Account:
        """Return a new account with these senders; ``whatsapp:`` ones are senders too."""
        account = Account(
            sid=sid or new_sid("AC"),
            token=token or new_sid(""),
            numbers=[Number(number) for number in numbers],
        )
        self.accounts[account.sid] = account
        return account

    def add_service(self, account: Account, *, has_advanced_opt_out: bool = False) -> Service:
        """Return a new messaging service with all numbers of the account."""
        numbers = [number.phone_number for number in account.numbers]
        service = Service(numbers, has_advanced_opt_out=has_advanced_opt_out)
        account.services.append(service)
        return service

    # --- as a person

    async def say(
        self,
        text: str,
        *,
        person: str = PERSON,
        to: str = NUMBER,
        files: Sequence[File] = (),
        account: Account | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Delivery:
        """Write to a number, and return when its owner was told (or could not be).

        Args:
            files: pictures and the like.
            account: whose number it is; the first one's by default.
            fields: more of the form, such as ``ButtonPayload``.
        """
        owner = account or self.account
        message = Message(
            account_sid=owner.sid,
            sender=person,
            recipient=to,
            body=text,
            direction="inbound",
            status="received",
            files=tuple(files),
            sid=new_sid("MM" if files else "SM"),
        )
        self.messages[message.sid] = message
        owner.last_heard[to, person] = datetime.now(UTC)
        self.ledger.said(to, person, message.sid, text, sender=person)
        keyword = act_on_keyword(owner, message)
        if keyword:
            # Said by neither of the two, so it is no answer.
            said = AUTOMATIC[keyword]
            self.ledger.said(to, person, new_sid("SM"), said, sender="Twilio")
        service = owner.service_of(to)
        number = owner.number(to)
        address = (service.inbound_request_url if service else "") or (
            number.sms_url if number else ""
        )
        form = self._inbound_form(message, service, keyword) | dict(fields or {})
        self._inbound.append((owner, address, message.sid, form))
        return await self._deliver(owner, address, message.sid, form)

    async def press(
        self, payload: str, label: str, *, person: str, to: str, account: Account | None = None
    ) -> Delivery:
        """Press a button of a WhatsApp template."""
        fields = {"ButtonPayload": payload, "ButtonText": label, "MessageType": "button"}
        return await self.say(label, person=person, to=to, account=account, fields=fields)

    async def redeliver(self, times: int = 1, *, sid: str = "") -> list[Delivery]:
        """Deliver what somebody wrote last, or ``sid``, again, as after an answer that got lost."""
        found = next(one for one in reversed(self._inbound) if sid in ("", one[2]))
        return [await self._deliver(*found) for _ in range(times)]

    def block(self, person: str = PERSON, *, number: str = NUMBER) -> None:
        """Close a pair without a word: the person told their carrier."""
        self.account.blocked.add((number, person))

    def unblock(self, person: str = PERSON, *, number: str = NUMBER) -> None:
        """Open a pair again."""
        self.account.blocked.discard((number, person))

    async def ask(
        self, text: str, *, person: str = PERSON, seconds: float = 10.0, **where: Any
    ) -> Accepted:
        """Write, and return the first answer to it; ``where`` is as of :meth:`say`.

        Raises:
            TimeoutError: there was none.
        """
        place = self.ledger.place
        await self.say(text, person=person, **where)
        return await self.wait_for_answer(person, after=place, seconds=seconds)

    async def wait_for_answer(
        self, thread: str = PERSON, *, after: int = 0, seconds: float = 10.0
    ) -> Accepted:
        """Return the first answer behind place ``after`` in this person's thread.

        Raises:
            TimeoutError: there was none.
        """
        return await self.ledger.wait_for_answer(thread, after=after, seconds=seconds)

    # --- as Twilio

    async def report(self, sid: str, status: str, *, error_code: int | None = None) -> Delivery:
        """Tell what became of a message now, in whatever order."""
        message = self.messages[sid]
        message.status, message.error_code = status, error_code
        if status == "sent":
            message.sent = datetime.now(UTC)
        account = self.accounts[message.account_sid]
        form = {
            "AccountSid": account.sid,
            "ApiVersion": API_VERSION,
            "From": message.sender,
            "MessageSid": sid,
            "MessageStatus": status,
            "SmsSid": sid,
            "SmsStatus": status,
            "To": message.recipient,
        }
        if error_code is not None:
            form["ErrorCode"] = str(error_code)
        if message.service_sid is not None:
            form["MessagingServiceSid"] = message.service_sid
        return await self._deliver(account, message.status_callback, sid, form)

    def taken(self, account: Account, message: Message) -> None:
        """Note an outgoing message that was accepted, and begin to report on it."""
        self.ledger.accept(message.sender, message.recipient, message.sid, message.body)
        task = asyncio.create_task(self._report_all(message))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def settle(self) -> None:
        """Return when every report that was due has been delivered."""
        while self._reports:
            await asyncio.gather(*self._reports)

    async def _report_all(self, message: Message) -> None:
        steps: list[tuple[str, int | None]] = [(status, None) for status in self.progress]
        if message.error_code is not None:
            steps = [("undelivered", message.error_code)]
        for status, code in reversed(steps) if self.is_reordered else steps:
            for _ in range(self.report_copies):
                await self.report(message.sid, status, error_code=code)

    async def _deliver(
        self, account: Account, address: str, sid: str, form: Mapping[str, str]
    ) -> Delivery:
        if not address:
            return Delivery(sid, "", form, ())
        await asyncio.sleep(self.inbound.held_seconds())
        is_lost, copies = self.inbound.is_lost(), 1 + self.inbound.is_doubled()
        for _ in range(copies):
            delivery = await self._webhooks.deliver(account, address, sid, form, is_lost=is_lost)
            self.deliveries.append(delivery)
        return delivery

    def _inbound_form(
        self, message: Message, service: Service | None, keyword: str
    ) -> dict[str, str]:
        form = {
            "AccountSid": message.account_sid,
            "ApiVersion": API_VERSION,
            "Body": message.body,
            "From": message.sender,
            "MessageSid": message.sid,
            "NumMedia": str(len(message.files)),
            "NumSegments": str(max(1, -(-len(message.body) // 160))),
            "SmsMessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "To": message.recipient,
        }
        if message.sender.startswith(WHATSAPP):
            number = message.sender.removeprefix(f"{WHATSAPP}+")
            form |= {"ProfileName": "Ada", "WaId": number, "MessageType": "text"}
        else:
            form |= {"FromCity": "", "FromCountry": "US", "FromState": "CA", "FromZip": ""}
        for place, file in enumerate(message.files):
            path = f"/{API_VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}"
            form[f"MediaUrl{place}"] = f"{self.url}{path}/Media/{file.sid}"
            form[f"MediaContentType{place}"] = file.content_type
        if service is not None:
            form["MessagingServiceSid"] = service.sid
            if keyword and service.has_advanced_opt_out:
                form["OptOutType"] = keyword
        return form

    # --- over HTTP

    def _application(self) -> web.Application:
        application = web.Application()
        for name, method, path, handler in self._api.calls():
            application.router.add_route(method, path, self._handler(name, handler))
        application.router.add_get("/cdn/{sid}/{media}", self._serve_file)
        return application

    def _handler(self, name: str, handler: Handler) -> Callable[[web.Request], Awaitable[_Answer]]:
        async def handle(request: web.Request) -> _Answer:
            return await self._handle(request, name=name, handler=handler)

        return handle

    async def _handle(self, request: web.Request, *, name: str, handler: Handler) -> _Answer:
        form: Form = {str(key): str(value) for key, value in (await request.post()).items()}
        fault = self.faults.take(name)
        args = dict(form) or dict(request.query)
        user = form.get("From") or form.get("MessagingServiceSid") or ""
        call = self.ledger.called(user, name, args, thread=args.get("To"), fault=fault.mode)
        call.outcome = fault.mode
        call.retry_after = fault.retry_after if fault.mode is Mode.RATE_LIMITED else None

        async def accept() -> web.StreamResponse:
            try:
                response = handler(request, form)
            except Refusal as refusal:
                call.outcome = str(refusal.code)
                return _error(refusal.status, refusal.code, str(refusal))
            call.outcome = "ok"
            return response

        return await answer_under(fault, request, accept=accept, refuse=_refuse)

    async def _serve_file(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            # A signed address takes no second proof; storage services refuse both at once.
            return web.Response(status=400, text="Only one auth mechanism allowed")
        message = self.messages[request.match_info["sid"]]
        file = find_file(message, request.match_info["media"])
        return web.Response(body=file.content, content_type=file.content_type)


def _refuse(fault: Fault) -> web.StreamResponse:
    if fault.mode is Mode.RATE_LIMITED:
        answer = _error(429, 20429, "Too many requests")
        answer.headers["Retry-After"] = str(fault.retry_after)
        return answer
    if fault.mode is Mode.REJECTED:
        return _error(fault.status or 400, fault.code or 20001, fault.error or "Refused")
    return _error(fault.status or 500, 20500, "An internal server error has occurred")


def _error(status: int, code: int, message: str) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more, "status": status}
    return web.json_response(body, status=status)
