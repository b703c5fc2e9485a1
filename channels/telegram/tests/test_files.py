"""Files that people send: fetched whole, or refused with the reason; the token stays here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from channel_kit import (
    Attachment,
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    Fetching,
    RateLimited,
    ReplyRejected,
)
from channel_telegram import TelegramChannel, TelegramConfig
from channel_telegram import files as files_module
from coachline_lab.faults import Mode
from coachline_lab.telegram import Bot, FakeTelegram, Person

Connect = Callable[..., TelegramChannel]
TOKEN = "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ"


async def sent(telegram: FakeTelegram, bot: Bot, ada: Person, data: bytes) -> Attachment:
    await telegram.media.send_document(data, user=ada, bot=bot)
    return Attachment(kind="document", reference=next(reversed(bot.files)))


async def test_a_file_is_fetched_whole(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    data = bytes(range(256)) * 1000
    channel = connect()
    assert isinstance(channel, Fetching)
    attachment = await sent(telegram, bot, ada, data)
    assert await channel.fetch(attachment, limit_bytes=len(data)) == data


async def test_a_file_over_the_limit_is_refused_however_it_is_found_out(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    attachment = await sent(telegram, bot, ada, b"x" * 1000)
    told = attachment.model_copy(update={"size_bytes": 1000})
    for one in (attachment, told):
        with pytest.raises(ReplyRejected, match="larger than 999"):
            await connect().fetch(one, limit_bytes=999)
    huge = await sent(telegram, bot, ada, bytes((20 << 20) + 1))
    with pytest.raises(ReplyRejected, match="too big"):
        await connect().fetch(huge, limit_bytes=100 << 20)


@pytest.mark.parametrize("reference", [None, "unknown"])
async def test_a_file_that_is_not_there_is_refused(connect: Connect, reference: str | None) -> None:
    with pytest.raises(ReplyRejected):
        await connect().fetch(Attachment(kind="photo", reference=reference), limit_bytes=9)


async def test_a_failure_that_passes_is_no_unknown_outcome(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    attachment = await sent(telegram, bot, ada, b"x")
    for method in ("getFile", "file"):
        for mode in (Mode.CUT_BEFORE_ACCEPT, Mode.SERVER_ERROR):
            # A download asks a second time by itself when a kept connection breaks.
            telegram.faults.clear()
            telegram.faults.next(2, mode, method=method)
            with pytest.raises(ChannelUnavailable):
                await connect().fetch(attachment, limit_bytes=9)
    telegram.faults.clear()
    telegram.faults.next(1, Mode.RATE_LIMITED, method="file", retry_after=3)
    with pytest.raises(RateLimited):
        await connect().fetch(attachment, limit_bytes=9)


class FileServer:
    """A Bot API that answers ``getFile`` with what a test wants, and files with a stream."""

    def __init__(self, file: dict[str, Any], status: int = 200, size: int = 5) -> None:
        self.paths: list[str] = []
        self._file, self._status, self._size = file, status, size
        app = web.Application()
        app.router.add_post("/{bot}/getFile", self._get_file)
        app.router.add_get("/{path:.*}", self._download)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _get_file(self, request: web.Request) -> web.Response:
        given = {"file_id": "f", "file_unique_id": "u", **self._file}
        return web.Response(body=json.dumps({"ok": True, "result": given}))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        headers = {"Location": "/elsewhere"} if self._status == 302 else {}
        response = web.StreamResponse(status=self._status, headers=headers)
        await response.prepare(request)
        for _ in range(self._size):
            await response.write(b"x" * 1000)
        return response


async def fetch(server: FileServer, limit: int = 100_000) -> bytes:
    async with server as url, aiohttp.ClientSession() as http:
        config = TelegramConfig.model_validate({"token": TOKEN, "api_url": url})
        channel = TelegramChannel(config, http)
        return await channel.fetch(Attachment(kind="photo", reference="f"), limit_bytes=limit)


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "/etc/passwd",
        "../secret",
        "a/../../b",
        "a//b",
        "https://evil.example/x",
        "//evil.example/x",
        "a?b",
        "a#b",
        "a%2e%2e/b",
        "a\\b",
        "a b",
        "ä",
    ],
)
async def test_a_path_that_leads_elsewhere_is_not_followed(path: str | None) -> None:
    server = FileServer({"file_path": path})
    with pytest.raises(ReplyRejected) as caught:
        await fetch(server)
    assert server.paths == []
    assert TOKEN not in str(caught.value)


async def test_an_ordinary_path_is() -> None:
    server = FileServer({"file_path": "documents/file_5.tar.gz"})
    assert len(await fetch(server)) == 5000
    assert server.paths == [f"/file/bot{TOKEN}/documents/file_5.tar.gz"]


@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        (302, ChannelUnavailable),
        (401, CredentialsRejected),
        (404, ReplyRejected),
        (410, ReplyRejected),
        (429, RateLimited),
        (500, ChannelUnavailable),
    ],
)
async def test_every_status_of_a_download_has_its_leaf(
    status: int, leaf: type[ChannelError]
) -> None:
    server = FileServer({"file_path": "documents/file_5"}, status)
    with pytest.raises(ChannelError) as caught:
        await fetch(server)
    assert type(caught.value) is leaf
    assert TOKEN not in str(caught.value)
    assert len(server.paths) == 1


async def test_a_file_that_is_longer_than_it_said_is_cut_off() -> None:
    server = FileServer({"file_path": "documents/file_5", "file_size": 10}, size=100)
    with pytest.raises(ReplyRejected, match="larger than 3000"):
        await fetch(server, limit=3000)


async def test_a_download_has_a_limit_of_time(
    monkeypatch: pytest.MonkeyPatch,
    telegram: FakeTelegram,
    bot: Bot,
    ada: Person,
    connect: Connect,
) -> None:
    monkeypatch.setattr(files_module, "_DOWNLOAD_SECONDS", 0.05)
    attachment = await sent(telegram, bot, ada, b"x")
    telegram.faults.next(1, Mode.SLOW, method="file", seconds=0.5)
    with pytest.raises(ChannelUnavailable, match="TimeoutError"):
        await connect().fetch(attachment, limit_bytes=9)
