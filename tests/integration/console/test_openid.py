"""Sign-in by the organisation's provider: who is let in, and each way in which nobody is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import pytest

from coachline.foundation.ids import TenantId, new_id
from coachline.tenancy import Role, StaffMember
from fixtures.console import COOKIE, Browser, Seen
from fixtures.house import House
from integration.console.conftest import MakeBrowser
from lab.openid_provider import CLIENT_ID, CLIENT_SECRET, Lie, OpenIdProvider, Person

AWAY = "__Host-coachline-away"


@dataclass
class Organisation:
    """A tenant that signs in with a provider."""

    name: str
    tenant_id: TenantId
    house: House

    async def hire(self, email: str, role: Role = "coach") -> StaffMember:
        """Add a person."""
        staff = self.house.services.sign_in.staff
        return await staff.add(self.tenant_id, name="Ann", email=email, role=role, actor="test")


@pytest.fixture
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with OpenIdProvider() as opened:
        yield opened


async def found(house: House, provider: OpenIdProvider, *domains: str) -> Organisation:
    made = await house.services.tenants.create(f"o-{new_id()}")
    await house.services.sign_in.providers.save(
        made.tenant_id,
        issuer=provider.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        domains=domains,
        actor="test",
    )
    return Organisation(made.name, made.tenant_id, house)


@pytest.fixture
async def organisation(house: House, provider: OpenIdProvider) -> Organisation:
    return await found(house, provider)


async def leave(browser: Browser, organisation: Organisation, back: str = "") -> str:
    """Go to the provider; where it sends the browser back to."""
    seen = await browser.get(
        f"/console/sign-in/provider?organisation={organisation.name}&next={back}"
    )
    assert seen.status == 303, seen.text
    async with browser.http.get(seen.place, allow_redirects=False) as answer:
        assert answer.status == 303
        parts = urlsplit(answer.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}" == browser.url
    return f"{parts.path}?{parts.query}"


async def sign_in(browser: Browser, organisation: Organisation, back: str = "") -> Seen:
    return await browser.get(await leave(browser, organisation, back))


def is_in(browser: Browser) -> bool:
    return COOKIE in browser.cookies


async def test_who_was_added_enters_with_their_role_and_is_known_from_then_on(
    browse: MakeBrowser, organisation: Organisation, provider: OpenIdProvider
) -> None:
    await organisation.hire("ann@example.org")
    browser = browse()
    page = await browser.get(f"/console/sign-in?organisation={organisation.name}")
    assert urlsplit(provider.issuer).netloc in page.text
    seen = await sign_in(browser, organisation, "/console/account")
    assert (seen.status, seen.place) == (303, "/console/account")
    assert is_in(browser)
    assert AWAY not in browser.cookies
    account = await browser.get("/console/account")
    assert "Ann" in account.text
    assert ">coach<" in account.text
    query = provider.asked[0]
    assert query["code_challenge_method"] == "S256"
    assert CLIENT_SECRET not in str(provider.asked)
    # The address moved on; the person did not.
    provider.person = Person("sub-ann", "ann.new@example.org")
    again = browse()
    assert (await sign_in(again, organisation)).place == "/console/inbox"
    assert is_in(again)


@pytest.mark.parametrize("lie", list(Lie))
async def test_an_answer_that_proves_nobody_opens_nothing(
    browse: MakeBrowser, organisation: Organisation, provider: OpenIdProvider, lie: Lie
) -> None:
    await organisation.hire("ann@example.org", "owner")
    await organisation.hire("owner@example.org", "owner")
    provider.lie = lie
    browser = browse()
    seen = await sign_in(browser, organisation)
    assert seen.status == 401, seen.text
    assert not is_in(browser)
    # Nothing of the failure stays: the truth opens the console a moment later.
    provider.lie = None
    assert (await sign_in(browser, organisation)).status == 303
    assert is_in(browser)


async def test_a_way_back_is_good_once_and_only_in_the_browser_that_left(
    browse: MakeBrowser, organisation: Organisation
) -> None:
    await organisation.hire("ann@example.org")
    ann, other = browse(), browse()
    back = await leave(ann, organisation)
    assert (await other.get(back)).status == 401
    assert not is_in(other)
    # Whoever tried it elsewhere has used it up.
    assert (await ann.get(back)).status == 401
    back = await leave(ann, organisation)
    cookies = dict(ann.cookies)
    assert (await ann.get(back)).status == 303
    replay = browse()
    replay.cookies = cookies
    assert (await replay.get(back)).status == 401
    assert not is_in(replay)


async def test_a_code_of_another_sign_in_fits_nowhere(
    browse: MakeBrowser, organisation: Organisation, provider: OpenIdProvider
) -> None:
    """The code that an attacker got for themselves, put into the victim's way back."""
    await organisation.hire("ann@example.org")
    victim, attacker = browse(), browse()
    theirs = dict(parse_qsl(urlsplit(await leave(attacker, organisation)).query))
    mine = dict(parse_qsl(urlsplit(await leave(victim, organisation)).query))
    query = f"code={theirs['code']}&state={mine['state']}&iss={mine['iss']}"
    assert (await victim.get(f"/console/sign-in/done?{query}")).status == 401
    assert provider.refused == ["wrong verifier"]
    assert not is_in(victim)


