"""Saving, replacing, listing and removing documents."""

from __future__ import annotations

import asyncio
import json
from typing import TypeAlias

import asyncpg
import pytest

from coachline.foundation.errors import InvalidInput
from coachline.foundation.ids import DocumentId, TenantId, new_id
from coachline.knowledge import DocumentEmpty, DocumentNotFound, DocumentNotText, DocumentTooLarge
from integration.knowledge.conftest import Room

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def jobs(owner: Owner, tenant_id: TenantId) -> list[tuple[str, str | None]]:
    """Jobs queued for a tenant, with their document."""
    rows = await owner.fetch("select entrypoint, payload from pgqueuer order by id")
    found = [(row["entrypoint"], json.loads(row["payload"])) for row in rows if row["payload"]]
    return [
        (job, payload.get("document_id"))
        for job, payload in found
        if payload.get("tenant_id") == str(tenant_id)
    ]


async def test_a_new_document_is_stored_queued_and_recorded(
    room: Room, tenants: Pair, owner: Owner
) -> None:
    saved = await room.documents.save(
        tenants[0],
        source="sleep.md",
        text="# Sleep well\nRest.",
        media_type="text/markdown",
        actor="key:1",
    )
    assert (saved.created, saved.changed, saved.state) == (True, True, "queued")
    document = await room.documents.get(tenants[0], saved.document_id)
    assert (document.source, document.title, document.state) == (
        "sleep.md",
        "Sleep well",
        "queued",
    )
    assert document.passages == 0
    assert await jobs(owner, tenants[0]) == [("ingest", str(saved.document_id))]
    assert await room.audit(tenants[0]) == ["document.added"]


async def test_the_same_text_again_changes_nothing(room: Room, tenants: Pair, owner: Owner) -> None:
    first = await room.add(tenants[0], "a.md", "Water.")
    again = await room.documents.save(
        tenants[0], source=" a.md ", text="Water.", media_type="text/markdown", actor="test"
    )
    assert (again.document_id, again.created, again.changed) == (first, False, False)
    assert again.state == "ready"
    assert len(await jobs(owner, tenants[0])) == 1
    assert await room.audit(tenants[0]) == ["document.added"]


async def test_another_text_title_or_kind_of_the_same_source_replaces(
    room: Room, tenants: Pair, owner: Owner
) -> None:
    document_id = await room.save(tenants[0], "a.md", "Water.")
    assert await room.save(tenants[0], "a.md", "Tea.") == document_id
    assert await room.save(tenants[0], "a.md", "Tea.", title="Drinks") == document_id
    assert (
        await room.save(tenants[0], "a.md", "Tea.", title="Drinks", media_type="text/plain")
        == document_id
    )
    assert len(await jobs(owner, tenants[0])) == 4
    assert await room.audit(tenants[0]) == ["document.added", *["document.replaced"] * 3]


async def test_a_failed_document_is_tried_again_with_the_same_text(
    room: Room, tenants: Pair
) -> None:
    await room.add(tenants[0], "a.md", "Water.")
    room.embedder.model = "another"
    failed = await room.add(tenants[0], "b.md", "Tea.")
    assert (await room.documents.get(tenants[0], failed)).state == "failed"
    room.embedder.model = "words"
    assert await room.add(tenants[0], "b.md", "Tea.") == failed
    document = await room.documents.get(tenants[0], failed)
    assert (document.state, document.problem) == ("ready", None)


async def test_many_writers_of_one_source_make_one_document(room: Room, tenants: Pair) -> None:
    made = await asyncio.gather(
        *(room.save(tenants[0], "a.md", f"Text {number}.") for number in range(6))
    )
    assert len(set(made)) == 1
    assert len(await room.documents.list(tenants[0])) == 1
    assert sorted(await room.audit(tenants[0])) == [
        "document.added",
        *["document.replaced"] * 5,
    ]


