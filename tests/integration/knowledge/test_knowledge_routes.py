"""Documents and search over REST: each tenant its own, each key what it may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from coachline.foundation.ids import DocumentId, TenantId, new_id
from coachline.knowledge.routes import KnowledgeRoutes
from coachline.tenancy import Scope
from fixtures.rest import Rest, rest_of
from integration.knowledge.conftest import Room

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
DOCUMENTS = "/api/v1/documents"
SEARCH = "/api/v1/knowledge/search"


@pytest.fixture
async def rest(room: Room) -> AsyncIterator[Rest]:
    """The room's routes behind a real server."""
    async with rest_of(
        room.database, lambda guard: KnowledgeRoutes(room.documents, room.retrieval, guard).router
    ) as served:
        yield served


async def test_a_document_is_added_replaced_read_searched_and_removed(
    rest: Rest, room: Room, tenants: Pair
) -> None:
    tenant_id = tenants[0]
    wanted = {"source": "a.md", "text": "# Water\nDrink water."}
    status, made = await rest.call(tenant_id, "POST", DOCUMENTS, scope="knowledge", json=wanted)
    assert (status, made["state"], made["title"]) == (201, "queued", "Water")
    assert "text" not in made
    status, again = await rest.call(tenant_id, "POST", DOCUMENTS, scope="knowledge", json=wanted)
    assert (status, again) == (200, made)
    wanted["text"] = "# Water\nDrink more water."
    status, changed = await rest.call(tenant_id, "POST", DOCUMENTS, scope="knowledge", json=wanted)
    assert (status, changed["id"]) == (200, made["id"])

    await room.ingestion.run(tenant_id, DocumentId(UUID(made["id"])))
    status, read = await rest.call(tenant_id, "GET", f"{DOCUMENTS}/{made['id']}")
    assert (status, read["state"], read["passages"]) == (200, "ready", 1)
    status, found = await rest.call(tenant_id, "POST", SEARCH, json={"query": "more water"})
    assert (status, found["problem"]) == (200, None)
    (passage,) = found["passages"]
    assert passage["text"] == "# Water\nDrink more water."
    assert set(passage) == {"id", "document_id", "title", "source", "text"}

    path = f"{DOCUMENTS}/{made['id']}"
    assert await rest.call(tenant_id, "DELETE", path, scope="knowledge") == (204, None)
    status, problem = await rest.call(tenant_id, "DELETE", path, scope="knowledge")
    assert (status, problem["code"]) == (404, "document_not_found")


async def test_documents_come_in_pages(rest: Rest, room: Room, tenants: Pair) -> None:
    made = [str(await room.save(tenants[0], f"{number}.md", "Text.")) for number in range(5)]
    seen: list[str] = []
    params: dict[str, str | int] = {"limit": 2}
    while True:
        status, page = await rest.call(tenants[0], "GET", DOCUMENTS, params=params)
        assert status == 200
        seen += [one["id"] for one in page["items"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == made
    _, ready = await rest.call(tenants[0], "GET", DOCUMENTS, params={"state": "ready"})
    assert ready["items"] == []


async def test_another_tenants_documents_are_not_there(
    rest: Rest, room: Room, tenants: Pair
) -> None:
    document_id = await room.add(tenants[0], "a.md", "Drink water.")
    path = f"{DOCUMENTS}/{document_id}"
    for method, scope in (("GET", "read"), ("DELETE", "knowledge")):
        chosen: Scope = "read" if scope == "read" else "knowledge"
        foreign = await rest.call(tenants[1], method, path, scope=chosen)
        absent = await rest.call(tenants[1], method, f"{DOCUMENTS}/{new_id()}", scope=chosen)
        assert foreign[0] == absent[0] == 404
        assert foreign[1]["detail"] == absent[1]["detail"]
    _, page = await rest.call(tenants[1], "GET", DOCUMENTS)
    assert page["items"] == []
    _, found = await rest.call(tenants[1], "POST", SEARCH, json={"query": "water"})
    assert found == {"passages": [], "problem": None}


@pytest.mark.parametrize(
    ("method", "path", "scope", "status"),
    [
        ("POST", DOCUMENTS, "read", 403),
        ("POST", DOCUMENTS, None, 401),
        ("GET", DOCUMENTS, None, 401),
        ("GET", DOCUMENTS, "connections", 403),
        ("DELETE", f"{DOCUMENTS}/01890a5d-ac96-774b-bcce-b302099a8057", "read", 403),
        ("POST", SEARCH, None, 401),
        ("POST", SEARCH, "connections", 403),
    ],
)
async def test_a_key_does_what_its_scope_allows(
    rest: Rest, tenants: Pair, method: str, path: str, scope: Scope | None, status: int
) -> None:
    body = {"source": "a", "text": "b"} if path == DOCUMENTS else {"query": "a"}
    answer = await rest.call(
        tenants[0] if scope else None,
        method,
        path,
        scope=scope or "read",
        json=body if method == "POST" else None,
    )
    assert answer[0] == status


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"source": "a.md", "text": " "}, 422, "document_empty"),
        ({"source": "a.md", "text": ""}, 422, "document_empty"),
        ({"source": "a.md", "text": "%PDF-1.7 x"}, 415, "document_not_text"),
        ({"source": "a.md", "text": "a\x00b"}, 415, "document_not_text"),
        ({"source": "a\x00.md", "text": "words"}, 422, "invalid_input"),
        ({"source": " ", "text": "words"}, 422, "invalid_input"),
        ({"source": "a.md"}, 422, None),
        ({"source": "a.md", "text": "words", "media_type": "application/pdf"}, 422, None),
        ({"source": "a.md", "text": "words", "tenant_id": str(new_id())}, 422, None),
        ({"source": "a" * 501, "text": "words"}, 422, None),
    ],
)
async def test_what_cannot_be_known_gets_a_clear_refusal(
    rest: Rest, tenants: Pair, wanted: dict[str, str], status: int, code: str | None
) -> None:
    answer = await rest.call(tenants[0], "POST", DOCUMENTS, scope="knowledge", json=wanted)
    assert answer[0] == status
    assert code is None or answer[1]["code"] == code
    _, page = await rest.call(tenants[0], "GET", DOCUMENTS)
    assert page["items"] == []


@pytest.mark.parametrize(
    "wanted", [{"query": ""}, {"query": "a", "limit": 51}, {"query": "a" * 2001}]
)
async def test_a_search_is_bounded(rest: Rest, tenants: Pair, wanted: dict[str, object]) -> None:
    status, _ = await rest.call(tenants[0], "POST", SEARCH, json=wanted)
    assert status == 422
