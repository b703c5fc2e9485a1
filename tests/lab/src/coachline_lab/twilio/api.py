"""Twilio's REST API, as far as a messaging gateway needs it, and as strict as the real one."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from aiohttp import web

from coachline_lab.twilio.records import (
    API_VERSION,
    WHATSAPP,
    Account,
    File,
    Message,
    Number,
    Service,
    rfc2822,
)

_TO: Final = re.compile(r"(whatsapp:)?\+[1-9]\d{6,14}")
_MOST_CHARACTERS: Final = 1600
_MOST_LISTED: Final = 1000
_WINDOW: Final = timedelta(hours=24)
OUTSIDE_WINDOW: Final = 63016


Form = Mapping[str, str]
Handler = Callable[[web.Request, Form], web.Response]


class Refusal(Exception):
    """An answer of the API that is not a success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Exchange(Protocol):
    """What the API needs of the rest of the fake."""

    url: str
    accounts: dict[str, Account]
    messages: dict[str, Message]

    def taken(self, account: Account, message: Message) -> None:
        """Note an outgoing message that was accepted, and begin to report on it."""
        ...


class Api:
    """The resources, one method for each call."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def calls(self) -> list[tuple[str, str, str, Handler]]:
        """Return (name, HTTP method, path, handler) of every call."""
        account = f"/{API_VERSION}/Accounts/{{account}}"
        numbers = f"{account}/IncomingPhoneNumbers"
        return [
            ("Accounts.fetch", "GET", f"{account}.json", self._fetch_account),
            ("Messages.create", "POST", f"{account}/Messages.json", self._create_message),
            ("Messages.list", "GET", f"{account}/Messages.json", self._list_messages),
            ("Messages.fetch", "GET", f"{account}/Messages/{{sid}}.json", self._fetch_message),
            (
                "Media.fetch",
                "GET",
                f"{account}/Messages/{{sid}}/Media/{{media}}",
                self._fetch_media,
            ),
            ("IncomingPhoneNumbers.list", "GET", f"{numbers}.json", self._list_numbers),
            ("IncomingPhoneNumbers.update", "POST", f"{numbers}/{{sid}}.json", self._update_number),
            ("ShortCodes.list", "GET", f"{account}/SMS/ShortCodes.json", self._list_short_codes),
            ("Services.fetch", "GET", "/messaging/v1/Services/{sid}", self._fetch_service),
            ("Services.update", "POST", "/messaging/v1/Services/{sid}", self._update_service),
            (
                "Services.PhoneNumbers.list",
                "GET",
                "/messaging/v1/Services/{sid}/PhoneNumbers",
                self._list_pool,
            ),
        ]

    def account_of(self, request: web.Request) -> Account:
        """Return the account whose SID and token the request shows.

        Raises:
            Refusal: 20003, or 20404 for somebody else's resources.
        """
        try:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal(401, 20003, "Authenticate") from None
        account = self._exchange.accounts.get(user)
        if scheme != "Basic" or account is None or account.token != password:
            raise Refusal(401, 20003, "Authenticate")
        if request.match_info.get("account", account.sid) != account.sid:
            raise Refusal(404, 20404, "The requested resource was not found")
        return account

    def _fetch_account(self, request: web.Request, _form: Form) -> web.Response:
        account = self.account_of(request)
        return web.json_response(
            {
                "sid": account.sid,
                "friendly_name": f"Account {account.sid[-4:]}",
                "status": account.status,
                "type": account.type,
                "date_created": rfc2822(datetime.now(UTC)),
            }
        )

    def _create_message(self, request: web.Request, form: Form) -> web.Response:
        account = self.account_of(request)
        recipient = form.get("To", "")
        if not recipient:
            raise Refusal(400, 21604, "A 'To' phone number is required.")
        if not _TO.fullmatch(recipient):
            raise Refusal(400, 21211, "The 'To' number is not a valid phone number.")
        sender, service = _sender(account, form, recipient)
        body = _body(account, form)
        if (sender, recipient) in account.blocked:
            raise Refusal(400, 21610, "Attempt to send to unsubscribed recipient")
        message = Message(
            account_sid=account.sid,
            sender=sender,
            recipient=recipient,
            body=body,
            direction="outbound-api",
            status="queued" if service is None else "accepted",
            service_sid=service.sid if service else None,
            status_callback=form.get("StatusCallback")
            or (service.status_callback if service else ""),
        )
        is_late = _is_outside_window(account, message) and "ContentSid" not in form
        message.error_code = OUTSIDE_WINDOW if is_late else None
        self._exchange.messages[message.sid] = message
        self._exchange.taken(account, message)
        # The error of a delivery is not known yet when the call is answered.
        return web.json_response({**message.to_json(), "error_code": None}, status=201)

    def _list_messages(self, request: web.Request, _form: Form) -> web.Response:
        account = self.account_of(request)
        found = [
            message
            for message in reversed(self._exchange.messages.values())
            if message.account_sid == account.sid and _is_wanted(message, request.query)
        ]
        return _page(request, "messages", [message.to_json() for message in found])

    def _fetch_message(self, request: web.Request, _form: Form) -> web.Response:
        return web.json_response(self._message(request).to_json())

    def _fetch_media(self, request: web.Request, _form: Form) -> web.Response:
        file = find_file(self._message(request), request.match_info["media"])
        place = f"{self._exchange.url}/cdn/{request.match_info['sid']}/{file.sid}?Signature=good"
        return web.Response(status=307, headers={"Location": place})

    def _message(self, request: web.Request) -> Message:
        account = self.account_of(request)
        message = self._exchange.messages.get(request.match_info["sid"])
        if message is None or message.account_sid != account.sid:
            raise Refusal(404, 20404, "The requested resource was not found")
        return message

    def _list_numbers(self, request: web.Request, _form: Form) -> web.Response:
        wanted = request.query.get("PhoneNumber", "")
        found = [
            _number_json(number)
            for number in self.account_of(request).numbers
            if wanted in number.phone_number and not number.phone_number.startswith(WHATSAPP)
        ]
        return _page(request, "incoming_phone_numbers", found)

    def _update_number(self, request: web.Request, form: Form) -> web.Response:
        number = self.account_of(request).number(request.match_info["sid"])
        if number is None:
            raise Refusal(404, 20404, "The requested resource was not found")
        number.sms_url = form.get("SmsUrl", number.sms_url)
        number.sms_application_sid = form.get("SmsApplicationSid", number.sms_application_sid)
        return web.json_response(_number_json(number))

    def _list_short_codes(self, request: web.Request, _form: Form) -> web.Response:
        self.account_of(request)
        return _page(request, "short_codes", [])

    def _service(self, request: web.Request) -> Service:
        service = self.account_of(request).service(request.match_info["sid"])
        if service is None:
            raise Refusal(404, 20404, "The requested resource was not found")
        return service

    def _fetch_service(self, request: web.Request, _form: Form) -> web.Response:
        return web.json_response(_service_json(self._service(request)))

    def _update_service(self, request: web.Request, form: Form) -> web.Response:
        service = self._service(request)
        service.inbound_request_url = form.get("InboundRequestUrl", service.inbound_request_url)
        service.status_callback = form.get("StatusCallback", service.status_callback)
        return web.json_response(_service_json(service))

    def _list_pool(self, request: web.Request, _form: Form) -> web.Response:
        service = self._service(request)
        account = self.account_of(request)
        numbers = filter(None, map(account.number, service.numbers))
        found = [{"sid": one.sid, "phone_number": one.phone_number} for one in numbers]
        page = {"meta": {"key": "phone_numbers", "next_page_url": None}, "phone_numbers": found}
        return web.json_response(page)


def find_file(message: Message, sid: str) -> File:
    """Return a file of a message.

    Raises:
        Refusal: there is none.
    """
    for file in message.files:
        if file.sid == sid:
            return file
    raise Refusal(404, 20404, "The requested resource was not found")


def _sender(account: Account, form: Form, recipient: str) -> tuple[str, Service | None]:
    sender, sid = form.get("From", ""), form.get("MessagingServiceSid", "")
    if sid:
        service = account.service(sid)
        if service is None:
            raise Refusal(404, 21701, "The Messaging Service does not exist")
        kind = recipient.startswith(WHATSAPP)
        pool = [one for one in service.numbers if one.startswith(WHATSAPP) == kind]
        if not pool:
            raise Refusal(400, 21703, "The Messaging Service contains no senders of this kind")
        return pool[0], service
    if not sender:
        raise Refusal(400, 21603, "A 'From' phone number is required.")
    if account.number(sender) is None:
        raise Refusal(400, 21606, f"The 'From' phone number {sender} is not yours")
    if sender.startswith(WHATSAPP) != recipient.startswith(WHATSAPP):
        raise Refusal(400, 21910, "Invalid 'From' and 'To' pair")
    return sender, None


def _body(account: Account, form: Form) -> str:
    content = form.get("ContentSid")
    if content is not None:
        if content not in account.templates:
            raise Refusal(404, 20404, "The content template was not found")
        body = account.templates[content]
        for name, value in json.loads(form.get("ContentVariables", "{}")).items():
            if "\n" in value:
                raise Refusal(400, 21656, "The ContentVariables parameter is invalid")
            body = body.replace("{{" + name + "}}", value)
        return body
    body = form.get("Body", "")
    if not body:
        raise Refusal(400, 21602, "A text message body or media urls must be specified.")
    if len(body) > _MOST_CHARACTERS:
        raise Refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    return body


def _is_outside_window(account: Account, message: Message) -> bool:
    if not message.recipient.startswith(WHATSAPP):
        return False
    heard = account.last_heard.get((message.sender, message.recipient))
    return heard is None or datetime.now(UTC) - heard > _WINDOW


def _is_wanted(message: Message, query: Mapping[str, str]) -> bool:
    if query.get("To", message.recipient) != message.recipient:
        return False
    if query.get("From", message.sender) != message.sender:
        return False
    after = query.get("DateSent>")
    if after is None:
        return True
    # A message that is still queued has no date of sending, and so is never after one.
    earliest = datetime.fromisoformat(after).replace(tzinfo=UTC)
    return message.sent is not None and message.sent >= earliest


def _page(request: web.Request, key: str, found: list[dict[str, Any]]) -> web.Response:
    size = min(int(request.query.get("PageSize", "50")), _MOST_LISTED)
    page = int(request.query.get("Page", "0"))
    more = len(found) > (page + 1) * size
    query = {**request.query, "Page": str(page + 1), "PageSize": str(size)}
    return web.json_response(
        {
            key: found[page * size : (page + 1) * size],
            "page": page,
            "page_size": size,
            "next_page_uri": str(request.rel_url.with_query(query)) if more else None,
            "uri": str(request.rel_url),
        }
    )


def _number_json(number: Number) -> dict[str, Any]:
    return {
        "sid": number.sid,
        "phone_number": number.phone_number,
        "friendly_name": number.phone_number,
        "sms_url": number.sms_url,
        "sms_method": "POST",
        "sms_application_sid": number.sms_application_sid,
        "capabilities": {"sms": True, "mms": True, "voice": True},
    }


def _service_json(service: Service) -> dict[str, Any]:
    return {
        "sid": service.sid,
        "friendly_name": "A service",
        "inbound_request_url": service.inbound_request_url,
        "inbound_method": "POST",
        "status_callback": service.status_callback,
        "use_inbound_webhook_on_number": False,
    }
