"""The page in a real browser: what a person sees and does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from fixtures.chromium import ARGUMENTS, CHROMIUM
from fixtures.scripted_gateway import DemoServer

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")


@pytest.fixture
def profile() -> Iterator[Path]:
    # The browser's children write for a moment after it has closed.
    with tempfile.TemporaryDirectory(prefix="cl-page-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
async def browser(profile: Path) -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            viewport={"width": 400, "height": 780},
            env={**os.environ, "HOME": str(profile)},
        )
        yield context
        await context.close()


@pytest.fixture
async def page(browser: BrowserContext, demo_server: DemoServer) -> Page:
    page = browser.pages[0]
    await page.goto(demo_server.url)
    return page


async def test_a_suggestion_is_asked_and_answered_live_with_its_source(
    page: Page, demo_server: DemoServer
) -> None:
    gateway = demo_server.gateway
    await page.get_by_role("button", name="I missed my walk today").click()
    message = await gateway.next_message()
    await expect(page.get_by_text("Robin is writing")).to_be_visible()
    await expect(page.locator(".mine code")).to_contain_text("coachline why ")
    await gateway.draft(message, "Never **mi")
    await expect(page.locator(".writing .bubble")).to_have_text("Never **mi")
    await gateway.reply(
        message,
        "Never **miss** twice [1].\n\n- shoes on\n- five minutes",
        citations=[{"number": 1, "title": "Setbacks", "source": "setbacks.md"}],
    )
    await expect(page.locator(".coach strong").first).to_have_text("miss")
    await expect(page.locator(".coach .bubble li")).to_have_text(["shoes on", "five minutes"])
    await expect(page.locator(".sources li")).to_contain_text("Setbacks")
    await expect(page.locator(".sources li")).to_contain_text("setbacks.md")
    await expect(page.locator(".writing, #typing:visible")).to_have_count(0)
    await expect(page.get_by_role("status")).to_contain_text("Robin: Never")


async def test_an_answer_that_waits_for_a_person_is_not_said_to_be_on_its_way_for_ever(
    page: Page, demo_server: DemoServer
) -> None:
    await page.clock.install()
    await page.goto(demo_server.url)
    await page.get_by_label("Your message").fill("Hello")
    await page.keyboard.press("Enter")
    message = await demo_server.gateway.next_message()
    await expect(page.locator(".mine code")).to_be_visible()
    await demo_server.gateway.draft(message, "A first wo")
    await expect(page.locator(".writing .bubble")).to_have_text("A first wo")
    await page.clock.fast_forward("01:31")
    await expect(page.get_by_text("No answer yet. A coach may be reading it")).to_be_visible()
    await expect(page.get_by_text("Robin is writing")).to_be_hidden()
    await expect(page.locator(".writing")).to_have_count(0)
    await page.get_by_label("Your message").fill("Are you there?")
    await page.keyboard.press("Enter")
    second = await demo_server.gateway.next_message()
    await expect(page.get_by_text("Robin is writing")).to_be_visible()
    await expect(page.get_by_text("No answer yet.")).to_be_hidden()
    await demo_server.gateway.reply(second, "Yes, I am")
    await expect(page.get_by_text("Yes, I am").first).to_be_visible()
    await demo_server.gateway.reply(message, "A coach has read this")
    await expect(page.locator(".messages .coach .bubble")).to_have_text(
        ["Yes, I am", "A coach has read this"]
    )
    await expect(page.locator("#typing:visible")).to_have_count(0)


async def test_keys_alone_are_enough_and_nothing_becomes_markup(
    page: Page, demo_server: DemoServer
) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.keyboard.type(nasty)
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("second line")
    await page.keyboard.press("Enter")
    message = await demo_server.gateway.next_message()
    assert message["text"] == f"{nasty}\nsecond line"
    await demo_server.gateway.reply(message, f"**{nasty}** `{nasty}`")
    await expect(page.locator(".messages .coach .bubble")).to_have_text(f"{nasty} {nasty}")
    await expect(page.locator(".messages img")).to_have_count(0)
    await expect(page.get_by_label("Your message")).to_be_focused()


async def test_a_message_that_was_not_taken_is_sent_again_once(
    page: Page, demo_server: DemoServer
) -> None:
    demo_server.gateway.statuses = [503]
    await page.get_by_label("Your message").fill("Hello")
    await page.keyboard.press("Enter")
    await expect(page.locator(".failed")).to_contain_text("Not sent")
    await page.get_by_role("button", name="Try again").click()
    message = await demo_server.gateway.next_message()
    await demo_server.gateway.reply(message, "Hello to you")
    await expect(page.locator(".coach .bubble", has_text="Hello to you")).to_be_visible()
    await expect(page.locator(".failed")).to_have_count(0)
    assert len(demo_server.gateway.messages) == 1


async def test_a_message_that_is_too_long_is_held_back_in_plain_words(page: Page) -> None:
    await page.get_by_label("Your message").fill("x" * 8_001)
    await expect(page.get_by_role("alert")).to_have_text(
        "Your message is too long: 8,001 of 8,000 characters."
    )
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    await page.get_by_label("Your message").fill("x" * 8_000)
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()


async def test_a_reload_keeps_the_conversation_and_the_answer_that_came_meanwhile(
    page: Page, demo_server: DemoServer
) -> None:
    await page.get_by_label("Your message").fill("Hello")
    await page.keyboard.press("Enter")
    message = await demo_server.gateway.next_message()
    await expect(page.locator(".mine code")).to_be_visible()
    await page.goto("about:blank")
    await demo_server.gateway.reply(message, "While you were away")
    await page.goto(demo_server.url)
    await expect(page.locator(".messages .bubble")).to_have_text(["Hello", "While you were away"])
    await page.get_by_role("button", name="New chat").click()
    await expect(page.locator(".messages .bubble")).to_have_count(0)
    await expect(page.locator("#welcome")).to_be_visible()


async def test_a_server_that_is_gone_is_told(page: Page, demo_server: DemoServer) -> None:
    await page.get_by_label("Your message").fill("Hello")
    await page.keyboard.press("Enter")
    await demo_server.gateway.next_message()
    await expect(page.locator(".mine code")).to_be_visible()
    demo_server.routes.close()
    await expect(page.get_by_role("alert")).to_have_text(
        "No connection to the server. Trying again…"
    )


async def test_nothing_is_wider_than_a_small_screen(page: Page, demo_server: DemoServer) -> None:
    await page.get_by_label("Your message").fill("w" * 500)
    await page.keyboard.press("Enter")
    message = await demo_server.gateway.next_message()
    await demo_server.gateway.reply(message, f"{'m' * 500} `{'c' * 300}`")
    await expect(page.locator(".messages .coach .bubble")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 400
    assert await page.evaluate("document.getElementById('scroll').scrollWidth") <= 400
