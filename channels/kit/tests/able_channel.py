"""The perfect channel with every ability, each in its simplest right way.

Written beside the skeleton's channel: `make` puts both together.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from channel_kit import (
    Acknowledgement,
    Attachment,
    Capabilities,
    Connected,
    Deliver,
    Draft,
    OutcomeUnknown,
    Receipt,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
    Toll,
    WebhookRequest,
)
from channel_kit.conformance import FILE, Answer, Call, Fault, Mailbox, ScriptedPlatform, Sent
from channel_kit.cutting import cut
from channel_kit.rendering import render

MOST = 4_000
ACCOUNT = "acme-1"
Found = Mapping[str, Any]


class Abilities:
    """Everything that a platform may have beside the contract."""

    typing_seconds = 5.0
    reconcile_seconds = 0.0
    streams = True
    polls = True
    capabilities = Capabilities(
        max_text=MOST,
        formatting="entities",
        streaming=True,
        typing=True,
        attachments_in=True,
        attachment_bytes=1_000_000,
    )
    _api_key: Any
    _http: aiohttp.ClientSession
    _messages_url: str
    parse: Callable[[WebhookRequest], Sequence[Any]]

    async def call(self, method: str, path: str, body: Found | None = None) -> Found:
        """Make one call of the platform's API and return what it answers."""
        raw = await self.read(method, self._base + path, body)
        try:
            answer = json.loads(raw)
        except ValueError:
            raise OutcomeUnknown("the answer cannot be read") from None
        return answer if isinstance(answer, dict) else {}

    async def read(self, method: str, url: str, body: Found | None = None) -> bytes:
        """Make one request and return the body of its answer."""
        outbound = import_module("channel_acme.outbound")
        headers = {"Authorization": f"Bearer {self._api_key.get_secret_value()}"}
        try:
            async with self._http.request(
                method, url, json=body, headers=headers, allow_redirects=False
            ) as response:
                outbound.check_status(response.status, response.headers)
                return await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise outbound.classify(error) from None

    @property
    def _base(self) -> str:
        return self._messages_url.removesuffix("/messages")

    def body(self, reply: Reply) -> dict[str, Any]:
        """Return what shows a reply."""
        text = render(reply.text).text
        if not text.strip() or len(text) + len(reply.hint) + 2 > MOST + 2 * (not reply.hint):
            raise ReplyRejected("the text is blank or too long")
        text += f"\n\n{reply.hint}" if reply.hint else ""
        return {"chat": reply.thread, "text": text, "key": reply.id, "preview": False}

    async def send(self, reply: Reply) -> Receipt:
        answer = await self.call("POST", "/messages", self.body(reply))
        return Receipt(external_id=answer.get("id"), accepted_at=datetime.now(UTC))

    async def reserve(self, reply: Reply) -> str:
        return await self.place(reply.thread, "…")

    async def place(self, thread: str, text: str) -> str:
        """Post a message and return its handle."""
        answer = await self.call("POST", "/messages", {"chat": thread, "text": text, "key": ""})
        return str(answer["id"])

    async def fill(self, handle: str, reply: Reply) -> Receipt:
        await self.call("PUT", f"/messages/{handle}", self.body(reply))
        return Receipt(external_id=handle, accepted_at=datetime.now(UTC))

    async def discard(self, handle: str, thread: str) -> None:
        try:
            await self.call("DELETE", f"/messages/{handle}")
        except RecipientUnreachable:
            return

    def stream_seconds(self, thread: str) -> float:
        return 0.5

    async def stream(self, draft: Draft) -> str | None:
        if draft.handle is None:
            return await self.place(draft.thread, draft.text)
        body = {"chat": draft.thread, "text": draft.text, "key": ""}
        await self.call("PUT", f"/messages/{draft.handle}", body)
        return draft.handle

    async def show_typing(self, thread: str) -> None:
        await self.call("POST", "/typing", {"chat": thread})

    async def find(self, reply: Reply, *, since: datetime) -> Receipt | None:
        answer = await self.call("GET", "/messages")
        if "messages" not in answer:
            raise OutcomeUnknown("the answer is no list")
        for message in answer["messages"]:
            if message["key"] == reply.id:
                return Receipt(external_id=message["id"], accepted_at=datetime.now(UTC))
        return None

    def shape(self, text: str, *, hint: str = "") -> Sequence[str]:
        return cut(text, MOST - (len(hint) + 2 if hint else 0), lambda found: len(found.text))

    def tolls(self, reply: Reply) -> Sequence[Toll]:
        return Toll("account", 10, 10), Toll(f"chat:{reply.thread}", 1, 3)

    async def fetch(self, attachment: Attachment, *, limit_bytes: int) -> bytes:
        self.check(attachment)
        if (attachment.size_bytes or 0) > limit_bytes:
            raise ReplyRejected("too large")
        body = await self.read("GET", attachment.reference or "")
        if len(body) > limit_bytes:
            raise ReplyRejected("too large")
        return body

    def check(self, attachment: Attachment) -> None:
        """Refuse what is not at the platform."""
        asked, api = urlsplit(attachment.reference or ""), urlsplit(self._base)
        if (asked.scheme, asked.netloc) != (api.scheme, api.netloc):
            raise ReplyRejected("not at Acme")

    async def connect(self, inbound_url: str) -> Connected:
        me = await self.call("GET", "/me")
        return Connected(account=me["account"], title="Acme", steps=(f"Enter {inbound_url}",))

    async def disconnect(self) -> None:
        await self.call("DELETE", "/hook")

    def account_in(self, request: WebhookRequest) -> str | None:
        return ACCOUNT if b'"id": "u-' in request.body else None

    def acknowledge(self, request: WebhookRequest) -> Acknowledgement:
        return Acknowledgement(body=b"taken")

    async def poll(self, deliver: Deliver, on_contact: Callable[[], None]) -> None:
        while True:
            updates = (await self.call("GET", "/updates"))["updates"]
            on_contact()
            for update in updates:
                await self.take(deliver, update)
            await asyncio.sleep(0.01)

    async def take(self, deliver: Deliver, update: Found) -> None:
        """Store one update and confirm it."""
        await deliver(self.events(update))
        await self.call("POST", f"/updates/{update['number']}")

    def events(self, update: Found) -> Sequence[Any]:
        """Return the events of one update."""
        body, now = update["body"].encode(), datetime.now(UTC)
        return self.parse(WebhookRequest(url="", headers={}, body=body, received_at=now))

    async def probe(self) -> None:
        await self.call("GET", "/me")


