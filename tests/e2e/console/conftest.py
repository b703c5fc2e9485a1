"""A gateway with the demo's coach, the lab to write from, and browsers at the console."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright

from coachline.foundation.ids import TenantId, new_id
from coachline.foundation.schema import migrate
from coachline.local import Demo, Lab, ensure_database
from coachline.tenancy import Role, StaffMember
from conftest import ROLES, Servers
from e2e.console.practice import ANSWERS, Practice, open_practice
from emulators.install import install
from fixtures.chromium import ARGUMENTS, CHROMIUM
from fixtures.house import House, ground_on, open_house

DATABASE = "coachline_console_pages"
SECONDS = 30
TOKEN_SECONDS = 0.02
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 400, "height": 800}
QUESTION = "What do I do after a short night of sleep?"
ANSWER = (
    "After less than six hours of sleep, do the **smallest version**:\n\n1. Five easy minutes.\n"
    "2. Leave the phone in another room tonight.\n\nTomorrow is a new day."
)


@dataclass
class Desks:
    """Browsers at the console, each with a profile of its own; what goes wrong in them is noted."""

    house: House
    browser: Browser
    problems: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def open(
        self, tenant_id: TenantId, member: StaffMember, *, scripts: bool = True, **look: Any
    ) -> Page:
        """Sign a person in; ``look`` are settings of the browser."""
        ticket = await self.house.services.sign_in.tickets.issue_link(
            tenant_id, staff_id=member.id, is_local=True, actor="test"
        )
        context = await self.browser.new_context(java_script_enabled=scripts, **look)
        self.contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        await page.goto(f"{self.house.url}/console/sign-in/link?ticket={ticket}")
        return page

    async def close(self) -> None:
        """Close all of them."""
        for context in self.contexts:
            await context.close()


@dataclass
class Office:
    """The demo's people, each at a browser of their own."""

    desks: Desks
    tenant_id: TenantId

    @property
    def house(self) -> House:
        """Where they work."""
        return self.desks.house

    async def sit_down(self, name: str, role: Role, *, has_scripts: bool = True) -> Page:
        """Sign in as a new person."""
        member = await self.house.services.sign_in.staff.add(
            self.tenant_id,
            name=name,
            email=f"{new_id()}@example.org",
            role=role,
            actor="test",
        )
        return await self.desks.open(self.tenant_id, member, scripts=has_scripts, viewport=WIDE)


def answer(messages: list[dict[str, str]]) -> str:
    """Answer every question alike but those of the practice."""
    question = messages[-1]["content"].rpartition("\n\n")[2]
    return next((told for word, told in ANSWERS.items() if word in question), ANSWER)


@pytest.fixture(scope="package")
async def house(servers: Servers) -> AsyncIterator[House]:
    """A gateway of its own, with a model that answers in tokens."""
    await ensure_database(servers.postgres, database=DATABASE, roles=ROLES)
    await migrate(servers.url("coachline_owner", DATABASE))
    async with open_house(ground_on(servers.postgres, ROLES, DATABASE)) as opened:
        opened.ollama.reply = answer
        opened.ollama.delay_seconds = TOKEN_SECONDS
        yield opened


@pytest.fixture(scope="package")
async def lab(house: House) -> AsyncIterator[Lab]:
    """The demo's coach on every platform."""
    services = house.services
    demo = await Demo(services.tenants, services.documents, services.connections).prepare(house.url)
    assert demo is not None
    async with Lab(services.connections, demo.tenant_id) as opened:
        yield opened


@pytest.fixture(scope="package")
async def chromium() -> AsyncIterator[Browser]:
    """One browser program; each person has a profile of their own in it."""
    with tempfile.TemporaryDirectory(prefix="cl-con-", ignore_cleanup_errors=True) as home:
        async with async_playwright() as playwright:
            opened = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=ARGUMENTS, env={**os.environ, "HOME": home}
            )
            yield opened
            await opened.close()


@pytest.fixture
async def office(house: House, lab: Lab, chromium: Browser) -> AsyncIterator[Office]:
    """The demo's people; no script of a page may fail."""
    demo = await house.services.tenants.get_by_name("demo")
    opened = Office(Desks(house, chromium), demo.id)
    yield opened
    house.ollama.delay_seconds = TOKEN_SECONDS
    await opened.desks.close()
    assert not opened.desks.problems


@pytest.fixture
async def learner(office: Office, lab: Lab) -> Page:
    """Somebody new on every platform."""
    context = await office.desks.browser.new_context(viewport=WIDE)
    office.desks.contexts.append(context)
    page = await context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    await page.goto(lab.url)
    await page.get_by_role("button", name="New learner").click()
    return page


@pytest.fixture(scope="package")
async def practice(house: House) -> AsyncIterator[Practice]:
    """A tenant with something on every page."""
    async with open_practice(house) as opened:
        yield opened


@pytest.fixture(scope="session")
async def axe() -> str:
    """The checks of axe-core, as a script."""
    try:
        folder = await asyncio.to_thread(install, Path(__file__).parent)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("axe-core cannot be fetched here")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
