"""How long the console's pages take with much stored, and how soon an open page tells of a message.

A page is timed at a client on this machine, from its question to its last byte, one after another:
what the server takes and a little more.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from benchmarks.filling import ABSENT_WORD, COMMON_WORD, LONG_SENDER, RARE_WORD, fill
from benchmarks.load import percentiles
from benchmarks.report import Aim, Report
from benchmarks.screen import Screen, open_screen
from benchmarks.stand import Stand, Target
from fixtures.console import Browser
from fixtures.gateway import Connected
from fixtures.ports import free_port

_TALKS = 1_961
_PAGE_MS = 100
_LIVE_MS = 300
_SECONDS = 10.0
_LONG = """
select c.id as conversation, (select e.id from inbox_event e where e.tenant_id = c.tenant_id
    and e.conversation_id = c.id order by seq desc limit 1) as event
from conversation c where c.tenant_id = $1 and c.thread = $2
"""
_MESSAGE = "live-[0-9a-f]{32}"
_SAID = "select occurred_at from feed_event where tenant_id = $1 and subject_id = $2"
_EVENT = "select id from inbox_event where tenant_id = $1 and external_id = $2"


async def measure(stand: Stand, report: Report, *, quick: bool) -> None:
    """The pages of one tenant with 100,000 messages, then what an open one is told."""
    target = await stand.connect(len(stand.targets))
    connections = [target.connection_id]
    connections += [await stand.add_connection(target, f"channel-{n}") for n in range(3)]
    stored = await fill(stand, target, connections, talks=41 if quick else _TALKS)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        browser = Browser(http, stand.gateway.url)
        await browser.enter(target.api_key)
        await _measure_pages(stand, report, browser, target, stored, times=5 if quick else 50)
        await _measure_live(stand, report, browser, target, messages=5 if quick else 60)


async def _measure_pages(
    stand: Stand, report: Report, browser: Browser, target: Target, stored: int, *, times: int
) -> None:
    report.begin(f"The console, a tenant with {stored:,} messages")
    for what, path in (await _pages(stand, target)).items():
        await _time(browser, path)
        taken = percentiles([await _time(browser, path) for _ in range(times)])
        report.add(f"{what}, p50", "ms", taken["p50"])
        report.add(f"{what}, p95", "ms", taken["p95"], aim=Aim("≤", _PAGE_MS))
        report.add(f"{what}, the longest of {times}", "ms", taken["max"])


async def _pages(stand: Stand, target: Target) -> dict[str, str]:
    long = await stand.admin.fetchrow(_LONG, uuid.UUID(target.tenant_id), LONG_SENDER)
    if long is None:
        raise RuntimeError("the long conversation is not there")
    talk = f"/console/conversations/{long['conversation']}"
    return {
        "inbox": "/console/inbox",
        "inbox, unread": "/console/inbox?unread=1",
        "inbox, waiting for a human": "/console/inbox?status=waiting",
        "inbox, a word that many say": f"/console/inbox?q={COMMON_WORD}",
        "inbox, a word that few say": f"/console/inbox?q={RARE_WORD}",
        "inbox, a word that nobody says": f"/console/inbox?q={ABSENT_WORD}",
        "long conversation": talk,
        "long conversation, 480 messages of it": f"{talk}?show=480",
        "why": f"{talk}/why/{long['event']}",
        "overview, 7 days": "/console/overview?days=7",
        "overview, 90 days": "/console/overview?days=90",
        "knowledge": "/console/knowledge",
        "channels": "/console/channels",
        "settings": "/console/settings",
        "audit log": "/console/settings/audit",
    }


async def _time(browser: Browser, path: str) -> float:
    """Milliseconds that a page takes."""
    since = time.perf_counter()
    seen = await browser.get(path)
    if seen.status != 200:
        raise RuntimeError(f"{path} answered {seen.status}")
    return (time.perf_counter() - since) * 1000


async def _measure_live(
    stand: Stand, report: Report, browser: Browser, target: Target, *, messages: int
) -> None:
    """One server takes messages in, another one has the page open; a worker numbers the feed."""
    long = await stand.admin.fetchrow(_LONG, uuid.UUID(target.tenant_id), LONG_SENDER)
    if long is None:
        raise RuntimeError("the long conversation is not there")
    worker = await stand.gateway.work()
    port = free_port()
    other = await stand.gateway.serve(COACHLINE_PORT=str(port))
    page = Browser(browser.http, f"http://127.0.0.1:{port}", browser.cookies)
    talk = f"/console/conversations/{long['conversation']}"
    found: dict[str, list[float]] = {}
    async with (
        _follow(page) as news,
        open_screen(page.url, talk, api_key=target.api_key, pattern=_MESSAGE) as screen,
    ):
        for number in range(messages + 1):
            said = await _say(stand, page, target, talk, news, screen)
            if number:  # the first one waits for connections to be opened
                for what, took in said.items():
                    found.setdefault(what, []).append(took)
    report.begin("From a message's commit to another process's open page")
    report.add("messages", "messages", messages)
    for what, values in found.items():
        taken = percentiles(values)
        report.add(f"{what}, p50", "ms", taken["p50"])
        report.add(f"{what}, p95", "ms", taken["p95"], aim=Aim("≤", _LIVE_MS))
        report.add(f"{what}, the longest", "ms", taken["max"])
    for process in (other, worker):
        await process.stop()


async def _say(
    stand: Stand, page: Browser, target: Target, talk: str, news: _News, screen: Screen | None
) -> dict[str, float]:
    """Milliseconds from a commit until it is told, and until what it says is read and seen.

    They are counted from when the feed's row was written, which is a little before the commit. The
    browser shares the processors with all the rest.
    """
    message = f"live-{uuid.uuid4().hex}"
    to = Connected(
        **{name: getattr(target, name) for name in ("tenant", "tenant_id", "api_key")},
        **{name: getattr(target, name) for name in ("connection_id", "inbound_url", "secret")},
        path="",
    )
    status, _ = await stand.gateway.post(to, message, f"I say {message}", sender=LONG_SENDER)
    if status != 200:
        raise RuntimeError(f"a message was answered {status}")
    tenant = uuid.UUID(target.tenant_id)
    event = await stand.admin.fetchval(_EVENT, tenant, message)
    found = {"told by the stream": await news.heard(str(event))}
    part = await page.get(f"{talk}?part=talk", **{"x-part": "1"})
    found["and the talk with it read"] = time.time()
    if message not in part.text:
        raise RuntimeError("a message was told before it could be read")
    if screen is not None:
        found["on the screen of a browser"] = await screen.saw(message)
    since = (await stand.admin.fetchval(_SAID, tenant, event)).timestamp()
    return {what: (at - since) * 1000 for what, at in found.items()}


class _News:
    """When which subject was told of."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._more = asyncio.Event()

    def hear(self, subject: str) -> None:
        """Note that a subject was told of just now."""
        self._told.setdefault(subject, time.time())
        self._more.set()

    async def heard(self, subject: str) -> float:
        """When a subject was told of, in seconds since the epoch."""
        async with asyncio.timeout(_SECONDS):
            while subject not in self._told:
                self._more.clear()
                await self._more.wait()
        return self._told[subject]


@asynccontextmanager
async def _follow(page: Browser) -> AsyncIterator[_News]:
    """The news of an open page."""
    cookie = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
    url, news = f"{page.url}/console/live", _News()
    async with page.http.get(
        url, headers={"Cookie": cookie}, timeout=aiohttp.ClientTimeout(total=None)
    ) as stream:

        async def listen() -> None:
            async for line in stream.content:
                if line.startswith(b"data:"):
                    news.hear(str(json.loads(line[5:]).get("subject_id")))

        listening = asyncio.create_task(listen())
        try:
            yield news
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
