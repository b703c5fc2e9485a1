"""A page whose server is away says so, and when it is back has all that was missed."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, Route, expect

from coachline.foundation.ids import new_id
from e2e.console.conftest import SECONDS, Office
from e2e.console.test_console_story import ask, find, see, write
from fixtures.chromium import CHROMIUM
from fixtures.waiting import until

LIVE = "/console/live"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here"),
]


async def lose(page: Page) -> None:
    """Take the network away, and wait until the page tells."""
    await page.context.set_offline(True)
    await expect(page.locator("#lost")).to_be_visible(timeout=SECONDS * 1000)


async def come_back(page: Page) -> None:
    """Give the network back, and wait until the page does not complain any more."""
    await page.context.set_offline(False)
    await expect(page.locator("#lost")).to_be_hidden(timeout=SECONDS * 1000)


async def test_the_inbox_tells_that_it_is_cut_off_and_catches_up(
    office: Office, learner: Page
) -> None:
    coach = await office.sit_down("Maria", "coach")
    await ask(learner)
    await see(coach.locator("[data-row]").first)
    await expect(coach.locator("#lost")).to_be_hidden()
    await lose(coach)
    word = new_id().hex[-12:]
    await write(learner, f"What did you miss? {word}", "Telegram")
    await see(learner.locator("[data-seat=telegram] .bot").last)
    await expect(coach.locator("[data-row]", has_text=word)).to_have_count(0)
    await come_back(coach)
    await expect(coach.locator("[data-row]").first).to_contain_text("smallest version")


async def test_a_conversation_shows_what_was_said_while_it_was_cut_off(
    office: Office, learner: Page
) -> None:
    coach = await office.sit_down("Maria", "coach")
    await find(coach, await ask(learner))
    await lose(coach)
    word = new_id().hex[-12:]
    await write(learner, f"Are you there? {word}")
    bots = learner.locator("[data-seat=sms] .bot")
    await expect(bots).to_have_count(2, timeout=SECONDS * 1000)
    await expect(coach.locator(".line-learner", has_text=word)).to_have_count(0)
    await come_back(coach)
    await see(coach.locator(".line-learner", has_text=word))
    await expect(coach.locator(".line-bot")).not_to_have_count(1)


async def test_a_page_that_never_reached_the_stream_says_so_and_catches_up(
    office: Office, learner: Page
) -> None:
    coach = await office.sit_down("Maria", "coach")
    await find(coach, await ask(learner))
    await coach.route(f"**{LIVE}*", lambda route: route.abort())
    await coach.reload()
    await expect(coach.locator("#lost")).to_be_visible(timeout=SECONDS * 1000)
    word = new_id().hex[-12:]
    await write(learner, f"Can you hear me? {word}")
    await expect(learner.locator("[data-seat=sms] .bot")).to_have_count(2, timeout=SECONDS * 1000)
    await coach.unroute(f"**{LIVE}*")
    await see(coach.locator(".line-learner", has_text=word))
    await expect(coach.locator("#lost")).to_be_hidden()


async def test_a_part_that_could_not_be_fetched_is_fetched_again(
    office: Office, learner: Page
) -> None:
    coach = await office.sit_down("Maria", "coach")
    await find(coach, await ask(learner))
    refused = []

    async def refuse(route: Route) -> None:
        refused.append(route.request.url)
        await route.fulfill(status=503)

    await coach.route("**/console/conversations/*part=talk*", refuse)
    word = new_id().hex[-12:]
    await write(learner, f"Once more? {word}")
    await expect(learner.locator("[data-seat=sms] .bot")).to_have_count(2, timeout=SECONDS * 1000)
    await until(lambda: len(refused) > 1, seconds=SECONDS)
    await coach.unroute("**/console/conversations/*part=talk*")
    await see(coach.locator(".line-learner", has_text=word))


async def test_a_stream_that_is_silent_for_long_is_opened_anew(
    office: Office, learner: Page
) -> None:
    coach = await office.sit_down("Maria", "coach")
    word = await ask(learner)
    await coach.clock.install()
    await find(coach, word)
    opened: list[str] = []
    coach.on("response", lambda found: opened.append(found.url) if LIVE in found.url else None)
    await coach.reload()
    await until(lambda: len(opened) == 1, seconds=SECONDS)

    async def is_opened_anew() -> bool:
        await coach.clock.fast_forward(30_000)
        return len(opened) > 1

    await until(is_opened_anew, seconds=SECONDS)
    await expect(coach.locator("#lost")).to_be_hidden()
