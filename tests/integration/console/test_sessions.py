"""Signed in, and out again: cookies, forms, ends, and who is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from coachline.foundation.ids import new_id
from coachline.tenancy import SESSION, NewTenant, StaffChanges, StaffMember, make_token
from fixtures.console import COOKIE, Browser
from fixtures.house import House
from fixtures.waiting import until
from integration.console.conftest import MakeBrowser

_OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def pair(house: House) -> tuple[NewTenant, NewTenant]:
    """Two fresh tenants with their first keys."""
    create = house.services.tenants.create
    return await create(f"a-{new_id()}"), await create(f"b-{new_id()}")


async def test_an_api_key_opens_the_console_under_a_cookie_of_this_host(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant]
) -> None:
    browser = browse()
    seen = await browser.enter(pair[0].api_key)
    assert (seen.status, seen.place) == (303, "/console/inbox")
    (cookie,) = [line for line in seen.cookies if line.startswith(COOKIE)]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    page = await browser.get("/console/account")
    assert (page.status, pair[0].name in page.text) == (200, True)
    assert pair[0].api_key not in page.text


@pytest.mark.parametrize("key", ["", "cl_nonsense", "cl_" + "0" * 60, "x" * 500])
async def test_a_wrong_key_opens_nothing(browse: MakeBrowser, key: str) -> None:
    browser = browse()
    seen = await browser.post("/console/sign-in", {"api_key": key})
    assert seen.status == 401
    assert 'role="alert"' in seen.text
    assert not browser.cookies


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant]
) -> None:
    browser = browse()
    seen = await browser.get("/console/account?a=1")
    assert (seen.status, seen.place) == (303, "/console/sign-in?next=/console/account%3Fa%3D1")
    form = {"api_key": pair[0].api_key, "next": "/console/account?a=1"}
    assert (await browser.post("/console/sign-in", form)).place == "/console/account?a=1"


async def test_each_sign_in_makes_a_fresh_session_whatever_cookie_there_was(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant]
) -> None:
    attacker, victim = browse(), browse()
    await attacker.enter(pair[0].api_key)
    victim.cookies[COOKIE] = planted = attacker.cookies[COOKIE]
    await victim.enter(pair[1].api_key)
    assert victim.cookies[COOKIE] != planted
    assert pair[1].name in (await victim.get("/console/account")).text
    assert pair[0].name in (await attacker.get("/console/account")).text


async def test_signing_out_ends_the_session_for_whoever_has_its_cookie(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant]
) -> None:
    browser, thief = browse(), browse()
    await browser.enter(pair[0].api_key)
    thief.cookies = dict(browser.cookies)
    assert (await thief.get("/console/account")).status == 200
    assert (await browser.post("/console/sign-out")).place == "/console/sign-in"
    assert COOKIE not in browser.cookies
    assert (await thief.get("/console/account")).place.startswith("/console/sign-in")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        _OWN | {"Origin": "null"},
        _OWN | {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "{own}"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
        {"Sec-Fetch-Site": "none", "Origin": "{own}"},
        _OWN | {"Origin": "{own}.evil.example"},
    ],
)
async def test_a_form_of_another_page_does_nothing(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant], headers: Mapping[str, str]
) -> None:
    browser = browse()
    await browser.enter(pair[0].api_key)
    sent = {name: value.replace("{own}", browser.url) for name, value in headers.items()}
    assert (await browser.post("/console/sign-out", headers=sent)).status == 403
    form = {"api_key": pair[1].api_key}
    assert (await browser.post("/console/sign-in", form, headers=sent)).status == 403
    assert pair[0].name in (await browser.get("/console/account")).text


async def test_a_form_without_this_sessions_token_does_nothing(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant]
) -> None:
    browser, colleague, stranger = browse(), browse(), browse()
    await browser.enter(pair[0].api_key)
    await colleague.enter(pair[0].api_key)
    await stranger.enter(pair[1].api_key)
    assert len({browser.csrf, colleague.csrf, stranger.csrf}) == 3
    for csrf in ("", "x", "ä" * 64, "0" * 64, colleague.csrf, stranger.csrf, browser.csrf.upper()):
        await _refuses(browser, csrf)
    assert (await browser.post("/console/sign-out")).status == 303


async def _refuses(browser: Browser, csrf: str) -> None:
    if csrf:
        assert (await browser.post("/console/sign-out", csrf=csrf)).status == 403
    else:
        browser.csrf, kept = "", browser.csrf
        assert (await browser.post("/console/sign-out")).status == 403
        browser.csrf = kept
    assert (await browser.get("/console/account")).status == 200


async def test_whoever_is_not_let_in_any_more_is_signed_out_within_five_seconds(
    house: House, browse: MakeBrowser, pair: tuple[NewTenant, NewTenant]
) -> None:
    services, tenant = house.services, pair[0]
    member = await services.sign_in.staff.add(
        tenant.tenant_id, name="Ann", email="ann@example.org", role="owner", actor="test"
    )
    ann = await _by_link(house, browse(), tenant, member)
    operator = await _by_link(house, browse(), tenant, None)
    assert ">owner<" in (await ann.get("/console/account")).text
    change: StaffChanges = {"role": "viewer"}
    await services.sign_in.staff.change(tenant.tenant_id, member.id, change, actor="test")
    await _until_seen(ann, ">viewer<")
    change = {"is_disabled": True}
    await services.sign_in.staff.change(tenant.tenant_id, member.id, change, actor="test")
    await _until_out(ann)
    await services.tenants.suspend(tenant.name)
    await _until_out(operator)


async def _by_link(
    house: House, browser: Browser, tenant: NewTenant, member: StaffMember | None
) -> Browser:
    ticket = await house.services.sign_in.tickets.issue_link(
        tenant.tenant_id, staff_id=member.id if member else None, is_local=True, actor="test"
    )
    path = f"/console/sign-in/link?ticket={ticket}"
    assert (await browser.get(path)).status == 303
    assert (await Browser(browser.http, browser.url).get(path)).status == 401
    return browser


async def _until_seen(browser: Browser, words: str) -> None:
    async def is_seen() -> bool:
        return words in (await browser.get("/console/account")).text

    await until(is_seen, seconds=5)


async def _until_out(browser: Browser) -> None:
    async def is_out() -> bool:
        return (await browser.get("/console/account")).status == 303

    await until(is_out, seconds=5)


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "Host", "X-Forwarded-Proto", "Forwarded"])
async def test_headers_of_proxies_and_the_host_change_nothing(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant], name: str
) -> None:
    browser = browse()
    value = {"X-Forwarded-Proto": "https", "Forwarded": "host=evil.example;for=9.9.9.9"}.get(
        name, "evil.example"
    )
    own = {"Origin": browser.url, "Sec-Fetch-Site": "same-origin", name: value}
    seen = await browser.post("/console/sign-in", {"api_key": pair[0].api_key}, headers=own)
    assert (seen.status, seen.place) == (303, "/console/inbox")
    evil = {**own, "Origin": "http://evil.example"}
    form = {"api_key": pair[0].api_key}
    assert (await browser.post("/console/sign-in", form, headers=evil)).status == 403
    page = await browser.get("/console/sign-in", **{name: value})
    assert "evil.example" not in page.text


async def test_sessions_are_listed_and_ended_one_by_one(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant]
) -> None:
    first, second, stranger = browse(), browse(), browse()
    for browser, key in ((first, pair[0]), (second, pair[0]), (stranger, pair[1])):
        await browser.enter(key.api_key)
    found = re.search(
        r"/console/account/sessions/[0-9a-f-]+/end", (await first.get("/console/account")).text
    )
    assert found
    assert (await stranger.post(found[0])).status == 404
    assert (await first.post(found[0])).place == "/console/account"
    assert (await second.get("/console/account")).status == 303
    assert (await first.post(found[0])).status == 404


async def test_a_cookie_of_another_tenant_or_none_opens_nothing(
    browse: MakeBrowser, pair: tuple[NewTenant, NewTenant]
) -> None:
    browser = browse()
    await browser.enter(pair[0].api_key)
    real = browser.cookies[COOKIE]
    other = make_token(pair[1].tenant_id, SESSION)
    forged = other[: len(other) // 2] + real[len(other) // 2 :]
    for cookie in (other, forged, real[:-1], real + "0", pair[0].api_key, "", "x" * 4_000):
        browser.cookies[COOKIE] = cookie
        assert (await browser.get("/console/account")).status == 303


async def test_static_files_are_known_by_their_digest(browse: MakeBrowser) -> None:
    browser = browse()
    for name, kind in (
        ("console.css", "text/css"),
        ("console.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        seen = await browser.get(f"/console/static/{name}")
        assert seen.status == 200
        assert seen.headers["Content-Type"].startswith(kind)
        assert "://" not in seen.text.replace("http://www.w3.org/2000/svg", "")
        again = await browser.get(
            f"/console/static/{name}", **{"If-None-Match": f"W/{seen.headers['ETag']}"}
        )
        assert (again.status, again.text) == (304, "")
    for name in ("missing.js", "..%2fpages.py", "%2e%2e%2fpages.py"):
        assert (await browser.get(f"/console/static/{name}")).status == 404