@pytest.mark.parametrize("query", ["", "state=&code=", "state=ct_x&code=y", "error=access_denied"])
async def test_a_way_back_of_nobody_opens_nothing(browse: MakeBrowser, query: str) -> None:
    browser = browse()
    assert (await browser.get(f"/console/sign-in/done?{query}")).status == 401
    assert not browser.cookies


async def test_who_was_not_added_stays_outside(
    browse: MakeBrowser, organisation: Organisation, provider: OpenIdProvider
) -> None:
    await organisation.hire("ann@example.org")
    provider.person = Person("sub-eve", "eve@example.org")
    browser = browse()
    assert (await sign_in(browser, organisation)).status == 403
    # The address of Ann, but not Ann: she has entered once, under another subject.
    provider.person = Person("sub-ann", "ann@example.org")
    assert (await sign_in(browse(), organisation)).status == 303
    provider.person = Person("sub-eve", "ann@example.org")
    assert (await sign_in(browser, organisation)).status == 403
    assert not is_in(browser)


async def test_an_allowed_domain_enters_as_a_viewer_and_no_other_domain_does(
    house: House, browse: MakeBrowser, provider: OpenIdProvider
) -> None:
    organisation = await found(house, provider, "example.org")
    provider.person = Person("sub-eve", "eve@example.org", "Eve")
    browser = browse()
    assert (await sign_in(browser, organisation)).status == 303
    assert ">viewer<" in (await browser.get("/console/account")).text
    for email in ("eve@sub.example.org", "eve@example.org.evil.example", "eve@xexample.org"):
        provider.person = Person(f"sub-{email}", email)
        assert (await sign_in(browse(), organisation)).status == 403


async def test_the_same_provider_keeps_two_organisations_apart(
    house: House, browse: MakeBrowser, provider: OpenIdProvider
) -> None:
    first, second = await found(house, provider), await found(house, provider)
    await first.hire("ann@example.org")
    browser = browse()
    assert (await sign_in(browser, second)).status == 403
    assert (await sign_in(browser, first)).status == 303
    assert first.name in (await browser.get("/console/account")).text


async def test_an_organisation_without_a_provider_looks_like_none(
    house: House, browse: MakeBrowser
) -> None:
    made = await house.services.tenants.create(f"n-{new_id()}")
    pages = [
        await browse().get(f"/console/sign-in?organisation={name}")
        for name in (made.name, "no-such-organisation")
    ]
    assert [page.status for page in pages] == [404, 404]
    assert pages[0].text.replace(made.name, "") == pages[1].text.replace("no-such-organisation", "")


async def test_new_keys_of_a_provider_are_read_but_not_at_every_wrong_token(
    browse: MakeBrowser, organisation: Organisation, provider: OpenIdProvider
) -> None:
    await organisation.hire("ann@example.org")
    assert (await sign_in(browse(), organisation)).status == 303
    reads = provider.key_reads
    provider.lie = Lie.OTHER_KEY
    for _ in range(3):
        assert (await sign_in(browse(), organisation)).status == 401
    assert (provider.key_reads, provider.discoveries) == (reads, 1)


async def test_the_console_never_goes_back_to_a_foreign_page(
    browse: MakeBrowser, organisation: Organisation
) -> None:
    await organisation.hire("ann@example.org")
    for back in ("https://evil.example", "//evil.example/console", "/console/%5Cevil.example"):
        browser = browse()
        assert (await sign_in(browser, organisation, back)).place == "/console/inbox"
