"""Inbox and conversation: what each role sees and does, and that nobody sees another tenant's."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import aiohttp
import pytest

from coachline.foundation.ids import ConversationId, TenantId, new_id
from coachline.tenancy import Scope
from fixtures.console import Browser
from fixtures.gateway import Connected
from fixtures.house import House
from fixtures.waiting import until
from integration.console.conftest import MakeBrowser

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> \u202ereversed\u202c "
    "e" + "\u0301" * 10_000 + " " + "x" * 5_000
)


@dataclass
class Place:
    """A tenant with one conversation."""

    connected: Connected
    tenant_id: TenantId
    conversation_id: ConversationId
    house: House

    @property
    def path(self) -> str:
        return f"/console/conversations/{self.conversation_id}"

    async def key(self, *scopes: Scope) -> str:
        """A key with some scopes."""
        made = await self.house.services.keys.create(
            self.tenant_id, f"key {new_id()}", scopes, actor="test"
        )
        return made.secret


async def settle(house: House, word: str, text: str = "Good morning") -> Place:
    connected = await house.connect(word)
    await house.post(connected, str(new_id()), text)
    await house.wait_replies(connected, 1)
    tenant_id = TenantId(UUID(connected.tenant_id))
    found = await house.services.transcripts.list_conversations(tenant_id)
    return Place(connected, tenant_id, found[0].id, house)


@pytest.fixture
async def here(house: House) -> Place:
    return await settle(house, "here")


@pytest.fixture
async def there(house: House) -> Place:
    return await settle(house, "there", "A secret of there")


async def enter(browse: MakeBrowser, place: Place, *scopes: Scope) -> Browser:
    browser = browse()
    assert (await browser.enter(await place.key(*scopes))).status == 303
    return browser


async def test_the_inbox_shows_what_was_said_and_leads_to_it(
    browse: MakeBrowser, here: Place
) -> None:
    browser = await enter(browse, here, "read")
    page = await browser.get("/console/inbox")
    assert page.status == 200
    assert here.path in page.text
    talk = await browser.get(here.path)
    assert "Good morning" in talk.text
    assert "Why this reply" in talk.text
    assert "You read along as viewer" in talk.text


async def test_a_learner_without_a_name_is_told_apart_from_others(
    browse: MakeBrowser, here: Place
) -> None:
    found = await here.house.services.transcripts.get_conversation(
        here.tenant_id, here.conversation_id
    )
    called = f"Learner {str(found.learner_id)[-4:]}"
    browser = await enter(browse, here, "read")
    for path in ("/console/inbox", here.path):
        page = await browser.get(path)
        assert f"<bdi>{called}</bdi>" in page.text
    assert f"<title>{called}" in page.text


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ("status=bot", True),
        ("status=waiting", False),
        ("unread=1", True),
        ("q=good+MORNING", True),
        ("q=nothing+like+it", False),
        ("channel=01900000-0000-7000-8000-000000000000", False),
        ("status=nonsense&channel=x&before=x", True),
    ],
)
async def test_the_inbox_is_narrowed_as_its_address_says(
    browse: MakeBrowser, here: Place, query: str, is_there: bool
) -> None:
    browser = await enter(browse, here, "read")
    page = await browser.get(f"/console/inbox?{query}")
    assert page.status == 200
    assert (here.path in page.text) is is_there


@pytest.mark.parametrize("query", ["before=%00", "q=%00&q=x", "q=x&q=%00"])
async def test_an_address_with_a_nul_anywhere_is_refused_by_name(
    browse: MakeBrowser, here: Place, query: str
) -> None:
    browser = await enter(browse, here, "read")
    page = await browser.get(f"/console/inbox?{query}")
    assert page.status == 422
    assert "NUL" in page.text


async def test_pages_of_another_tenant_are_not_there(
    browse: MakeBrowser, here: Place, there: Place
) -> None:
    browser = await enter(browse, here, "admin")
    events = await there.house.services.transcripts.list_messages(
        there.tenant_id, there.conversation_id
    )
    learner = (
        await there.house.services.transcripts.get_conversation(
            there.tenant_id, there.conversation_id
        )
    ).learner_id
    assert "A secret of there" not in (await browser.get("/console/inbox?q=secret")).text
    for path in (
        there.path,
        f"{there.path}/why/{events[0].id}",
        f"/console/learners/{learner}/export",
        f"/console/learners/{learner}/erase",
        f"/console/conversations/{new_id()}",
    ):
        seen = await browser.get(path)
        assert seen.status == 404, path
        assert "A secret of there" not in seen.text
    for path in ("/take", "/resolve", "/mode", "/notes", "/hand-back", "/say"):
        seen = await browser.post(there.path + path, {"text": "x"})
        assert seen.status == 404, path
    assert (await browser.get(there.path, **{"x-part": "region"})).status == 404


@pytest.mark.parametrize("path", ["/console/no-such", "/console/inbox/no/such"])
async def test_a_page_that_is_not_there_is_told_by_a_page(
    browse: MakeBrowser, here: Place, there: Place, path: str
) -> None:
    outside = await browse().get(path)
    names = []
    for place in (here, there):
        inside = await (await enter(browse, place, "read")).get(path)
        names.append(place.connected.tenant in inside.text)
        for seen in (outside, inside):
            assert seen.status == 404
            assert seen.headers["Content-Type"].startswith("text/html")
            assert "There is no such page." in seen.text
            assert 'href="/console/inbox"' in seen.text
            assert "default-src 'none'" in seen.headers["Content-Security-Policy"]
    assert names == [True, True]
    assert "<nav" not in outside.text


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/no-such", {}),
        ("/consoles", {}),
        ("/api/v1/no", {}),
        ("/console/no", {"x-part": "region"}),
    ],
)
async def test_programs_and_scripts_are_told_of_an_unknown_path_by_a_problem_document(
    browse: MakeBrowser, here: Place, path: str, headers: dict[str, str]
) -> None:
    seen = await (await enter(browse, here, "read")).get(path, **headers)
    assert (seen.status, seen.headers["Content-Type"]) == (404, "application/problem+json")
    assert json.loads(seen.text)["code"] == "not_found"


async def test_a_path_with_one_slash_too_many_still_leads_to_its_page(
    browse: MakeBrowser, here: Place
) -> None:
    seen = await (await enter(browse, here, "read")).get("/console/inbox/")
    assert (seen.status, seen.place.endswith("/console/inbox")) == (307, True)


async def test_a_viewer_reads_and_does_nothing(browse: MakeBrowser, here: Place) -> None:
    browser = await enter(browse, here, "read")
    for path in ("/take", "/hand-back", "/say", "/resolve", "/mode", "/notes"):
        assert (await browser.post(here.path + path, {"text": "x"})).status == 403
    assert (
        await browser.post("/console/canned-replies", {"title": "a", "text": "b"})
    ).status == 403
    services = here.house.services
    conversation = await services.transcripts.get_conversation(here.tenant_id, here.conversation_id)
    assert conversation.status == "bot"
    assert conversation.read_seq == 0
    for path in ("export", "erase"):
        seen = await browser.get(f"/console/learners/{conversation.learner_id}/{path}")
        assert seen.status == 403


async def test_a_coach_takes_writes_notes_and_hands_back_without_any_script(
    browse: MakeBrowser, here: Place
) -> None:
    browser = await enter(browse, here, "read", "coach")
    other = await enter(browse, here, "read", "coach")
    assert (await browser.post(f"{here.path}/take")).place == here.path
    assert "This conversation" not in (await browser.get(here.path)).text
    assert (await other.post(f"{here.path}/take")).status == 409
    assert (await other.post(f"{here.path}/say", {"text": "me too"})).status == 409
    assert "Take it over from them" in (await other.get(here.path)).text
    await browser.post(f"{here.path}/say", {"text": "It is me,\r\nMaria"})
    assert "It is me,\nMaria" in await here.house.wait_replies(here.connected, 2)
    await browser.post(f"{here.path}/notes", {"text": "Sleeps badly", "for_model": "1"})
    page = await browser.get(here.path)
    assert "Sleeps badly" in page.text
    assert "It is me,\nMaria" in page.text
    await browser.post(f"{here.path}/hand-back", {"note": "Ask about sleep"})
    page = await browser.get(here.path)
    assert "handed back to the bot: Ask about sleep" in page.text
    assert "Take over" in page.text


async def test_what_a_coach_has_seen_is_read(browse: MakeBrowser, here: Place) -> None:
    browser = await enter(browse, here, "read", "coach")
    assert "is-unread" in (await browser.get("/console/inbox")).text
    await browser.get(here.path)
    assert "is-unread" not in (await browser.get("/console/inbox")).text


async def test_a_proposal_is_changed_and_sent_or_dropped(browse: MakeBrowser, here: Place) -> None:
    browser = await enter(browse, here, "read", "coach")
    assert (await browser.post(f"{here.path}/mode", {"mode": "draft"})).place == here.path
    services = here.house.services
    for text in ("One", "Two"):
        await here.house.post(here.connected, str(new_id()), text)

        async def is_proposed() -> bool:
            return bool(await services.proposals.list(here.tenant_id))

        await until(is_proposed, seconds=20)
        (proposal,) = await services.proposals.list(here.tenant_id)
        assert f"proposal-{proposal.id}" in (await browser.get(here.path)).text
        path = f"{here.path}/proposals/{proposal.id}"
        if text == "One":
            form = {"text": "My own words", "original": proposal.text}
            assert (await browser.post(f"{path}/approve", form)).status == 303
            assert "My own words" in await here.house.wait_replies(here.connected, 2)
            assert (await browser.post(f"{path}/approve", form)).status == 409
        else:
            assert (await browser.post(f"{path}/drop")).status == 303
    assert len(here.house.replies(here.connected)) == 2


async def test_hostile_words_are_words(house: House, browse: MakeBrowser) -> None:
    place = await settle(house, "hostile", HOSTILE)
    browser = await enter(browse, place, "read", "coach")
    await browser.post(f"{place.path}/notes", {"text": "<b onclick=alert(1)>x</b>"})
    for path in ("/console/inbox", place.path, "/console/inbox?q=%3Cscript%3E"):
        page = await browser.get(path)
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert "<b onclick" not in page.text


async def test_no_page_has_inline_code_or_style(browse: MakeBrowser, here: Place) -> None:
    browser = await enter(browse, here, "admin")
    for path in ("/console/inbox", here.path, "/console/account", "/console/canned-replies"):
        page = await browser.get(path)
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src")
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page.text)
        assert "<style" not in page.text
        assert not re.search(r"<script(?![^>]*\ssrc=)", page.text)
        assert "://" not in re.sub(r"<bdi>.*?</bdi>", "", page.text, flags=re.S)


async def test_an_owner_exports_all_and_erases_only_with_the_word(
    browse: MakeBrowser, here: Place
) -> None:
    browser = await enter(browse, here, "admin")
    conversation = await here.house.services.transcripts.get_conversation(
        here.tenant_id, here.conversation_id
    )
    path = f"/console/learners/{conversation.learner_id}"
    export = await browser.get(f"{path}/export")
    assert export.headers["Content-Disposition"].startswith("attachment")
    assert "Good morning" in json.dumps(json.loads(export.text))
    assert (await browser.get(f"{path}/erase")).status == 200
    assert (await browser.post(f"{path}/erase", {"word": "erase"})).status == 422
    assert "Good morning" in (await browser.get(here.path)).text


async def test_why_tells_model_prompt_and_steps(browse: MakeBrowser, here: Place) -> None:
    browser = await enter(browse, here, "read")
    found = re.search(rf"{here.path}/why/[0-9a-f-]+", (await browser.get(here.path)).text)
    assert found
    page = await browser.get(found[0])
    for word in ("The answer was saved", "Model", "Prompt", "Taken by the platform"):
        assert word in page.text
    part = await browser.get(found[0], **{"x-part": "why"})
    assert "<html" not in part.text


@pytest.fixture
async def patient() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        yield http


async def _next(stream: aiohttp.StreamReader, name: str) -> dict[str, str]:
    async with asyncio.timeout(20):
        while True:
            block = (await stream.readuntil(b"\n\n")).decode()
            if f"event: {name}\n" in block:
                found: dict[str, str] = json.loads(block.split("data: ")[1])
                return found


async def test_news_come_at_once_and_what_was_missed_comes_again(
    browse: MakeBrowser, here: Place, there: Place, patient: aiohttp.ClientSession
) -> None:
    browser = await enter(browse, here, "read")
    cookie = {"Cookie": "; ".join(f"{n}={v}" for n, v in browser.cookies.items())}
    async with patient.get(f"{browser.url}/console/live", headers=cookie) as answer:
        assert answer.content_type == "text/event-stream"
        place = await _next(answer.content, "place")
        await here.house.post(there.connected, str(new_id()), "Not for you")
        await here.house.post(here.connected, str(new_id()), "Live")
        news = await _next(answer.content, "news")
    assert news["type"] == "message.received"
    assert news["conversation_id"] == str(here.conversation_id)
    assert "Live" not in str(news)
    again = {**cookie, "Last-Event-ID": str(place["position"])}
    async with patient.get(f"{browser.url}/console/live", headers=again) as answer:
        assert await _next(answer.content, "news") == news


async def test_a_stream_ends_with_the_session(
    browse: MakeBrowser, here: Place, patient: aiohttp.ClientSession
) -> None:
    browser = browse()
    made = await here.house.services.keys.create(here.tenant_id, "short", ["read"], actor="test")
    await browser.enter(made.secret)
    cookie = {"Cookie": "; ".join(f"{n}={v}" for n, v in browser.cookies.items())}
    async with patient.get(f"{browser.url}/console/live", headers=cookie) as answer:
        await _next(answer.content, "place")
        await here.house.services.keys.revoke(here.tenant_id, made.key.id, actor="test")
        began = asyncio.get_running_loop().time()
        assert await _next(answer.content, "signed-out") == {}
        assert asyncio.get_running_loop().time() - began < 5
    assert (await browser.get("/console/inbox")).status == 303


async def test_a_learner_is_forgotten_after_the_word(browse: MakeBrowser, here: Place) -> None:
    browser = await enter(browse, here, "admin")
    services = here.house.services
    conversation = await services.transcripts.get_conversation(here.tenant_id, here.conversation_id)
    path = f"/console/learners/{conversation.learner_id}/erase"
    assert (await browser.post(path, {"word": "ERASE"})).place == "/console/inbox"

    async def is_erased() -> bool:
        return "Good morning" not in (await browser.get(here.path)).text

    await until(is_erased, seconds=20)
