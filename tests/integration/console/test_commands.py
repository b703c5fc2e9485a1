"""`coachline staff` and `coachline console`: what an operator types."""

from __future__ import annotations

import pytest

from coachline.foundation.ids import new_id
from fixtures.house import House
from integration.console.conftest import MakeBrowser


@pytest.fixture
async def tenant(house: House) -> str:
    """A tenant's name."""
    return (await house.services.tenants.create(f"c-{new_id()}")).name


async def test_people_are_added_listed_changed_and_disabled(house: House, tenant: str) -> None:
    of = ("--tenant", tenant)
    added = await house.ask("staff", "add", "Ann@example.org", "--name", "Ann", *of)
    assert (added["email"], added["role"], added["disabled"]) == ("ann@example.org", "coach", False)
    assert (await house.ask("staff", "role", "ann@example.org", "owner", *of))["role"] == "owner"
    assert (await house.ask("staff", "disable", "ann@example.org", *of))["disabled"] is True
    assert (await house.ask("staff", "enable", "ann@example.org", *of))["disabled"] is False
    (listed,) = await house.ask("staff", "list", *of)
    assert (listed["staff_id"], listed["role"]) == (added["staff_id"], "owner")
    code, _, complaint = await house.call("staff", "role", "eve@example.org", "owner", *of)
    assert (code, "no such person" in complaint) == (1, True)


async def test_a_link_signs_in_as_operator_or_as_a_person(
    house: House, tenant: str, browse: MakeBrowser
) -> None:
    await house.ask(
        "staff", "add", "ann@example.org", "--name", "Ann", "--role", "viewer", "--tenant", tenant
    )
    for words, seen in (((), ">owner<"), (("--as", "ann@example.org"), ">viewer<")):
        link = (await house.ask("console", "sign-in", "--tenant", tenant, *words))["url"]
        browser = browse()
        assert link.startswith(f"{browser.url}/console/sign-in/link?ticket=")
        assert (await browser.get(link.removeprefix(browser.url))).place == "/console/inbox"
        assert seen in (await browser.get("/console/account")).text


async def test_a_provider_is_set_sealed_anew_and_taken_away(house: House, tenant: str) -> None:
    secret = "a very secret secret"
    code, out, complaint = await house.call(
        *("console", "provider", "--tenant", tenant, "--issuer", "https://id.example.org"),
        *("--client-id", "coachline", "--domain", "Example.org", "--json"),
        CLIENT_SECRET=secret,
    )
    assert code == 0, complaint
    assert secret not in out
    assert '"domains": ["example.org"]' in out
    assert f"{house.url}/console/sign-in/done" in out
    assert await house.ask("connection", "reseal", "--tenant", tenant) == {"resealed": 0}
    assert (await house.ask("console", "no-provider", "--tenant", tenant))["removed"] is True
    code, _, complaint = await house.call("console", "no-provider", "--tenant", tenant)
    assert (code, "no provider" in complaint) == (1, True)