class Hooks:
    """What the suite has to know about such a platform."""

    answer: Callable[[Fault], Answer]
    channel: Any
    config: Callable[[str], dict[str, Any]]
    message: Callable[[str], bytes]

    def answer_call(self, call: Call, earlier: Sequence[Call]) -> Answer:
        if call.path.startswith("/files/"):
            return Answer(body=FILE)
        posted = [one for one in earlier if _posts(one)]
        if (call.method, call.path) == ("GET", "/messages"):
            listed = [{"id": str(n), "key": _json(one)["key"]} for n, one in enumerate(posted)]
            return _answer({"messages": listed})
        if call.path == "/me":
            return _answer({"account": ACCOUNT})
        return _answer({"id": str(len(posted))})

    def shown(self, calls: Sequence[Call]) -> list[str]:
        shown: dict[str, str] = {}
        begun = 0
        for call in calls:
            number = call.path.rpartition("/")[2]
            if _posts(call):
                shown[str(begun)] = _json(call)["text"]
                begun += 1
            elif call.method == "PUT":
                shown[number] = _json(call)["text"]
            elif call.method == "DELETE":
                del shown[number]
        return list(shown.values())

    def read_call(self, call: Call) -> Sent:
        body = _json(call)
        return Sent(thread=body["chat"], text=body["text"], key=body["key"])

    def check_rendered(self, call: Call) -> None:
        assert _json(call)["preview"] is False

    def file(self, platform_url: str) -> Attachment:
        reference = f"{platform_url}/files/1"
        return Attachment(kind="document", reference=reference, size_bytes=len(FILE))

    @asynccontextmanager
    async def mailbox(self, texts: Sequence[str]) -> AsyncIterator[Mailbox]:
        confirmed: set[int] = set()
        updates = []
        for number, text in enumerate(texts):
            body = {**json.loads(self.message(text)), "id": f"u-{number}"}
            updates.append({"number": number, "body": json.dumps(body)})

        def respond(call: Call, earlier: Sequence[Call]) -> Answer:
            number = call.path.rpartition("/")[2]
            if call.method == "POST":
                confirmed.add(int(number))
            if call.method == "DELETE":
                confirmed.discard(int(number))
            return _answer({"updates": [u for u in updates if u["number"] not in confirmed]})

        async with ScriptedPlatform(respond=respond) as platform, aiohttp.ClientSession() as http:
            config = self.channel.Config.model_validate(self.config(platform.url))
            yield Mailbox(self.channel(config, http), lambda: len(confirmed))


def make(acme: ModuleType) -> Any:
    """Return the module of a perfect channel, and of its tests, with every ability."""
    perfect = acme.AcmeChannel
    channel = type("AcmeChannel", (Abilities, perfect), {"__module__": perfect.__module__})
    suite = type("AbleConformance", (Hooks, acme.TestConformance), {"channel": channel})
    return SimpleNamespace(AcmeChannel=channel, TestConformance=suite, API_KEY=acme.API_KEY)


def _posts(call: Call) -> bool:
    return (call.method, call.path) == ("POST", "/messages")


def _json(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call.body)
    return found


def _answer(value: Found) -> Answer:
    return Answer(body=json.dumps(value).encode())
