"""``coachline up`` as a person meets it: start, open the page, ask, read the answer grow."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from fixtures.chromium import ARGUMENTS, CHROMIUM

# Where a picture of the conversation goes, when somebody wants one for the documentation.
PICTURE = os.environ.get("CHAT_PICTURE")
START_SECONDS = 90
ANSWER_SECONDS = 60
QUESTION = "I missed my walk today. What now?"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here"),
]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cl-up-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
async def address(home: Path) -> AsyncIterator[str]:
    """The address of a gateway that was started with nothing but a home and a free port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COACHLINE_")}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("coachline")),
        "up",
        env={**kept, "COACHLINE_HOME": str(home / "data"), "COACHLINE_PORT": "0"},
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    drained: asyncio.Task[bytes] | None = None
    try:
        url = await _read_address(process.stdout)
        drained = asyncio.create_task(process.stdout.read())
        yield url
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(45):
            await process.wait()
        if drained is not None:
            await drained


async def _read_address(output: asyncio.StreamReader) -> str:
    said = ""
    async with asyncio.timeout(START_SECONDS):
        while line := (await output.readline()).decode():
            said += line
            if found := re.search(r"demo coach: .*?(http://\S+)", line):
                return found[1]
    raise AssertionError(f"it ended without an address:\n{said}")


@pytest.fixture
async def page(home: Path, address: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            home / "browser",
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            viewport={"width": 1000, "height": 720},
            color_scheme="light",
            env={**os.environ, "HOME": str(home)},
        )
        page = context.pages[0]
        await page.goto(address)
        yield page
        await context.close()


async def test_a_question_is_answered_in_tokens_and_with_a_source(page: Page) -> None:
    drafts: list[str] = []

    def note(text: str) -> None:
        drafts.append(text)

    await page.expose_function("noteDraft", note)
    await page.evaluate(
        """() => new MutationObserver(() => {
            const text = document.querySelector('.writing .bubble')?.textContent;
            if (text) noteDraft(text);
        }).observe(document.getElementById('messages'), {childList: true, subtree: true})"""
    )
    question = page.get_by_role("button", name=QUESTION)
    await question.click()
    answer = page.locator(".messages .coach:not(.writing)")
    source = answer.locator(".sources li").first
    held = answer.get_by_text("look at my answer first")
    await expect(source.or_(held).first).to_be_visible(timeout=ANSWER_SECONDS * 1000)
    if await held.count():
        # What a tiny model says is drawn by lot, and now and then a coach has to see it first.
        await page.get_by_role("button", name="New chat").click()
        await question.click()
    await expect(source).to_be_visible(timeout=ANSWER_SECONDS * 1000)
    await expect(answer.locator(".sources")).to_contain_text("getting-moving-again/")
    final = await answer.locator(".bubble").inner_text()
    assert final.strip()
    assert len(set(drafts)) >= 2, "the answer came at once, not while it was written"
    assert await page.locator(".mine code").inner_text()
    if PICTURE:
        await page.screenshot(path=PICTURE)
