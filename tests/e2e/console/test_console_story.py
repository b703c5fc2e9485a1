"""The coach's side in a browser: seeing, stepping in, racing, by keyboard and without a script."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, Route, expect

from coachline.foundation.ids import new_id
from e2e.console.conftest import QUESTION, SECONDS, Office
from fixtures.chromium import CHROMIUM
from lab.callback_receiver import CallbackReceiver

# Where pictures of the pages go, when somebody wants them for the documentation.
PICTURES = os.environ.get("CONSOLE_PICTURES")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here"),
]


async def write(learner: Page, text: str, platform: str = "SMS") -> None:
    await learner.get_by_label(f"Message on {platform}", exact=True).fill(text)
    await learner.keyboard.press("Enter")


async def see(found: Locator) -> None:
    await expect(found).to_be_visible(timeout=SECONDS * 1000)


def sms(learner: Page) -> Locator:
    return learner.locator("[data-seat=sms]")


async def ask(learner: Page, text: str = QUESTION) -> str:
    """Ask something, be answered, and return a word by which the conversation is found."""
    word = new_id().hex[-12:]
    await write(learner, f"{text} {word}")
    await see(sms(learner).locator(".bot", has_text="smallest version"))
    return word


async def find(page: Page, word: str) -> None:
    """Open the one conversation in which a word was said."""
    await page.goto(page.url.partition("/console")[0] + f"/console/inbox?q={word}")
    await page.locator("[data-row] a").first.click()
    # Until the page is loaded its scripts listen to nobody.
    await page.wait_for_url("**/conversations/*")
    await see(page.locator(".talk-page"))


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png")


async def test_a_coach_sees_a_message_live_takes_over_in_mid_answer_and_hands_back(
    office: Office, learner: Page
) -> None:
    coach = await office.sit_down("Maria", "coach")
    await see(coach.get_by_role("heading", name="Inbox"))
    word = await ask(learner)
    await see(coach.locator("[data-row]", has_text="smallest version").first)
    await find(coach, word)
    # The bot begins an answer that takes long; the coach does not let it end.
    office.house.ollama.delay_seconds = 0.5
    before = await sms(learner).locator(".bot").count()
    await write(learner, "And after two short nights?")
    await see(coach.locator(".line-learner", has_text="two short nights"))
    await see(coach.locator(".writing"))
    await coach.get_by_role("button", name="Take over").click()
    field = coach.get_by_label("Your message to the learner")
    await field.fill("Hello, this is Maria. How are you today?")
    await field.press("Control+Enter")
    await see(coach.locator(".line-coach", has_text="this is Maria"))
    await see(sms(learner).locator(".bot", has_text="this is Maria"))
    await expect(sms(learner).locator(".bot")).to_have_count(before + 1)
    await expect(coach.locator(".writing")).to_have_count(0)
    await write(learner, "Better, thank you!")
    await see(coach.locator(".line-learner", has_text="Better, thank you!"))
    await expect(field).to_have_value("")
    await picture(coach, "console-conversation")
    office.house.ollama.delay_seconds = 0.02
    await coach.get_by_text("Hand back to the bot").click()
    await coach.get_by_label("What the bot should know").fill("Slept badly, feels better")
    await coach.get_by_role("button", name="Hand back", exact=True).click()
    await see(coach.locator(".line-notice", has_text="handed back to the bot"))
    await see(coach.get_by_role("button", name="Take over"))
    await write(learner, "What now?")
    await expect(sms(learner).locator(".bot", has_text="smallest version")).to_have_count(2)


async def test_why_a_reply_was_given_is_told_in_place(office: Office, learner: Page) -> None:
    coach = await office.sit_down("Maria", "viewer")
    await find(coach, await ask(learner))
    await coach.locator(".line-bot [data-why]").last.click()
    why = coach.locator("#why")
    await see(why.get_by_text("The answer was saved"))
    await see(why.get_by_text("Passages the model was given"))
    await picture(coach, "console-why")
    await coach.keyboard.press("Escape")
    await expect(why).to_be_hidden()


async def test_two_coaches_race_and_one_has_the_conversation(office: Office, learner: Page) -> None:
    maria, omar = await office.sit_down("Maria", "coach"), await office.sit_down("Omar", "coach")
    word = await ask(learner)
    for page in (maria, omar):
        await find(page, word)
    await maria.get_by_role("button", name="Take over").click()
    await see(maria.get_by_label("Your message to the learner"))
    await see(omar.get_by_text("has this conversation"))
    await expect(omar.get_by_label("Your message to the learner")).to_have_count(0)
    await omar.get_by_role("button", name="Take it over from them").click()
    await see(omar.get_by_label("Your message to the learner"))
    await see(maria.get_by_text("has this conversation"))
    await expect(maria.get_by_label("Your message to the learner")).to_have_count(0)
    await see(maria.locator(".line-notice", has_text="was relieved by a colleague"))


async def test_what_was_sent_does_not_stay_in_a_field_that_was_fetched_again_meanwhile(
    office: Office, learner: Page
) -> None:
    coach = await office.sit_down("Maria", "coach")
    await find(coach, await ask(learner))
    await coach.get_by_role("button", name="Take over").click()
    field = coach.get_by_label("Your message to the learner")
    await field.fill("Said once only")

    async def fetch_again(route: Route) -> None:
        answer = await route.fetch()
        await coach.evaluate(
            """async () => {
                 const form = document.querySelector("form.say");
                 const { refresh } = await import("/console/static/live.js");
                 refresh(document.getElementById("composer"));
                 while (form.isConnected) await new Promise((done) => setTimeout(done, 10));
               }"""
        )
        await route.fulfill(response=answer)

    await coach.route("**/say", fetch_again)
    await field.press("Control+Enter")
    await see(coach.locator(".line-coach", has_text="Said once only"))
    await expect(field).to_have_value("")
    await coach.reload()
    await expect(field).to_have_value("")


async def test_a_viewer_finds_nothing_to_press_and_is_refused(
    office: Office, learner: Page
) -> None:
    viewer = await office.sit_down("Vera", "viewer")
    await find(viewer, await ask(learner))
    await see(viewer.get_by_text("You read along as viewer"))
    await expect(viewer.get_by_role("button", name="Take over")).to_have_count(0)
    status = await viewer.evaluate(
        """async () => (await fetch(`${location.pathname}/take`, {
             method: "POST",
             headers: {"x-csrf": document.querySelector("meta[name=csrf]").content},
           })).status"""
    )
    assert status == 403


async def test_a_coach_needs_no_mouse(office: Office, learner: Page) -> None:
    coach = await office.sit_down("Maria", "coach")
    word = await ask(learner)
    press = coach.keyboard.press
    await press("?")
    await see(coach.locator("#help"))
    await press("Escape")
    await press("/")
    await coach.keyboard.type(word)
    await press("Enter")
    await coach.wait_for_url(f"**/inbox?q={word}")
    await press("j")
    await press("Enter")
    await coach.wait_for_url("**/conversations/*")
    await see(coach.locator(".talk-page"))
    await press("t")
    await see(coach.get_by_label("Your message to the learner"))
    await press("r")
    await coach.keyboard.type("By keyboard alone")
    await press("Control+Enter")
    await see(sms(learner).locator(".bot", has_text="By keyboard alone"))
    await press("Escape")
    await press("u")
    await coach.wait_for_url("**/console/inbox")
    await coach.keyboard.press("Tab")
    await expect(coach.get_by_text("Skip to the content")).to_be_focused()


async def test_everything_is_read_and_sent_without_a_script(office: Office, learner: Page) -> None:
    coach = await office.sit_down("Maria", "coach", has_scripts=False)
    await find(coach, await ask(learner))
    await coach.get_by_role("button", name="Take over").click()
    await coach.get_by_label("Your message to the learner").fill("No script")
    await coach.get_by_role("button", name="Send").click()
    await see(sms(learner).locator(".bot", has_text="No script"))
    await coach.get_by_label("Switch to dark").click()
    await expect(coach.locator("html")).to_have_attribute("data-theme", "dark")


async def test_an_owner_adds_an_endpoint_and_sees_what_it_took_without_a_script(
    office: Office,
) -> None:
    owner = await office.sit_down("Olga", "owner", has_scripts=False)
    await owner.get_by_role("link", name="Monitors").click()
    await owner.get_by_role("link", name="Add an endpoint").click()
    await owner.get_by_label("Address").fill("https://typed.example.org/hook")
    await owner.get_by_label("Only about the learner").fill("nobody")
    await owner.get_by_label("reply.sent").check()
    await owner.get_by_role("button", name="Add it").click()
    await see(owner.get_by_text("This is no id of a learner."))
    await expect(owner.get_by_label("reply.sent")).to_be_checked()
    async with CallbackReceiver() as receiver:
        await owner.get_by_label("Address").fill(f"{receiver.url}/hook")
        await owner.get_by_label("Only about the learner").fill("")
        await owner.get_by_role("button", name="Add it").click()
        await see(owner.get_by_text("shown this once"))
        await owner.get_by_role("link", name="To the endpoint").click()
        await owner.get_by_role("button", name="Send a test").click()
        await see(owner.get_by_role("heading", name="endpoint.test"))
        await owner.get_by_role("link", name="Endpoint").click()
    await owner.get_by_text("Remove", exact=True).click()
    await owner.get_by_role("button", name="Yes, remove it").click()
    await see(owner.get_by_text("Removed, with everything"))