async def test_documents_are_listed_in_pages_and_by_state(room: Room, tenants: Pair) -> None:
    made = [await room.save(tenants[0], f"{number}.md", "Text.") for number in range(5)]
    await room.save(tenants[1], "other.md", "Text.")
    await room.ingestion.run(tenants[0], made[3])
    first = await room.documents.list(tenants[0], limit=3)
    rest = await room.documents.list(tenants[0], after=first[-1].id, limit=3)
    assert [one.id for one in (*first, *rest)] == made
    ready = await room.documents.list(tenants[0], state="ready")
    assert [one.id for one in ready] == [made[3]]
    known = await room.documents.list_by_id(tenants[0], [made[0], made[3], DocumentId(new_id())])
    assert [one.state for one in known] == ["queued", "ready"]


async def test_another_tenants_document_is_not_there(room: Room, tenants: Pair) -> None:
    document_id = await room.save(tenants[0], "a.md", "Water.")
    with pytest.raises(DocumentNotFound):
        await room.documents.get(tenants[1], document_id)
    with pytest.raises(DocumentNotFound):
        await room.documents.remove(tenants[1], document_id, actor="test")
    assert await room.documents.list_by_id(tenants[1], [document_id]) == []
    assert await room.save(tenants[1], "a.md", "Tea.") != document_id
    assert (await room.documents.get(tenants[0], document_id)).source == "a.md"


async def test_a_removed_document_is_gone_at_once_and_its_text_too(
    room: Room, tenants: Pair
) -> None:
    document_id = await room.add(tenants[0], "a.md", "Water is good.")
    await room.documents.remove(tenants[0], document_id, actor="test")
    with pytest.raises(DocumentNotFound):
        await room.documents.get(tenants[0], document_id)
    with pytest.raises(DocumentNotFound):
        await room.documents.remove(tenants[0], document_id, actor="test")
    assert await room.documents.list(tenants[0]) == []
    assert await room.documents.list_by_id(tenants[0], [document_id]) == []
    assert await room.find(tenants[0], "Water") == []
    (left,) = await room.rows(tenants[0], "document")
    assert (left.text, left.title) == ("", "")
    assert await room.rows(tenants[0], "passage") == []
    assert await room.rows(tenants[0], "embedding_cache") == []


async def test_a_removed_source_may_be_added_again_before_and_after_it_is_erased(
    room: Room, tenants: Pair
) -> None:
    document_id = await room.add(tenants[0], "a.md", "Water is good.")
    await room.documents.remove(tenants[0], document_id, actor="test")
    saved = await room.documents.save(
        tenants[0], source="a.md", text="Water is good.", media_type="text/plain", actor="test"
    )
    assert (saved.created, saved.changed) == (True, True)
    await room.ingestion.run(tenants[0], saved.document_id)
    assert await room.find(tenants[0], "Water") == ["Water is good."]
    await room.documents.remove(tenants[0], saved.document_id, actor="test")
    await room.ingestion.run(tenants[0], saved.document_id)
    await room.add(tenants[0], "a.md", "Water is best.")
    assert await room.find(tenants[0], "Water") == ["Water is best."]
    assert await room.audit(tenants[0]) == [
        "document.added",
        "document.removed",
        "document.added",
        "document.removed",
        "document.erased",
        "document.added",
    ]


@pytest.mark.parametrize(
    ("source", "text", "error"),
    [
        ("a.md", "  ", DocumentEmpty),
        ("a.md", "a\x00b", DocumentNotText),
        ("a.md", "a\ud800b", DocumentNotText),
        ("a.md", "a" * 2_000_001, DocumentTooLarge),
        ("", "Water", InvalidInput),
        ("a\nb", "Water", InvalidInput),
    ],
    ids=["empty", "nul", "surrogate", "long", "no source", "two lines"],
)
async def test_what_cannot_be_known_is_refused_and_nothing_is_stored(
    room: Room, tenants: Pair, source: str, text: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await room.save(tenants[0], source, text)
    assert await room.documents.list(tenants[0]) == []


async def test_marks_and_emoji_by_the_thousand_are_stored(room: Room, tenants: Pair) -> None:
    text = "Z" + "\u0301" * 10_000 + " 👩‍👩‍👧‍👦 water"
    await room.add(tenants[0], "zalgo.txt", text)
    found = await room.find(tenants[0], "water")
    assert found[0].endswith("water")
