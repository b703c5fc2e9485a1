"""What every request passes: its id, the size of its body, the headers of its answer."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from uuid import UUID

import aiohttp
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from coachline.foundation.http import client_address, install, request_id

from .conftest import Serve

LIMIT = 1_000_000


class Seen:
    """What reached the application."""

    def __init__(self) -> None:
        self.calls = 0
        self.read_bytes = 0
        self.body_begun = asyncio.Event()
        self.stream_ended = asyncio.Event()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def base(serve: Serve, seen: Seen) -> str:
    app = FastAPI()
    install(app, max_body_bytes=LIMIT)

    async def raw(request: Request) -> dict[str, int]:
        seen.calls += 1
        async for chunk in request.stream():
            seen.read_bytes += len(chunk)
            seen.body_begun.set()
        return {"bytes": seen.read_bytes}

    async def parsed(body: dict[str, str]) -> dict[str, int]:
        seen.calls += 1
        return {"keys": len(body)}

    async def who(request: Request) -> dict[str, str]:
        logged = str(get_contextvars().get("request_id"))
        return {"id": request_id(request), "logged": logged, "address": client_address(request)}

    app.add_api_route("/raw", raw, methods=["POST"])
    app.add_api_route("/parsed", parsed, methods=["POST"])
    app.add_api_route("/who", who, methods=["GET"])
    _add_answers(app, seen)
    return await serve(app)


def _add_answers(app: FastAPI, seen: Seen) -> None:
    async def page() -> Response:
        return Response("<p>", headers={"Content-Security-Policy": "default-src 'self'"})

    async def endless() -> StreamingResponse:
        async def ticks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"tick\n"
                    await asyncio.sleep(0.01)
            finally:
                seen.stream_ended.set()

        return StreamingResponse(ticks())

    async def half(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("cut")

        return StreamingResponse(pieces())

    app.add_api_route("/page", page, methods=["GET"])
    app.add_api_route("/endless", endless, methods=["GET"])
    app.add_api_route("/half", half, methods=["GET"])


async def _raw_exchange(base: str, request: bytes, *, chunks: int = 0) -> tuple[bytes, int]:
    """Send bytes as they are, then up to ``chunks`` of 64 KiB; the answer, and chunks sent."""
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = asyncio.create_task(reader.read())
    sent = 0
    try:
        writer.write(request)
        await writer.drain()
        while sent < chunks and not answer.done():
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await writer.drain()
            sent += 1
    except ConnectionError:
        pass
    try:
        return await asyncio.wait_for(answer, 10), sent
    except ConnectionError:
        return b"", sent
    finally:
        writer.close()


@pytest.mark.parametrize("path", ["/raw", "/parsed"])
async def test_a_body_of_the_limit_passes_and_one_byte_more_does_not(
    base: str, http: aiohttp.ClientSession, path: str
) -> None:
    body = b'{"a": "' + b"x" * (LIMIT - 9) + b'"}'
    headers = {"Content-Type": "application/json"}
    async with http.post(base + path, data=body, headers=headers) as fits:
        assert fits.status == 200
    async with http.post(base + path, data=body + b" ", headers=headers) as longer:
        problem = await longer.json(content_type=None)
    assert (longer.status, problem["code"]) == (413, "too_large")
    assert longer.headers["X-Request-Id"] == problem["request_id"]
    assert longer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_declared_length_above_the_limit_is_refused_before_any_byte(
    base: str, seen: Seen
) -> None:
    answer, _ = await _raw_exchange(
        base, b"POST /raw HTTP/1.1\r\nHost: a\r\nContent-Length: 104857600\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert seen.calls == 0


async def test_a_client_that_waits_for_leave_to_send_is_refused_without_it(base: str) -> None:
    head = b"POST /raw HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
    answer, _ = await _raw_exchange(base, head + b"Content-Length: 104857600\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


@pytest.mark.parametrize("path", [b"/raw", b"/parsed"])
async def test_a_body_of_undeclared_length_is_cut_at_the_limit(
    base: str, seen: Seen, path: bytes
) -> None:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    answer, sent = await _raw_exchange(
        base, head + b"Transfer-Encoding: chunked\r\n\r\n", chunks=1600
    )
    assert answer.startswith(b"HTTP/1.1 413 ") or answer == b""  # reset while still sending
    assert seen.read_bytes <= LIMIT
    assert sent < 200


@pytest.mark.parametrize(
    "lengths", [b"-5", b"abc", b"5, 6", b"+5", b"0x5", b"", b"9" * 5000, b"5\r\nContent-Length: 6"]
)
async def test_a_length_that_is_none_is_refused(base: str, seen: Seen, lengths: bytes) -> None:
    request = b"POST /raw HTTP/1.1\r\nHost: a\r\nContent-Length: " + lengths + b"\r\n\r\nhello"
    answer, _ = await _raw_exchange(base, request)
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 413")
    assert seen.calls == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"content-length", b"-1")], 400),
        ([(b"content-length", b"1"), (b"content-length", b"2")], 400),
        ([(b"content-length", b"\xb2")], 400),
        ([(b"content-length", b"9" * 5000)], 413),
        ([(b"content-length", b"0" * 5000 + b"1")], 200),
    ],
)
async def test_the_limit_does_not_rely_on_the_servers_parser(
    headers: list[tuple[bytes, bytes]], status: int
) -> None:
    app = FastAPI()
    install(app, max_body_bytes=10)

    async def nothing() -> None:
        return None

    app.add_api_route("/", nothing, methods=["POST"])
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"1", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
    await app(scope, receive, send)  # type: ignore[arg-type]  # ASGI's mappings, written plainly
    assert statuses == [status]


async def test_a_compressed_body_is_not_unpacked(base: str, http: aiohttp.ClientSession) -> None:
    bomb = gzip.compress(b'{"a": "' + b"x" * 50_000_000 + b'"}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with http.post(f"{base}/parsed", data=bomb, headers=headers) as response:
        assert response.status == 400


async def test_a_request_id_is_ours_and_new_each_time(
    base: str, http: aiohttp.ClientSession
) -> None:
    ids = []
    for _ in range(2):
        async with http.get(f"{base}/who", headers={"X-Request-Id": "mine"}) as response:
            body = await response.json()
        assert response.headers.getall("X-Request-Id") == [body["id"]]
        assert body["logged"] == body["id"]
        ids.append(UUID(body["id"]))
    assert ids[0] < ids[1]
    assert {found.version for found in ids} == {7}


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-Ip", "Forwarded"])
async def test_the_address_is_the_sockets_whatever_headers_say(
    base: str, http: aiohttp.ClientSession, name: str
) -> None:
    value = "for=203.0.113.9" if name == "Forwarded" else "203.0.113.9"
    async with http.get(f"{base}/who", headers={name: value}) as response:
        assert (await response.json())["address"] == "127.0.0.1"


async def test_every_answer_is_hardened_and_a_page_keeps_its_own_policy(
    base: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{base}/who") as plain, http.get(f"{base}/page") as page:
        assert plain.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert plain.headers["Cache-Control"] == "no-store"
        assert plain.headers["X-Frame-Options"] == "DENY"
        assert page.headers.getall("Content-Security-Policy") == ["default-src 'self'"]


async def test_head_of_an_endless_answer_ends_it(
    base: str, http: aiohttp.ClientSession, seen: Seen
) -> None:
    async with http.head(f"{base}/endless") as response:
        assert response.status == 200
    await asyncio.wait_for(seen.stream_ended.wait(), 5)
    assert seen.stream_ended.is_set()


async def test_an_answer_that_breaks_half_way_is_not_made_to_look_whole(
    base: str, http: aiohttp.ClientSession
) -> None:
    with capture_logs() as lines:
        async with http.get(f"{base}/half") as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
    assert [line["event"] for line in lines] == ["request_failed"]


async def test_a_client_that_leaves_in_mid_body_is_no_error(base: str, seen: Seen) -> None:
    host, port = base.removeprefix("http://").split(":")
    with capture_logs() as lines:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /raw HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
        await writer.drain()
        await asyncio.wait_for(seen.body_begun.wait(), 5)
        writer.close()
        await writer.wait_closed()
        answer, _ = await _raw_exchange(
            base, b"GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert lines == []
