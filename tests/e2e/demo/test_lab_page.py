"""The page of ``coachline lab`` in a browser: what a learner writes and sees on every platform."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, async_playwright, expect

from coachline.foundation.schema import migrate
from coachline.local import Demo, Lab, ensure_database
from conftest import ROLES, Servers
from fixtures.chromium import ARGUMENTS, CHROMIUM
from fixtures.house import House, ground_on, open_house

# Where a picture of the page goes, when somebody wants one for the documentation.
PICTURE = os.environ.get("LAB_PICTURE")
DATABASE = "coachline_lab_page"
SECONDS = 30
TOKEN_SECONDS = 0.03
MISSED = "I missed my walk today. What now?"
SLEPT = "What do I do after a short night of sleep?"
BREAK = "How do I start again after three months off?"
ANSWERS = {
    MISSED: "One missed walk is **no setback**. The rule is *never twice*: tomorrow, take the "
    "smallest version, five minutes, whatever the weather.",
    SLEPT: "After less than six hours of sleep, do the **smallest version**:\n\n"
    "1. Five easy minutes.\n2. Leave the phone in another room tonight.\n"
    "3. After two short nights in a row, rest.",
    BREAK: "Begin with ten minutes on two days of the week. Add five minutes a week, no more.",
}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here"),
]


def answer(messages: list[dict[str, str]]) -> str:
    """Answer a known question as it deserves, and repeat any other word for word."""
    asked = messages[-1]["content"].rpartition("\n\n")[2]
    return ANSWERS.get(asked.strip(), f"re: {asked}")


@pytest.fixture(scope="module")
async def house(servers: Servers) -> AsyncIterator[House]:
    """A gateway with the demo's coach and a model that answers in tokens."""
    await ensure_database(servers.postgres, database=DATABASE, roles=ROLES)
    await migrate(servers.url("coachline_owner", DATABASE))
    async with open_house(ground_on(servers.postgres, ROLES, DATABASE)) as opened:
        opened.ollama.reply = answer
        opened.ollama.delay_seconds = TOKEN_SECONDS
        yield opened


@pytest.fixture(scope="module")
async def lab(house: House) -> AsyncIterator[Lab]:
    services = house.services
    demo = await Demo(services.tenants, services.documents, services.connections).prepare(house.url)
    assert demo is not None
    async with Lab(services.connections, demo.tenant_id) as opened:
        yield opened


@pytest.fixture(scope="module")
async def shared(lab: Lab) -> AsyncIterator[Page]:
    with tempfile.TemporaryDirectory(prefix="cl-lab-", ignore_cleanup_errors=True) as home:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                Path(home) / "browser",
                executable_path=CHROMIUM,
                args=ARGUMENTS,
                viewport={"width": 1280, "height": 800},
                color_scheme="light",
                env={**os.environ, "HOME": home},
            )
            page = context.pages[0]
            page.set_default_timeout(SECONDS * 1000)
            await page.goto(lab.url)
            yield page
            await context.close()


@pytest.fixture
async def page(shared: Page) -> Page:
    """The page with somebody new on every platform."""
    name = shared.locator("[data-seat=sms] .title p")
    before = await name.inner_text()
    await shared.get_by_role("button", name="New learner").click()
    await expect(name).not_to_have_text(before)
    await shared.set_viewport_size({"width": 1280, "height": 800})
    return shared


def seat(page: Page, name: str) -> Locator:
    return page.locator(f"[data-seat={name}]")


async def write(page: Page, platform: str, text: str) -> None:
    await page.get_by_label(f"Message on {platform}", exact=True).fill(text)
    await page.keyboard.press("Enter")


async def see(found: Locator) -> None:
    await expect(found).to_be_visible(timeout=SECONDS * 1000)


