"""Safety: what waits, who decides, the words that it is about, and how it is judged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import text

from coachline.conversation import SafetyReview
from coachline.foundation.ids import ReviewId, new_id
from fixtures.house import House
from fixtures.waiting import until
from integration.console.conftest import MakeBrowser
from integration.console.party import HOSTILE, Party, assert_only_own_forms, gather

pytestmark = pytest.mark.integration

PATH = "/console/safety"
DECISION = f"{PATH}/reviews/{{review}}/decision"
READ = (
    PATH,
    f"{PATH}/list",
    f"{PATH}?show=approved",
    f"{PATH}?show=rejected",
    f"{PATH}/settings",
)
OWNER_FORMS = {
    f"{PATH}/settings": {"crisis_script": "Call us."},
    f"{PATH}/settings/try": {"text": "Hello", "language": "en", "direction": "incoming"},
}
DANGER = "I want to kill myself"


@pytest.fixture
async def mine(house: House, browse: MakeBrowser) -> Party:
    return await settle(await gather(house, browse, "mine"), f"{DANGER} {HOSTILE}")


@pytest.fixture
async def theirs(house: House, browse: MakeBrowser) -> Party:
    return await settle(await gather(house, browse, "theirs"), f"{DANGER}, they said")


async def settle(party: Party, said: str) -> Party:
    """Have a learner in danger write."""
    await party.house.post(party.connected, str(new_id()), said)
    await party.house.wait_replies(party.connected, 1)
    (review,) = await reviews(party)
    party.ids["review"] = str(review.id)
    return party


async def reviews(party: Party) -> Sequence[SafetyReview]:
    return await party.house.services.safety.reviews.list(party.tenant_id)


async def add_reviews(party: Party, count: int) -> None:
    """More reviews of the same message, as a learner would cause who goes on."""
    (review,) = await reviews(party)
    async with party.house.services.database.tenant(party.tenant_id) as session:
        for _ in range(count):
            await session.execute(
                text(
                    "insert into safety_review (tenant_id, id, conversation_id, turn_id, event_id,"
                    " direction, kind, score, reasons, status) select tenant_id, :id,"
                    " conversation_id, turn_id, event_id, direction, kind, score, reasons, status"
                    " from safety_review where id = :of"
                ),
                {"id": new_id(), "of": review.id},
            )


@pytest.mark.parametrize("path", READ)
async def test_everybody_reads(mine: Party, path: str) -> None:
    for browser in mine.browsers.values():
        seen = await browser.get(mine.at(path))
        assert seen.status == 200, seen.text[:2_000]
        assert "style=" not in seen.text


async def test_the_words_stand_there_and_do_nothing(mine: Party) -> None:
    seen = await mine.browsers["viewer"].get(PATH)
    assert f"{DANGER} &lt;script&gt;alert(1)" in seen.text
    assert "<script>alert" not in seen.text
    (review,) = await reviews(mine)
    assert f'href="/console/conversations/{review.conversation_id}"' in seen.text
    assert "cannot wait" in seen.text
    assert f"Score {review.score:.2f}" in seen.text
    assert review.reasons[0] in seen.text
    assert "It is in order" not in seen.text, "a button that is refused anyway"


async def test_a_viewer_decides_nothing_and_only_an_owner_sets(mine: Party) -> None:
    seen = await mine.browsers["viewer"].post(mine.at(DECISION), {"decision": "approved"})
    assert seen.status == 403
    for role in ("viewer", "coach"):
        for path, form in OWNER_FORMS.items():
            assert (await mine.browsers[role].post(path, form)).status == 403
        page = await mine.browsers[role].get(f"{PATH}/settings")
        assert "Only an owner can change this." in page.text
        assert "Try a text" not in page.text
    (review,) = await reviews(mine)
    assert review.status == "flagged"


@pytest.mark.parametrize("path", [DECISION, *OWNER_FORMS])
async def test_a_form_of_another_session_changes_nothing(
    mine: Party, theirs: Party, path: str
) -> None:
    form = OWNER_FORMS.get(path, {"decision": "approved"})
    await assert_only_own_forms(mine, theirs, path, form)


async def test_what_is_another_tenants_is_not_there(mine: Party, theirs: Party) -> None:
    seen = await mine.owner.post(theirs.at(DECISION), {"decision": "approved"})
    assert seen.status == 404
    assert "they said" not in (await mine.owner.get(PATH)).text
    assert [one.status for one in await reviews(theirs)] == ["flagged"]


@pytest.mark.parametrize("decision", ["approved", "rejected"])
async def test_a_coach_decides_once(mine: Party, decision: str) -> None:
    coach = mine.browsers["coach"]
    assert "It is in order" in (await coach.get(PATH)).text
    seen = await coach.post(mine.at(DECISION), {"decision": decision})
    assert (seen.status, seen.place) == (303, PATH)
    assert [one.status for one in await reviews(mine)] == [decision]
    assert DANGER not in (await coach.get(PATH)).text
    page = await coach.get(f"{PATH}?show={decision}")
    assert DANGER in page.text
    assert "Decided by <bdi>coach</bdi>" in page.text
    other = "rejected" if decision == "approved" else "approved"
    assert DANGER not in (await coach.get(f"{PATH}?show={other}")).text
    refused = await coach.post(mine.at(DECISION), {"decision": other})
    assert refused.status == 409
    assert "Somebody was faster" in refused.text
    assert (await coach.post(mine.at(DECISION), {"decision": "deleted"})).status == 422
    assert (await coach.get(f"{PATH}?show=deleted")).status == 422
    assert [one.status for one in await reviews(mine)] == [decision]


async def test_reviews_are_paged(mine: Party) -> None:
    await add_reviews(mine, 25)
    first = (await mine.owner.get(PATH)).text
    more = re.search(rf'href="({PATH}\?show=waiting&cursor=[^"]+)"', first)
    assert more is not None
    second = (await mine.owner.get(more[1])).text
    link = rf'action="{PATH}/reviews/([0-9a-f-]+)/decision"'
    pages = [re.findall(link, page) for page in (first, second)]
    assert [len(page) for page in pages] == [25, 1]
    assert set(pages[0] + pages[1]) == {str(one.id) for one in await reviews(mine)}
    assert pages[1] == [mine.ids["review"]]


async def test_what_is_erased_is_not_shown(mine: Party) -> None:
    (review,) = await reviews(mine)
    services = mine.house.services
    talk = await services.transcripts.get_conversation(mine.tenant_id, review.conversation_id)
    await services.erasure.ask(mine.tenant_id, talk.learner_id, actor="test")

    async def is_gone() -> bool:
        return DANGER not in (await mine.owner.get(PATH)).text

    await until(is_gone, seconds=30.0)
    assert "No words are left of it." in (await mine.owner.get(PATH)).text


async def test_a_held_back_answer_stands_there(mine: Party) -> None:
    usual = mine.house.ollama.reply
    mine.house.ollama.reply = lambda _: "Take 400 mg of ibuprofen every two hours."
    try:
        await mine.house.post(mine.connected, str(new_id()), "My knee hurts", sender="bob")

        async def is_there() -> bool:
            return len(await reviews(mine)) > 1

        await until(is_there, seconds=30.0)
    finally:
        mine.house.ollama.reply = usual
    seen = await mine.owner.get(PATH)
    assert "The bot’s answer" in seen.text
    assert "Take 400 mg" in seen.text


async def test_what_is_said_and_allowed_is_set(mine: Party) -> None:
    form = {
        "crisis_script": "Call 999 <now>.",
        "safety_concern_score": "0.4",
        "allowed_hosts": "docs.example.org\r\nexample.org\r\n",
    }
    assert "no crisis script" in (await mine.owner.get(f"{PATH}/settings")).text
    assert (await mine.owner.post(f"{PATH}/settings", form)).status == 303
    profile = await mine.house.services.tenants.profile(mine.tenant_id)
    assert profile.crisis_script == "Call 999 <now>."
    assert profile.allowed_hosts == ("docs.example.org", "example.org")
    assert (profile.safety_concern_score, profile.safety_crisis_score) == (0.4, None)
    page = await mine.owner.get(f"{PATH}/settings")
    assert "Call 999 &lt;now&gt;." in page.text
    assert "no crisis script" not in page.text
    assert (await mine.owner.post(f"{PATH}/settings", form)).status == 303
    async with mine.house.services.database.tenant(mine.tenant_id) as session:
        told = await mine.house.services.audit.list(session, action="tenant.configure")
    assert [one.details["fields"] for one in told] == [
        "allowed_hosts crisis_script safety_concern_score"
    ]
    assert 'name="crisis_script"' not in (await mine.owner.get("/console/settings")).text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("safety_concern_score", "2"),
        ("safety_crisis_score", "much"),
        ("safety_model", "not a model!"),
        ("allowed_hosts", "https://example.org/x"),
        ("crisis_script", "x" * 1_001),
    ],
)
async def test_what_cannot_be_says_so_at_the_field(mine: Party, field: str, value: str) -> None:
    form = {"crisis_script": "Typed script", field: value}
    seen = await mine.owner.post(f"{PATH}/settings", form)
    assert seen.status == 422
    assert f'id="{field}-fault"' in seen.text
    if field != "crisis_script":
        assert "Typed script" in seen.text
    assert (await mine.house.services.tenants.profile(mine.tenant_id)).crisis_script is None


async def test_a_text_is_tried_and_nothing_kept(mine: Party) -> None:
    form = {"text": f"{DANGER} <b>", "language": "en", "direction": "incoming"}
    seen = await mine.owner.post(f"{PATH}/settings/try", form)
    assert seen.status == 200
    assert "crisis</span>" in seen.text
    assert f"{DANGER} &lt;b&gt;" in seen.text
    harmless = await mine.owner.post(f"{PATH}/settings/try", form | {"text": "Good morning"})
    assert "harmless" in harmless.text
    for wrong in ({"text": " "}, {"direction": "sideways"}):
        refused = await mine.owner.post(f"{PATH}/settings/try", form | wrong)
        assert refused.status == 422
        assert 'id="text-fault"' in refused.text
    assert len(await reviews(mine)) == 1
    assert UUID(mine.ids["review"]) == ReviewId((await reviews(mine))[0].id)
