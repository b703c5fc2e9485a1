"""The lab's page: who may ask it, what it tells, and a seat on every platform."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from coachline_lab import FakeSlack, FakeTelegram
from coachline_lab.page import LabPage, Line, Seat, SlackSeat, TelegramSeat, TwilioSeat
from coachline_lab.slack import Installation
from coachline_lab.telegram import Bot
from coachline_lab.twilio import NUMBER, FakeTwilio

JSON = {"Content-Type": "application/json"}


class ScriptedSeat:
    """Keeps what was done and shows what it is told to show."""

    title = "Paper"
    can_edit = True
    about = "Nothing is sent."
    ideas: tuple[str, ...] = ("Hello",)
    command = "coachline connect paper"
    guide = "channels/paper/README.md"
    whereabouts = "Lea to nobody"

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = 0
        self.learner = "learner 1"
        self.shown: list[Line] = []
        self.done: list[tuple[str, ...]] = []

    def lines(self) -> list[Line]:
        return self.shown

    def writing(self) -> str:
        return ""

    def renew(self) -> None:
        self.learner = "learner 2"
        self.shown = []

    async def say(self, text: str) -> None:
        self.done.append(("say", text))
        self.shown.append(Line(id=str(len(self.shown)), who="learner", text=text, at=0.0))
        self.version += 1

    async def press(self, message_id: str, button: str) -> None:
        self.done.append(("press", message_id, button))

    async def edit(self, message_id: str, text: str) -> None:
        if all(line.id != message_id for line in self.shown):
            raise LookupError(f"there is no message {message_id!r}")
        self.done.append(("edit", message_id, text))


@pytest.fixture
def paper() -> ScriptedSeat:
    return ScriptedSeat("paper")


@pytest.fixture
async def page(paper: ScriptedSeat) -> AsyncIterator[LabPage]:
    seats: list[Seat] = [paper, ScriptedSeat("slate")]
    async with LabPage(seats) as opened:
        yield opened


async def look(http: aiohttp.ClientSession, page: LabPage, since: str = "") -> dict[str, Any]:
    async with http.get(f"{page.url}/state", params={"since": since}) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def post(
    http: aiohttp.ClientSession, url: str, body: object, **headers: str
) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.post(url, data=data, headers=JSON | headers) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("name", ["", "lab.css", "lab.js", "bubbles.js"])
async def test_its_files_may_load_nothing_from_elsewhere(
    http: aiohttp.ClientSession, page: LabPage, name: str
) -> None:
    async with http.get(f"{page.url}/{name}") as answer:
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        text = await answer.text()
    assert "innerHTML" not in text
    assert "http://" not in text


@pytest.mark.parametrize("name", ["server.py", "../server.py", "static/lab.js", "%2e%2e/seats.py"])
async def test_other_files_are_not_served(
    http: aiohttp.ClientSession, page: LabPage, name: str
) -> None:
    async with http.get(f"{page.url}/{name}") as answer:
        assert answer.status == 404


async def test_another_name_that_leads_here_is_refused(
    http: aiohttp.ClientSession, page: LabPage
) -> None:
    for host in ("evil.example", "127.0.0.1", "127.0.0.1:1"):
        async with http.get(f"{page.url}/state", headers={"Host": host}) as answer:
            assert answer.status == 403
    port = page.url.rpartition(":")[2]
    async with http.get(f"{page.url}/", headers={"Host": f"localhost:{port}"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["new", "paper/say"])
async def test_another_page_can_post_nothing(
    http: aiohttp.ClientSession, page: LabPage, paper: ScriptedSeat, path: str
) -> None:
    url = f"{page.url}/{path}"
    foreign = await post(http, url, {"text": "x"}, Origin="https://evil.example")
    form = await post(http, url, {"text": "x"}, **{"Content-Type": "text/plain"})
    assert (foreign[0], form[0]) == (403, 415)
    assert not paper.done
    assert paper.learner == "learner 1"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        ([], 400),
        ({"text": 1}, 400),
        ({}, 409),
        ({"text": " \n"}, 409),
        ({"text": "x" * 4001}, 409),
        ({"text": "x" * 70_000}, 413),
    ],
)
async def test_what_is_no_message_is_refused(
    http: aiohttp.ClientSession,
    page: LabPage,
    paper: ScriptedSeat,
    body: object,
    status: int,
) -> None:
    assert (await post(http, f"{page.url}/paper/say", body))[0] == status
    assert not paper.done


async def test_what_is_done_reaches_its_seat_only(
    http: aiohttp.ClientSession, page: LabPage, paper: ScriptedSeat
) -> None:
    assert (await post(http, f"{page.url}/paper/say", {"text": " hello "}))[0] == 200
    assert (await post(http, f"{page.url}/paper/edit", {"message": "0", "text": "hi"}))[0] == 200
    pressed = {"message": "0", "button": "Yes"}
    assert (await post(http, f"{page.url}/paper/press", pressed))[0] == 200
    assert paper.done == [("say", "hello"), ("edit", "0", "hi"), ("press", "0", "Yes")]
    shown = {seat["name"]: seat for seat in (await look(http, page))["seats"]}
    assert [line["text"] for line in shown["paper"]["lines"]] == ["hello"]
    assert shown["slate"]["lines"] == []


async def test_what_cannot_be_done_is_said_in_words(
    http: aiohttp.ClientSession, page: LabPage
) -> None:
    assert await post(http, f"{page.url}/paper/edit", {"message": "9", "text": "x"}) == (
        409,
        "there is no message '9'",
    )
    assert (await post(http, f"{page.url}/fax/say", {"text": "x"}))[0] == 404
    assert (await post(http, f"{page.url}/paper/shout", {"text": "x"}))[0] == 404


async def test_a_look_waits_until_something_changed(
    http: aiohttp.ClientSession, page: LabPage, paper: ScriptedSeat
) -> None:
    seen = await look(http, page)
    waiting = asyncio.create_task(look(http, page, seen["version"]))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    await paper.say("hello")
    async with asyncio.timeout(5):
        assert (await waiting)["version"] != seen["version"]


async def test_somebody_else_may_sit_down(
    http: aiohttp.ClientSession, page: LabPage, paper: ScriptedSeat
) -> None:
    await paper.say("hello")
    seen = await look(http, page)
    assert (await post(http, f"{page.url}/new", {}))[0] == 200
    after = await look(http, page, seen["version"])
    assert {seat["learner"] for seat in after["seats"]} == {"learner 2"}
    assert all(seat["lines"] == [] for seat in after["seats"])


async def test_a_port_in_use_is_an_error(page: LabPage) -> None:
    port = int(page.url.rpartition(":")[2])
    with pytest.raises(OSError, match=str(port)):
        async with LabPage([], port=port):
            raise AssertionError("two pages on one port")


async def test_a_seat_on_telegram_shows_both_sides_and_changes_words(
    telegram: FakeTelegram, bot: Bot
) -> None:
    seat = TelegramSeat(telegram, bot)
    before = seat.version
    await seat.say("hello")
    (line,) = seat.lines()
    assert (line.who, line.text) == ("learner", "hello")
    assert seat.version != before
    await seat.edit(line.id, "good day")
    assert [(one.text, one.is_edited) for one in seat.lines()] == [("good day", True)]
    with pytest.raises(LookupError):
        await seat.press(line.id, "Yes")


async def test_a_seat_on_slack_writes_directly_and_by_its_command(
    slack: FakeSlack, app: Installation
) -> None:
    seat = SlackSeat(slack, app)
    await seat.say("hello")
    await seat.say("/coach help")
    (line,) = seat.lines()  # Slack shows nobody's commands
    await seat.edit(line.id, "good day")
    assert [(one.who, one.text, one.is_edited) for one in seat.lines()] == [
        ("learner", "good day", True)
    ]


async def test_a_seat_on_sms_shows_what_the_platform_answers_itself() -> None:
    async with FakeTwilio() as twilio:
        seat = TwilioSeat(twilio, NUMBER)
        await seat.say("STOP")
        assert [line.who for line in seat.lines()] == ["learner", "platform"]
        with pytest.raises(LookupError):
            await seat.edit("1", "x")
        with pytest.raises(LookupError):
            await seat.press("1", "Yes")


async def test_who_sits_down_anew_has_said_nothing(
    telegram: FakeTelegram, bot: Bot, slack: FakeSlack, app: Installation
) -> None:
    async with FakeTwilio() as twilio:
        seats: list[Seat] = [
            TelegramSeat(telegram, bot),
            SlackSeat(slack, app),
            TwilioSeat(twilio, NUMBER),
        ]
        for seat in seats:
            await seat.say("hello")
            earlier = seat.learner
            seat.renew()
            assert seat.learner != earlier
            assert seat.lines() == []
