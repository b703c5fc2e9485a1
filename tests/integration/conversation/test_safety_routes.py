"""Safety reviews over REST: read by readers, decided by coaches, another tenant's are not there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from coachline.conversation.routes import SafetyRoutes
from coachline.foundation.ids import TenantId, new_id
from fixtures.rest import Rest, rest_of
from integration.conversation.conftest import Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]
PATH = "/api/v1/safety/reviews"


@pytest.fixture
async def rest(stage: Stage) -> AsyncIterator[Rest]:
    reviews = stage.services.reviews
    async with rest_of(stage.database, lambda g: SafetyRoutes(reviews, g).router) as client:
        yield client


async def test_reviews_are_paged_filtered_and_of_one_tenant(
    rest: Rest, stage: Stage, tenants: Two
) -> None:
    live, other = await stage.connect(tenants[0]), await stage.connect(tenants[1])
    await stage.talk(live, "I want to kill myself")
    await stage.talk(live, "I feel completely hopeless", sender="bob")
    await stage.talk(live, "All is well", sender="cid")
    await stage.talk(other, "I want to kill myself")
    status, first = await rest.call(tenants[0], "GET", PATH, params={"limit": 1})
    assert (status, len(first["items"]), first["has_more"]) == (200, 1, True)
    assert first["items"][0]["kind"] == "concern"
    assert "hopeless" not in str(first).replace("hopelessness", ""), "reasons, never words"
    _, second = await rest.call(
        tenants[0], "GET", PATH, params={"limit": 1, "cursor": first["next_cursor"]}
    )
    assert [item["status"] for item in second["items"]] == ["flagged"]
    assert second["has_more"] is False
    _, pending = await rest.call(tenants[0], "GET", PATH, params={"status": "pending"})
    assert pending["items"] == first["items"]
    here = second["items"][0]["conversation_id"]
    _, found = await rest.call(tenants[0], "GET", PATH, params={"conversation_id": here})
    assert found["items"] == second["items"]
    assert (await rest.call(tenants[1], "GET", PATH, params={"conversation_id": here}))[1][
        "items"
    ] == []
    assert (await rest.call(None, "GET", PATH))[0] == 401


async def test_a_coach_decides_a_reader_does_not_and_a_stranger_finds_nothing(
    rest: Rest, stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "I want to kill myself")
    (review,) = await stage.services.reviews.list(tenants[0])
    path, wish = f"{PATH}/{review.id}/decision", {"decision": "approved"}
    assert (await rest.call(tenants[0], "POST", path, json=wish))[0] == 403
    assert (await rest.call(tenants[1], "POST", path, scope="coach", json=wish))[0] == 404
    missing = f"{PATH}/{new_id()}/decision"
    assert (await rest.call(tenants[0], "POST", missing, scope="coach", json=wish))[0] == 404
    wrong = {"decision": "deleted"}
    assert (await rest.call(tenants[0], "POST", path, scope="coach", json=wrong))[0] == 422
    status, decided = await rest.call(tenants[0], "POST", path, scope="coach", json=wish)
    assert (status, decided["status"]) == (200, "approved")
    assert decided["decided_by"].startswith("key:")
    other = {"decision": "rejected"}
    status, problem = await rest.call(tenants[0], "POST", path, scope="coach", json=other)
    assert (status, problem["code"]) == (409, "safety_review_decided")
