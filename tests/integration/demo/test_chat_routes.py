"""The demo's routes over HTTP: a client of the webhook channel behind one page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from channel_kit.signing import generate_secret
from fixtures.scripted_gateway import DemoServer

SESSION = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


def _own(server: DemoServer) -> dict[str, str]:
    return {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}


async def _send(
    http: aiohttp.ClientSession,
    server: DemoServer,
    body: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    async with http.post(
        f"{server.url}/demo/messages",
        json=body or {"session": SESSION, "text": "Hello"},
        headers=_own(server) if headers is None else headers,
    ) as answer:
        return answer.status, await answer.json()


@asynccontextmanager
async def _streaming(
    http: aiohttp.ClientSession, server: DemoServer
) -> AsyncIterator[aiohttp.StreamReader]:
    async with http.get(f"{server.url}/demo/stream", params={"session": SESSION}) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield answer.content


async def _next_event(stream: aiohttp.StreamReader) -> str:
    async with asyncio.timeout(10):
        while True:
            block = (await stream.readuntil(b"\n\n")).decode()
            if block.startswith("event: "):
                return block


async def test_the_page_and_its_files_are_served_under_a_strict_policy(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/demo/static/chat.js", "text/javascript"),
        ("/demo/static/chat.css", "text/css"),
        ("/demo/static/icon.svg", "image/svg+xml"),
    ):
        async with http.get(demo_server.url + path) as answer:
            assert (answer.status, answer.content_type) == (200, kind)
            assert answer.headers.getall("Content-Security-Policy") == [
                (
                    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                    "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'"
                )
            ]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["missing.js", "..%2fdemo.py", "%2e%2e%2fdemo.py", "x" * 65])
async def test_nothing_but_the_pages_files_is_served(
    http: aiohttp.ClientSession, demo_server: DemoServer, name: str
) -> None:
    async with http.get(f"{demo_server.url}/demo/static/{name}") as answer:
        assert answer.status in (404, 422)


async def test_the_page_has_no_inline_code_and_no_foreign_address(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    async with http.get(demo_server.url) as answer:
        page = await answer.text()
    assert "style=" not in page
    assert " on" not in page.replace(" one", "").replace(" on ", "").replace(" only", "")
    assert "://" not in page


async def test_a_message_goes_to_the_channel_and_its_answer_comes_as_a_stream(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    status, sent = await _send(http, demo_server)
    assert status == 200
    assert sent["event_id"]
    gateway = demo_server.gateway
    message = await gateway.next_message()
    assert message["sender"] == {"id": SESSION}
    assert (message["id"], message["thread"]) == (sent["id"], SESSION)
    async with _streaming(http, demo_server) as stream:
        assert await gateway.draft(message, "Wal") == 204
        assert await _next_event(stream) == (
            'event: draft\ndata: {"id": "turn-1", "text": "Wal"}\n\n'
        )
        cited = [{"number": 1, "title": "Week", "source": "week.md"}]
        assert await gateway.reply(message, "Walk [1].", citations=cited) == 204
        event = await _next_event(stream)
    assert event.startswith("event: reply\n")
    assert '"text": "Walk [1]."' in event
    assert '"source": "week.md"' in event
    assert f'"in_reply_to": ["{message["id"]}"]' in event


async def test_sending_the_same_message_again_changes_nothing(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    body: dict[str, object] = {"session": SESSION, "text": "Hello", "id": "f" * 32}
    first, again = [await _send(http, demo_server, body) for _ in range(2)]
    assert first[0] == again[0] == 200
    assert again[1]["event_id"] is None
    assert len(demo_server.gateway.messages) == 1


async def test_another_site_and_a_page_without_a_name_may_not_write(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    own = _own(demo_server)
    port = urlsplit(demo_server.url).port
    for headers in (
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://127.0.0.1:{port}0"},
        {**own, "Sec-Fetch-Site": "cross-site"},
        {**own, "Sec-Fetch-Site": "same-site"},
        # A name that somebody points at this machine: same origin for the browser, not for us.
        {"Origin": f"http://evil.example:{port}", "Host": f"evil.example:{port}"},
        {"Origin": "http://[", "Host": "["},
    ):
        status, problem = await _send(http, demo_server, headers=headers)
        assert (status, problem["code"]) == (403, "foreign_page"), headers
    assert not demo_server.gateway.messages


async def test_a_rebound_name_reads_no_stream(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    await _send(http, demo_server)
    async with http.get(
        f"{demo_server.url}/demo/stream",
        params={"session": SESSION},
        headers={"Host": "evil.example"},
    ) as answer:
        assert answer.status == 403


@pytest.mark.parametrize(
    "body",
    [
        {"session": SESSION, "text": ""},
        {"session": SESSION, "text": "x" * 8_001},
        {"session": "short", "text": "x"},
        {"session": SESSION.upper(), "text": "x"},
        {"session": SESSION, "text": "x", "extra": 1},
        {"session": SESSION, "text": "\ud800"},
    ],
)
async def test_a_message_that_does_not_fit_is_refused(
    http: aiohttp.ClientSession, demo_server: DemoServer, body: dict[str, object]
) -> None:
    status, problem = await _send(http, demo_server, body)
    assert (status, problem["code"]) == (422, "invalid_input")


async def test_8000_characters_are_taken(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    status, _ = await _send(http, demo_server, {"session": SESSION, "text": "😀" * 8_000})
    assert status == 200


@pytest.mark.parametrize(
    ("gateway_says", "status", "code"),
    [
        (503, 503, "gateway_away"),
        (500, 503, "gateway_away"),
        (429, 429, "rate_limited"),
        (401, 503, "connection_shut"),
        (404, 503, "connection_shut"),
        (400, 400, "message_refused"),
    ],
)
async def test_what_the_gateway_refuses_is_told(
    http: aiohttp.ClientSession, demo_server: DemoServer, gateway_says: int, status: int, code: str
) -> None:
    demo_server.gateway.statuses = [gateway_says]
    answered, problem = await _send(http, demo_server)
    assert (answered, problem["code"]) == (status, code)


async def test_only_a_session_that_wrote_has_a_stream(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    for session, status in ((SESSION, 404), ("x", 422)):
        async with http.get(
            f"{demo_server.url}/demo/stream", params={"session": session}
        ) as answer:
            assert answer.status == status


async def test_a_callback_that_is_not_proven_is_refused(demo_server: DemoServer) -> None:
    reply = {"type": "reply", "id": "1", "thread": SESSION, "text": "forged"}
    assert await demo_server.gateway.post(reply, secret=generate_secret()) == 401


async def test_a_proven_callback_of_another_kind_is_refused(demo_server: DemoServer) -> None:
    assert await demo_server.gateway.post({"type": "surprise", "id": "1"}) == 400


async def test_streams_end_when_the_server_stops(
    http: aiohttp.ClientSession, demo_server: DemoServer
) -> None:
    await _send(http, demo_server)
    async with _streaming(http, demo_server) as stream:
        demo_server.routes.close()
        async with asyncio.timeout(5):
            assert b"event:" not in await stream.read()
