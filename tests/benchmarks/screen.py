"""When something is on the screen of a real browser: an open conversation, watched from within."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, async_playwright

from fixtures.chromium import ARGUMENTS, CHROMIUM

_WATCH = """pattern => {
  window.seen = {};
  const look = () => {
    for (const [said] of talk.textContent.matchAll(new RegExp(pattern, "g"))) {
      window.seen[said] ??= Date.now();
    }
  };
  const talk = document.querySelector("#talk");
  new MutationObserver(look).observe(talk, { childList: true, subtree: true });
}"""


class Screen:
    """An open conversation. Made by :func:`open_screen`."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def saw(self, said: str) -> float:
        """When something was first in the page, in seconds since the epoch."""
        await self._page.wait_for_function("said => window.seen[said]", arg=said)
        found: float = await self._page.evaluate("said => window.seen[said] / 1000", said)
        return found


@asynccontextmanager
async def open_screen(
    url: str, path: str, *, api_key: str, pattern: str
) -> AsyncIterator[Screen | None]:
    """A browser at a conversation that notes when it shows what ``pattern`` fits; None without one.

    Args:
        url: the server.
        path: the conversation's page.
        api_key: to sign in with.
        pattern: a regular expression of JavaScript.
    """
    if CHROMIUM is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="cl-screen-", ignore_cleanup_errors=True) as home:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=ARGUMENTS, env={**os.environ, "HOME": home}
            )
            page = await browser.new_page()
            await page.goto(f"{url}/console/sign-in")
            await page.get_by_label("API key").fill(api_key)
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url("**/console/**")
            await page.goto(url + path)
            await page.evaluate(_WATCH, pattern)
            yield Screen(page)
            await browser.close()
