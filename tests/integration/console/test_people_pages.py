"""People: owners only, what each action does, wrong input on the form, one owner for good."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from coachline.foundation.ids import StaffId, new_id
from coachline.tenancy import Role, StaffMember
from fixtures.console import Browser
from fixtures.house import House
from fixtures.waiting import until
from integration.console.conftest import MakeBrowser
from integration.console.party import HOSTILE, Party, assert_only_own_forms, gather

pytestmark = pytest.mark.integration

PATH = "/console/settings/people"
PAGES = (PATH, f"{PATH}/provider", f"{PATH}/{{person}}")
PROVIDER = {
    "issuer": "https://id.example.org",
    "client_id": "coachline",
    "client_secret": "a secret of theirs",
    "domains": "example.org\r\n",
}
FORMS = {
    PATH: {"name": "Bob", "email": "bob@example.org", "role": "coach"},
    f"{PATH}/provider": PROVIDER,
    f"{PATH}/provider/remove": {},
    f"{PATH}/{{person}}": {"name": "Bob", "role": "viewer"},
    f"{PATH}/{{person}}/state": {"state": "disabled"},
    f"{PATH}/{{person}}/link": {},
}


@pytest.fixture
async def mine(house: House, browse: MakeBrowser) -> Party:
    return await settle(await gather(house, browse, "mine"))


@pytest.fixture
async def theirs(house: House, browse: MakeBrowser) -> Party:
    return await settle(await gather(house, browse, "theirs"))


async def settle(party: Party) -> Party:
    party.ids["person"] = str((await hire(party, "Ann", "coach")).id)
    return party


async def hire(party: Party, name: str, role: Role) -> StaffMember:
    return await party.house.services.sign_in.staff.add(
        party.tenant_id, name=name, email=f"{new_id()}@example.org", role=role, actor="test"
    )


async def person(party: Party) -> StaffMember:
    return await party.house.services.sign_in.staff.get(
        party.tenant_id, StaffId(UUID(party.ids["person"]))
    )


async def sit_down(party: Party, browse: MakeBrowser, member: StaffMember) -> Browser:
    """A browser that a person has entered with by a link."""
    ticket = await party.house.services.sign_in.tickets.issue_link(
        party.tenant_id, staff_id=member.id, is_local=False, actor="test"
    )
    browser = browse()
    assert (await browser.get(f"/console/sign-in/link?ticket={ticket}")).status == 303
    page = await browser.get("/console/account")
    found = re.search(r'<meta name="csrf" content="([0-9a-f]{64})">', page.text)
    browser.csrf = found[1] if found else ""
    return browser


@pytest.mark.parametrize("path", PAGES)
async def test_an_owner_sees_every_page_and_nobody_else(mine: Party, path: str) -> None:
    seen = await mine.owner.get(mine.at(path))
    assert seen.status == 200, seen.text[:2_000]
    assert "style=" not in seen.text
    for role in ("coach", "viewer"):
        assert (await mine.browsers[role].get(mine.at(path))).status == 403
        assert PATH not in (await mine.browsers[role].get("/console/settings")).text


@pytest.mark.parametrize("path", FORMS)
async def test_only_an_owners_own_form_is_taken(mine: Party, theirs: Party, path: str) -> None:
    for role in ("coach", "viewer"):
        assert (await mine.browsers[role].post(mine.at(path), FORMS[path])).status == 403
    await assert_only_own_forms(mine, theirs, path, FORMS[path])


async def test_what_is_another_tenants_is_not_there(mine: Party, theirs: Party) -> None:
    assert (await mine.owner.get(theirs.at(f"{PATH}/{{person}}"))).status == 404
    for path, form in FORMS.items():
        if "{" in path:
            assert (await mine.owner.post(theirs.at(path), form)).status == 404, path
    assert theirs.ids["person"] not in (await mine.owner.get(PATH)).text
    assert (await person(theirs)).disabled_at is None


async def test_a_person_is_added_and_shown(mine: Party) -> None:
    form = {"name": f"Bob {HOSTILE}", "email": " Bob@Example.ORG ", "role": "viewer"}
    seen = await mine.owner.post(PATH, form)
    assert seen.status == 303, seen.text
    added = await mine.house.services.sign_in.staff.get_by_email(mine.tenant_id, "bob@example.org")
    assert (added.role, seen.place) == ("viewer", f"{PATH}/{added.id}")
    for path in (PATH, seen.place):
        page = await mine.owner.get(path)
        assert "bob@example.org" in page.text
        assert "<script>alert" not in page.text
        assert "Bob &lt;script&gt;" in page.text


@pytest.mark.parametrize(
    ("changed", "field", "status"),
    [
        ({"name": ""}, "name", 422),
        ({"name": "x" * 101}, "name", 422),
        ({"name": "NUL\x00"}, "name", 422),
        ({"email": "nobody"}, "email", 422),
        ({"email": "taken@example.org"}, "email", 409),
        ({"role": "king"}, "role", 422),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(
    mine: Party, changed: dict[str, str], field: str, status: int
) -> None:
    staff = mine.house.services.sign_in.staff
    taken = {"name": "T", "email": "taken@example.org", "role": "coach"}
    await staff.add(mine.tenant_id, **taken, actor="test")
    form = {"name": "Typed name", "email": "typed@example.org", "role": "viewer"} | changed
    seen = await mine.owner.post(PATH, form)
    assert seen.status == status
    assert f'id="{field}-fault"' in seen.text
    for name, value in (("name", "Typed name"), ("email", "typed@example.org")):
        if name != field:
            assert f'value="{value}"' in seen.text
    if field != "role":
        assert 'value="viewer" checked' in seen.text
    assert len(await staff.list(mine.tenant_id)) == 2


async def test_a_name_and_a_role_are_changed(mine: Party) -> None:
    path = mine.at(f"{PATH}/{{person}}")
    assert (await mine.owner.post(path, {"name": "Ann B.", "role": "owner"})).status == 303
    found = await person(mine)
    assert (found.name, found.role) == ("Ann B.", "owner")
    assert (await mine.owner.post(path, {"name": "Ann B.", "role": "owner"})).status == 303
    async with mine.house.services.database.tenant(mine.tenant_id) as session:
        told = await mine.house.services.audit.list(session, action="staff.change")
    assert len(told) == 1
    seen = await mine.owner.post(path, {"name": "", "role": "viewer"})
    assert seen.status == 422
    assert 'id="name-fault"' in seen.text
    assert 'value="viewer" checked' in seen.text
    assert (await person(mine)).role == "owner"


async def test_who_is_disabled_is_out_gets_no_link_and_is_let_in_again(
    mine: Party, browse: MakeBrowser
) -> None:
    ann = await sit_down(mine, browse, await person(mine))
    path = mine.at(f"{PATH}/{{person}}")
    assert (await mine.owner.post(f"{path}/state", {"state": "disabled"})).status == 303

    async def is_out() -> bool:
        return (await ann.get("/console/inbox")).place.startswith("/console/sign-in")

    await until(is_out)
    page = await mine.owner.get(path)
    assert "Let them in again" in page.text
    assert "Make a link" not in page.text
    refused = await mine.owner.post(f"{path}/link")
    assert refused.status == 409
    assert "ticket=" not in refused.text
    assert (await mine.owner.post(f"{path}/state", {"state": "active"})).status == 303
    assert (await person(mine)).disabled_at is None
    assert (await mine.owner.post(f"{path}/state", {"state": "gone"})).status == 422


async def test_an_owner_stays_one_and_may_change_their_own_name(
    mine: Party, browse: MakeBrowser
) -> None:
    member = await hire(mine, "Olga", "owner")
    olga = await sit_down(mine, browse, member)
    path = f"{PATH}/{member.id}"
    assert "Yes, sign them out" not in (await olga.get(path)).text
    seen = await olga.post(path, {"name": "Olga", "role": "viewer"})
    assert seen.status == 409
    assert "ask an owner" in seen.text
    assert (await olga.post(f"{path}/state", {"state": "disabled"})).status == 409
    assert (await olga.post(path, {"name": "Olga P."})).status == 303
    found = await mine.house.services.sign_in.staff.get(mine.tenant_id, member.id)
    assert (found.name, found.role, found.disabled_at) == ("Olga P.", "owner", None)


async def test_a_link_signs_in_once_and_is_shown_once(mine: Party, browse: MakeBrowser) -> None:
    path = mine.at(f"{PATH}/{{person}}")
    seen = await mine.owner.post(f"{path}/link")
    assert seen.status == 200
    found = re.search(r"<code data-copy-text>(http[^<]+ticket=[^<]+)</code>", seen.text)
    assert found is not None, seen.text
    assert "ticket=" not in (await mine.owner.get(path)).text
    there = "/console" + found[1].partition("/console")[2]
    ann = browse()
    assert (await ann.get(there)).status == 303
    assert "Ann" in (await ann.get("/console/account")).text
    assert (await browse().get(there)).status == 401
    async with mine.house.services.database.tenant(mine.tenant_id) as session:
        (entry,) = await mine.house.services.audit.list(session, action="console.link")
    assert entry.object == f"staff:{mine.ids['person']}"
    assert entry.actor.startswith("key:")


async def test_people_are_paged(mine: Party) -> None:
    for number in range(50):
        await hire(mine, f"Person {number}", "viewer")
    first = (await mine.owner.get(PATH)).text
    more = re.search(rf'href="({PATH}\?cursor=[^"]+)"', first)
    assert more is not None
    second = (await mine.owner.get(more[1])).text
    link = rf'<a href="{PATH}/([0-9a-f]{{8}}-[^"]+)">'
    pages = [re.findall(link, text) for text in (first, second)]
    assert [len(page) for page in pages] == [50, 1]
    assert pages[1] == [mine.ids["person"]]
    assert f"{PATH}?cursor=" not in second


async def test_a_provider_is_set_shown_without_its_secret_and_removed(mine: Party) -> None:
    providers = mine.house.services.sign_in.providers
    assert (await mine.owner.post(f"{PATH}/provider", PROVIDER)).status == 303
    saved = await providers.get(mine.tenant_id)
    assert (saved.issuer, saved.domains) == ("https://id.example.org", ("example.org",))
    provider, _ = await providers.open(mine.tenant_id)
    assert provider.client_secret == PROVIDER["client_secret"]
    for path in (PATH, f"{PATH}/provider"):
        page = await mine.owner.get(path)
        assert "https://id.example.org" in page.text
        assert PROVIDER["client_secret"] not in page.text
    assert "with the provider, not yet" in (await mine.owner.get(PATH)).text
    assert (await mine.owner.post(f"{PATH}/provider/remove")).status == 303
    assert (await mine.owner.post(f"{PATH}/provider/remove")).status == 404


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"issuer": "nowhere"}, "issuer"),
        ({"issuer": "https://[x"}, "issuer"),
        ({"issuer": "https://id.example.org/?a=b"}, "issuer"),
        ({"client_id": ""}, "client_id"),
        ({"client_secret": ""}, "client_secret"),
        ({"domains": "not a domain"}, "domains"),
    ],
)
async def test_a_provider_that_cannot_be_is_refused_and_its_secret_does_not_come_back(
    mine: Party, changed: dict[str, str], field: str
) -> None:
    seen = await mine.owner.post(f"{PATH}/provider", PROVIDER | changed)
    assert seen.status == 422
    assert f'id="{field}-fault"' in seen.text
    assert PROVIDER["client_secret"] not in seen.text
    if field != "client_id":
        assert 'value="coachline"' in seen.text
    assert "none is set" in (await mine.owner.get(f"{PATH}/provider")).text