async def test_a_question_is_answered_on_every_platform_in_its_own_form(page: Page) -> None:
    for text in (MISSED, BREAK):
        await page.get_by_role("button", name=text).click()
    await write(page, "Slack", SLEPT)
    telegram, slack, sms = (seat(page, name) for name in ("telegram", "slack", "sms"))
    await see(telegram.locator(".draft"))
    await see(telegram.locator("strong", has_text="no setback"))
    await see(telegram.locator(".buttons button").first)
    await see(slack.locator(".bot", has_text="2. Leave the phone").locator("strong"))
    await see(slack.locator(".context", has_text="getting-moving-again/"))
    await see(sms.locator(".bot", has_text="Add five minutes a week"))
    await see(sms.locator(".note", has_text="delivered"))
    await expect(telegram.locator(".draft")).to_be_hidden()
    await write(page, "SMS", "STOP")
    await see(sms.locator(".platform"))
    if PICTURE:
        await page.screenshot(path=PICTURE)
    await telegram.locator(".buttons button").first.click()
    await see(telegram.locator("blockquote"))


async def test_a_button_is_pressed_and_answered(page: Page) -> None:
    await write(page, "Telegram", "/forget")
    await seat(page, "telegram").get_by_role("button", name="No", exact=True).click()
    await see(seat(page, "telegram").get_by_text("everything stays as it is"))


async def test_a_message_that_is_changed_while_it_is_answered_is_answered_anew(
    page: Page, house: House
) -> None:
    slack = seat(page, "slack")
    house.ollama.delay_seconds = 0.5
    await write(page, "Slack", "How do I walk, and walk, and walk, and walk, and walk?")
    await see(slack.locator(".bot").first)
    field = page.get_by_label("Message on Slack", exact=True)
    await field.press("ArrowUp")
    await expect(field).to_have_value("How do I walk, and walk, and walk, and walk, and walk?")
    house.ollama.delay_seconds = TOKEN_SECONDS
    await field.fill("How do I rest?")
    await field.press("Enter")
    await see(slack.get_by_text("re: How do I rest?"))
    await see(slack.locator(".learner .note", has_text="changed"))
    await expect(slack.locator(".bot")).to_have_count(1)


async def test_an_edit_is_given_up_with_escape(page: Page) -> None:
    await write(page, "Telegram", "/help")
    await seat(page, "telegram").get_by_role("button", name="Edit: /help").click()
    await expect(seat(page, "telegram").get_by_role("button", name="Save")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_label("Message on Telegram", exact=True)).to_have_value("")
    await expect(seat(page, "telegram").get_by_role("button", name="Send")).to_be_visible()


async def test_words_that_look_like_html_are_words(page: Page) -> None:
    bad = "<img src=x onerror=\"document.title='taken'\"> **<b>bold</b>** [x](javascript:alert(1))"
    for platform in ("Telegram", "Slack", "SMS"):
        await write(page, platform, bad)
    for name in ("telegram", "slack", "sms"):
        await see(seat(page, name).locator(".learner", has_text=bad))
        await see(seat(page, name).locator(".bot", has_text="bold"))
    assert await page.locator("#seats :is(img, b, [href^='javascript'])").count() == 0
    assert await page.title() == "Coachline lab"


async def test_who_reads_further_up_stays_there(page: Page) -> None:
    telegram = seat(page, "telegram")
    await page.set_viewport_size({"width": 1280, "height": 420})
    for number in range(1, 4):
        await write(page, "Telegram", "/help")
        await see(telegram.locator(".bot").nth(number - 1))
    scroll = telegram.locator(".scroll")
    await write(page, "Telegram", MISSED)
    await see(telegram.locator(".learner", has_text=MISSED))
    await scroll.evaluate("one => { one.scrollTop = 0; }")
    await see(telegram.locator("strong", has_text="no setback"))
    assert await scroll.evaluate("one => one.scrollTop") == 0


async def test_on_a_phone_one_platform_is_shown_and_the_others_tell_their_news(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await expect(seat(page, "telegram")).to_be_visible()
    await expect(seat(page, "sms")).to_be_hidden()
    await page.get_by_role("button", name="SMS", exact=True).click()
    await write(page, "SMS", "HELP")
    await page.get_by_role("button", name="Telegram", exact=True).click()
    await expect(page.locator("nav .news")).to_have_text("SMS", timeout=SECONDS * 1000)
    wide = await page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 390
