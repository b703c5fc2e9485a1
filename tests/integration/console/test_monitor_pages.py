"""Monitors: endpoints and deliveries for each role, what is refused, what is shown once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from coachline.foundation.ids import new_id
from coachline.foundation.paging import encode_cursor
from coachline.monitoring import DeliveryState
from fixtures.console import Seen
from fixtures.house import House
from fixtures.waiting import until
from integration.console.conftest import MakeBrowser
from integration.console.party import HOSTILE, Party, assert_only_own_forms, gather
from integration.monitoring.scene import Receiver

pytestmark = pytest.mark.integration

PATH = "/console/monitors"
SECONDS = 20.0
READ = (
    PATH,
    f"{PATH}/list",
    f"{PATH}/{{endpoint}}",
    f"{PATH}/{{endpoint}}?state=failed",
    f"{PATH}/deliveries/{{delivery}}",
)
OWNER = (f"{PATH}/new", f"{PATH}/{{endpoint}}/change")
FORMS = {
    f"{PATH}/new": {"url": "https://x.example/h", "redaction": "none", "signature": "shared"},
    f"{PATH}/{{endpoint}}/change": {"url": "https://x.example/h", "redaction": "ids"},
    f"{PATH}/{{endpoint}}/state": {"state": "disabled"},
    f"{PATH}/{{endpoint}}/test": {},
    f"{PATH}/{{endpoint}}/rotate": {},
    f"{PATH}/{{endpoint}}/remove": {},
    f"{PATH}/{{endpoint}}/resend": {"since": "2026-01-01T00:00"},
    f"{PATH}/deliveries/{{delivery}}/resend": {},
}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as opened:
        yield opened


@pytest.fixture
async def mine(house: House, browse: MakeBrowser, receiver: Receiver) -> Party:
    return await settle(await gather(house, browse, "mine"), receiver)


@pytest.fixture
async def theirs(house: House, browse: MakeBrowser, receiver: Receiver) -> Party:
    return await settle(await gather(house, browse, "theirs"), receiver)


async def settle(party: Party, receiver: Receiver) -> Party:
    """Add an endpoint that has taken one test."""
    monitors = party.house.services.monitors
    made = await monitors.endpoints.add(party.tenant_id, receiver.url, actor="test")
    sent = await monitors.endpoints.send_test(party.tenant_id, made.endpoint.id, actor="test")
    party.ids |= {"endpoint": str(made.endpoint.id), "delivery": str(sent)}
    await wait_for(party, "sent")
    return party


async def wait_for(party: Party, state: DeliveryState) -> None:
    deliveries = party.house.services.monitors.deliveries

    async def is_so() -> bool:
        found = await deliveries.explain(party.tenant_id, UUID(party.ids["delivery"]))
        return found.delivery.state == state and bool(found.attempts)

    await until(is_so)


def secret_in(seen: Seen, kind: str) -> str:
    found = re.search(rf"<code data-copy-text>({kind}_[A-Za-z0-9+/=]{{20,}})</code>", seen.text)
    assert found is not None, seen.text[:3_000]
    return found[1]


@pytest.mark.parametrize("path", [*READ, *OWNER])
async def test_an_owner_sees_every_page(mine: Party, path: str) -> None:
    seen = await mine.owner.get(mine.at(path))
    assert seen.status == 200, seen.text[:2_000]
    assert "style=" not in seen.text


@pytest.mark.parametrize("role", ["coach", "viewer"])
async def test_others_read_and_change_nothing(mine: Party, role: str) -> None:
    browser = mine.browsers[role]
    for path in READ:
        seen = await browser.get(mine.at(path))
        assert seen.status == 200
        assert f'action="{PATH}' not in seen.text, "a form that is refused anyway"
    for path in OWNER:
        assert (await browser.get(mine.at(path))).status == 403
    for path, form in FORMS.items():
        assert (await browser.post(mine.at(path), form)).status == 403
    found = await mine.house.services.monitors.endpoints.list(mine.tenant_id)
    assert [(one.state, one.redaction) for one in found] == [("active", "none")]


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_of_another_session_changes_nothing(
    mine: Party, theirs: Party, path: str
) -> None:
    await assert_only_own_forms(mine, theirs, path, FORMS[path])


async def test_what_is_another_tenants_is_not_there(mine: Party, theirs: Party) -> None:
    for path in (*READ, *OWNER):
        if "{" in path:
            assert (await mine.owner.get(theirs.at(path))).status == 404, path
    for path, form in FORMS.items():
        if "{" in path:
            assert (await mine.owner.post(theirs.at(path), form)).status == 404, path
    assert theirs.ids["endpoint"] not in (await mine.owner.get(PATH)).text
    assert mine.ids["endpoint"] in (await mine.owner.get(PATH)).text


@pytest.mark.parametrize(("signature", "kind"), [("shared", "whsec"), ("ed25519", "whpk")])
async def test_an_endpoint_is_added_and_its_secret_shown_once(
    mine: Party, signature: str, kind: str
) -> None:
    form = {
        "url": " https://hooks.example/a?b=1&c=2 ",
        "types": "reply.sent",
        "redaction": "masked",
        "signature": signature,
    }
    seen = await mine.owner.post(f"{PATH}/new", form)
    assert seen.status == 200, seen.text
    secret = secret_in(seen, kind)
    made = (await mine.house.services.monitors.endpoints.list(mine.tenant_id))[-1]
    assert (made.url, made.types) == ("https://hooks.example/a?b=1&c=2", ("reply.sent",))
    assert (made.redaction, made.signature) == ("masked", signature)
    pages = [await mine.owner.get(path) for path in (PATH, f"{PATH}/{made.id}")]
    assert (secret in pages[1].text) is (signature == "ed25519")
    assert "b=1&amp;c=2" in pages[0].text


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"url": "nowhere"}, "url", "absolute"),
        ({"url": ""}, "url", "absolute"),
        ({"url": "ftp://x.example"}, "url", "https"),
        ({"url": "https://user:word@x.example/"}, "url", "password"),
        ({"url": f"https://x.example/{HOSTILE}"}, "url", "absolute"),
        ({"types": "nothing.happened<b>"}, "types", "nothing.happened&lt;b&gt;"),
        ({"learner_id": "me"}, "learner_id", "no id"),
        ({"learner_id": "01900000-0000-7000-8000-000000000000"}, "learner_id", "learner"),
        ({"redaction": "some"}, "redaction", "Choose"),
        ({"signature": "none"}, "signature", "Choose"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(
    mine: Party, changed: dict[str, str], field: str, says: str
) -> None:
    good = {"url": "https://typed.example/h", "types": "reply.failed"}
    choices = {"redaction": "ids", "signature": "ed25519"}
    for path in (f"{PATH}/new", mine.at(f"{PATH}/{{endpoint}}/change")):
        if "signature" in changed and path.endswith("change"):
            continue
        seen = await mine.owner.post(path, good | choices | changed)
        assert seen.status == 422, seen.text
        fault = re.search(rf'<p class="fault" id="{field}-fault"[^>]*>(.+?)</p>', seen.text)
        assert fault is not None, seen.text
        assert says in fault[1]
        if "url" not in changed:
            assert 'value="https://typed.example/h"' in seen.text
        if "types" not in changed:
            assert re.search(r'value="reply.failed" checked', seen.text)
        if "redaction" not in changed:
            assert '<option value="ids" selected>' in seen.text
        assert "<script>alert" not in seen.text
    found = await mine.house.services.monitors.endpoints.list(mine.tenant_id)
    assert len(found) == 1


async def test_a_hostile_address_is_shown_and_does_nothing(mine: Party) -> None:
    url = "https://x.example/<script>alert(1)</script>\"'onload=x"
    form = {"url": url, "redaction": "none", "signature": "shared"}
    assert (await mine.owner.post(f"{PATH}/new", form)).status == 200
    made = (await mine.house.services.monitors.endpoints.list(mine.tenant_id))[-1]
    assert made.url == url
    for path in (PATH, f"{PATH}/{made.id}", f"{PATH}/{made.id}/change"):
        seen = await mine.owner.get(path)
        assert "<script>alert" not in seen.text
        assert "&lt;script&gt;alert(1)" in seen.text


async def test_a_fifty_first_endpoint_is_refused_on_the_form(mine: Party) -> None:
    endpoints = mine.house.services.monitors.endpoints
    for number in range(49):
        await endpoints.add(mine.tenant_id, f"https://x.example/{number}", actor="test")
    form = {"url": "https://typed.example/h", "redaction": "none", "signature": "shared"}
    seen = await mine.owner.post(f"{PATH}/new", form)
    assert seen.status == 409
    assert "at most 50" in seen.text
    assert 'value="https://typed.example/h"' in seen.text


async def test_endpoints_are_listed_from_a_cursor_on(mine: Party) -> None:
    # Fifty are all that a tenant may have, and all that a page shows: no page leads to a second.
    endpoints = mine.house.services.monitors.endpoints
    later = await endpoints.add(mine.tenant_id, "https://later.example/h", actor="test")
    seen = await mine.owner.get(f"{PATH}?cursor={encode_cursor(mine.ids['endpoint'])}")
    assert str(later.endpoint.id) in seen.text
    assert mine.ids["endpoint"] not in seen.text
    seen = await mine.owner.get(f"{PATH}?cursor=nonsense")
    assert (seen.status, seen.headers["Content-Type"].partition(";")[0]) == (400, "text/html")


async def test_an_endpoint_is_changed_and_what_does_not_differ_is_no_change(mine: Party) -> None:
    endpoints = mine.house.services.monitors.endpoints
    path = mine.at(f"{PATH}/{{endpoint}}")
    before = await endpoints.get(mine.tenant_id, UUID(mine.ids["endpoint"]))
    same = {"url": before.url, "redaction": "none"}
    assert (await mine.owner.post(f"{path}/change", same)).status == 303
    form = {"url": "https://moved.example/h", "redaction": "ids", "types": "learner.created"}
    seen = await mine.owner.post(f"{path}/change", form)
    assert (seen.status, seen.place) == (303, path)
    after = await endpoints.get(mine.tenant_id, before.id)
    assert (after.url, after.redaction) == ("https://moved.example/h", "ids")
    assert after.types == ("learner.created",)
    async with mine.house.services.database.tenant(mine.tenant_id) as session:
        found = await mine.house.services.audit.list(session, action="endpoint.change")
    assert len(found) == 1
    assert found[0].actor.startswith("key:")


async def test_an_endpoint_is_disabled_says_why_and_is_enabled(mine: Party) -> None:
    path = mine.at(f"{PATH}/{{endpoint}}")
    assert (await mine.owner.post(f"{path}/state", {"state": "disabled"})).status == 303
    seen = await mine.owner.get(path)
    assert "Somebody disabled it." in seen.text
    assert "Somebody disabled it." in (await mine.owner.get(PATH)).text
    for form, behind in (({}, "test"), ({"since": "2026-01-01T10:30"}, "resend")):
        refused = await mine.owner.post(f"{path}/{behind}", form)
        assert refused.status == 409
        assert "enable it first" in refused.text
    assert 'value="2026-01-01T10:30"' in refused.text
    refused = await mine.owner.post(mine.at(f"{PATH}/deliveries/{{delivery}}/resend"))
    assert refused.status == 409
    assert "enable it first" in refused.text
    assert (await mine.owner.post(f"{path}/state", {"state": "active"})).status == 303
    assert "Somebody disabled it." not in (await mine.owner.get(path)).text
    assert (await mine.owner.post(f"{path}/state", {"state": "gone"})).status == 422


async def test_a_secret_is_rotated_and_the_new_one_shown(mine: Party) -> None:
    path = mine.at(f"{PATH}/{{endpoint}}")
    first = secret_in(await mine.owner.post(f"{path}/rotate"), "whsec")
    seen = await mine.owner.post(f"{path}/rotate")
    assert secret_in(seen, "whsec") != first
    assert "24 hours" in seen.text
    page = await mine.owner.get(path)
    assert "whsec_" not in page.text
    assert "Old key signs until" in page.text


async def test_an_endpoint_is_removed_with_what_was_kept_of_it(mine: Party) -> None:
    path = mine.at(f"{PATH}/{{endpoint}}")
    seen = await mine.owner.post(f"{path}/remove")
    assert (seen.status, seen.place) == (303, PATH)
    for gone in (path, mine.at(f"{PATH}/deliveries/{{delivery}}")):
        assert (await mine.owner.get(gone)).status == 404
    assert (await mine.owner.post(f"{path}/remove")).status == 404


async def test_a_test_is_sent_and_its_delivery_shown(mine: Party, receiver: Receiver) -> None:
    told = len(receiver.got)
    seen = await mine.owner.post(mine.at(f"{PATH}/{{endpoint}}/test"))
    assert seen.status == 303
    mine.ids["delivery"] = seen.place.rpartition("/")[2]
    await wait_for(mine, "sent")
    assert len(receiver.got) > told
    page = await mine.owner.get(seen.place)
    assert "endpoint.test" in page.text
    assert ">thanks<" in page.text
    assert mine.ids["delivery"] in page.text


async def test_what_an_endpoint_answered_is_shown_and_does_nothing(
    mine: Party, receiver: Receiver
) -> None:
    receiver.always = 500
    receiver.text = HOSTILE
    seen = await mine.owner.post(mine.at(f"{PATH}/{{endpoint}}/test"))
    mine.ids["delivery"] = seen.place.rpartition("/")[2]
    await wait_for(mine, "pending")
    page = await mine.owner.get(seen.place)
    assert "500" in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text
    assert "Next attempt" in page.text
    refused = await mine.owner.post(f"{seen.place}/resend")
    assert refused.status == 409
    assert "on its way already" in refused.text
    listed = await mine.owner.get(mine.at(f"{PATH}/{{endpoint}}?state=pending"))
    assert re.search(r'data-label="Last answer">\s*500', listed.text)
    assert "failing since" in (await mine.owner.get(PATH)).text


async def test_a_delivery_is_sent_again(mine: Party, receiver: Receiver) -> None:
    told = len(receiver.got)
    path = mine.at(f"{PATH}/deliveries/{{delivery}}")
    assert (await mine.owner.post(f"{path}/resend")).status == 303
    await until(lambda: len(receiver.got) > told, seconds=SECONDS)
    assert receiver.ids[-1] == receiver.ids[told - 1]


async def test_what_happened_since_a_time_is_sent_again(
    mine: Party, receiver: Receiver, house: House
) -> None:
    path = mine.at(f"{PATH}/{{endpoint}}")
    await house.post(mine.connected, str(new_id()), "Good morning")
    await house.wait_replies(mine.connected, 1)
    await until(lambda: "reply.sent" in receiver.types, seconds=SECONDS)
    nothing = await mine.owner.post(f"{path}/resend", {"since": "2026-01-01T00:00"})
    assert nothing.status == 303
    assert "nothing%20to%20send" in str(nothing.cookies)
    told = receiver.types.count("message.received")
    form = {"since": "2026-01-01T00:00", "everything": "true"}
    assert (await mine.owner.post(f"{path}/resend", form)).status == 303
    await until(lambda: receiver.types.count("message.received") > told, seconds=SECONDS)


@pytest.mark.parametrize("since", ["", "soon", "0001-01-01T00:00+14:00", "2026-02-30T00:00"])
async def test_a_time_that_is_none_is_refused_on_the_form(mine: Party, since: str) -> None:
    form = {"since": since, "everything": "true"}
    seen = await mine.owner.post(mine.at(f"{PATH}/{{endpoint}}/resend"), form)
    assert seen.status == 422
    assert 'id="since-fault"' in seen.text
    assert 'name="everything" value="true" checked' in seen.text


async def test_deliveries_are_paged_and_filtered(mine: Party) -> None:
    endpoints = mine.house.services.monitors.endpoints
    endpoint_id = UUID(mine.ids["endpoint"])
    sent = {
        str(await endpoints.send_test(mine.tenant_id, endpoint_id, actor="test")) for _ in range(50)
    } | {mine.ids["delivery"]}
    path = mine.at(f"{PATH}/{{endpoint}}")
    found: list[str] = []
    place = path
    for count in (50, 1):
        page = (await mine.owner.get(place)).text
        ids = re.findall(rf'<a href="{PATH}/deliveries/([0-9a-f-]+)">', page)
        assert len(ids) == count
        found += ids
        more = re.search(rf'href="({path}\?cursor=[^"]+)"', page)
        place = more[1] if more else ""
    assert place == ""
    assert set(found) == sent
    assert len(found) == len(sent)
    failed = await mine.owner.get(f"{path}?state=failed")
    assert f"{PATH}/deliveries/" not in failed.text
    assert (await mine.owner.get(f"{path}?state=lost")).status == 422
