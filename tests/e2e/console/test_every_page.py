"""Every page for everybody: light and dark, wide and narrow, with axe-core and without a complaint.

A new page is one more line in :data:`PAGES`.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, ViewportSize, expect

from e2e.console.conftest import NARROW, SECONDS, WIDE, Desks
from e2e.console.practice import Practice
from fixtures.chromium import CHROMIUM
from fixtures.house import House

# Where pictures of the pages go, when somebody wants them for the documentation.
PICTURES = os.environ.get("CONSOLE_PICTURES")

# Names for people, and addresses in which the practice's ids are put.
PAGES: Final = {
    "inbox": "/console/inbox",
    "inbox that is narrowed": "/console/inbox?status=waiting&unread=1",
    "inbox without a find": "/console/inbox?q=nothing-like-it",
    "conversation": "/console/conversations/{conversation}",
    "conversation about the learner": "/console/conversations/{conversation}#about",
    "conversation with a proposal": "/console/conversations/{proposed}",
    "conversation with hostile words": "/console/conversations/{hostile}",
    "why": "/console/conversations/{asked}/why/{event}",
    "erasure": "/console/learners/{learner}/erase",
    "overview of a week": "/console/overview?days=7",
    "overview of a quarter": "/console/overview?days=90",
    "knowledge": "/console/knowledge",
    "knowledge that is tried": "/console/knowledge?question=What+is+a+rest+day",
    "document": "/console/knowledge/{document}",
    "channels": "/console/channels",
    "channel to choose": "/console/channels/new",
    "channel to add": "/console/channels/new/telegram",
    "channel": "/console/channels/{connection}",
    "channel to set anew": "/console/channels/{connection}/config",
    "monitors": "/console/monitors",
    "endpoint to add": "/console/monitors/new",
    "endpoint": "/console/monitors/{endpoint}",
    "endpoint to change": "/console/monitors/{endpoint}/change",
    "delivery": "/console/monitors/deliveries/{delivery}",
    "reviews": "/console/safety",
    "reviews that are decided": "/console/safety?show=rejected",
    "safety settings": "/console/safety/settings",
    "settings": "/console/settings",
    "people": "/console/settings/people",
    "person": "/console/settings/people/{owner.id}",
    "provider": "/console/settings/people/provider",
    "limits": "/console/settings/limits",
    "keys": "/console/settings/keys",
    "audit log": "/console/settings/audit",
    "audit log without a find": "/console/settings/audit?action=nothing.like.it",
    "account": "/console/account",
    "canned replies": "/console/canned-replies",
    "page that is not there": "/console/no-such-page",
}
LOOKS: Final[tuple[tuple[ViewportSize, Literal["light", "dark"]], ...]] = (
    (WIDE, "light"),
    (WIDE, "dark"),
    (NARROW, "light"),
    (NARROW, "dark"),
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here"),
]


@dataclass
class Windows:
    """The owner's browsers, one for each look, and what they complain about."""

    desks: Desks
    practice: Practice
    pages: list[Page]

    def address(self, path: str) -> str:
        """The whole address of a page of :data:`PAGES`."""
        return self.desks.house.url + path.format(**vars(self.practice))

    def listen(self, page: Page) -> None:
        """Note what the browser complains about: a policy that is broken, a script that fails."""

        def note(message: ConsoleMessage) -> None:
            # That a page answers 404 is what its own line is about.
            is_page = message.location.get("url") == page.url
            if message.type in ("error", "warning") and not is_page:
                self.desks.problems.append(f"{page.url}: {message.text}")

        page.on("console", note)


@pytest.fixture(scope="module")
async def windows(house: House, practice: Practice, chromium: Browser) -> AsyncIterator[Windows]:
    opened = Windows(Desks(house, chromium), practice, [])
    for size, scheme in LOOKS:
        page = await opened.desks.open(
            practice.tenant_id, practice.owner, viewport=size, color_scheme=scheme
        )
        opened.listen(page)
        opened.pages.append(page)
    yield opened
    await opened.desks.close()


@pytest.mark.parametrize("name", PAGES)
async def test_everybody_can_use_a_page(windows: Windows, axe: str, name: str) -> None:
    windows.desks.problems.clear()
    for page in windows.pages:
        await page.goto(windows.address(PAGES[name]))
        await judge(page, axe)
    assert not windows.desks.problems


async def test_everybody_can_sign_in(windows: Windows, axe: str) -> None:
    for size, scheme in LOOKS:
        context = await windows.desks.browser.new_context(viewport=size, color_scheme=scheme)
        windows.desks.contexts.append(context)
        page = await context.new_page()
        await page.goto(windows.address("/console/sign-in"))
        await expect(page.get_by_label("API key")).to_be_visible(timeout=SECONDS * 1000)
        await judge(page, axe)


async def test_the_inbox_tells_statuses_and_channels_apart(windows: Windows) -> None:
    page = windows.pages[0]
    await page.goto(windows.address("/console/inbox"))
    rows = page.locator("[data-row]")
    await expect(rows).to_have_count(8)
    for told in ("wants a person", "flagged", "Maria Keller", "drafts", "telegram", "slack", "sms"):
        await expect(rows.filter(has_text=told).first).to_be_visible()
    await expect(page.locator(".row.is-unread")).not_to_have_count(0)
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / "console-inbox.png")


async def judge(page: Page, axe: str) -> None:
    """Fail if a page is wider than its window, or not for everybody."""
    wide, window = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window, page.url
    hidden = await page.evaluate(
        "[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth)"
    )
    assert not hidden or window > NARROW["width"], page.url
    await page.evaluate(axe)
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    told = [
        (one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]
    ]
    assert not told, (page.url, page.viewport_size, json.dumps(told, indent=1))
