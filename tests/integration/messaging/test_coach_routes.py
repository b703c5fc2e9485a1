"""REST of coaches: the inbox, takeovers, proposals, notes; only with the scope."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from fastapi import APIRouter

from coachline.conversation import CannedReplies, Notes
from coachline.conversation.routes import NoteRoutes
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.http import Guard
from coachline.foundation.ids import TenantId, new_id
from coachline.messaging import (
    Attention,
    DeliveryRules,
    DraftReply,
    Inbox,
    LiveConnection,
    Proposals,
    ProposalTerms,
    QueueRules,
    Takeovers,
)
from coachline.messaging.routes import CoachRoutes, ProposalRoutes
from coachline.tenancy import AuditLog
from fixtures.desk import TRACE, Desk, build_desk
from fixtures.rest import Rest, rest_of


@dataclass
class Office:
    """The routes, and the services behind them."""

    desk: Desk
    rest: Rest

    async def talk(self, tenant_id: TenantId) -> tuple[LiveConnection, str]:
        """A conversation, and where it is."""
        live = await self.desk.connect(tenant_id)
        await self.desk.receive(live, "hello")
        return live, f"/api/v1/conversations/{(await self.desk.row(live))['id']}"


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    """Served on loopback."""
    desk = build_desk(database, QueueRules(), DeliveryRules(), SystemClock())
    audit = AuditLog(SystemClock())

    def routers(guard: Guard) -> APIRouter:
        every = APIRouter()
        queue, connections = desk.queue, desk.connections
        for router in (
            CoachRoutes(
                Takeovers(database, connections, queue, audit),
                Attention(database, Engine(), queue, audit),
                Inbox(database),
                guard,
            ).router,
            ProposalRoutes(Proposals(database, connections, queue, Engine(), audit), guard).router,
            NoteRoutes(Notes(database, desk.transcripts), CannedReplies(database), guard).router,
        ):
            every.include_router(router)
        return every

    async with rest_of(database, routers) as rest:
        yield Office(desk, rest)


async def test_who_did_not_take_it_writes_nothing_and_is_told_who_has_it(
    office: Office, tenants: tuple[TenantId, TenantId]
) -> None:
    _, here = await office.talk(tenants[0])
    call, words = office.rest.call, {"text": "Hi, Eva here"}
    status, problem = await call(tenants[0], "POST", f"{here}/replies", scope="coach", json=words)
    assert (status, problem["code"]) == (409, "takeover_ended")
    status, taken = await call(
        tenants[0], "POST", f"{here}/takeover", scope="coach", json={"name": "Eva"}
    )
    assert (status, taken["name"], taken["ended_at"]) == (201, "Eva", None)
    # Every call of this client is made with another key, so by another actor.
    for method, path, json in (
        ("POST", "replies", words),
        ("PUT", "takeover", None),
        ("DELETE", "takeover", None),
        ("POST", "takeover", None),
    ):
        status, problem = await call(tenants[0], method, f"{here}/{path}", scope="coach", json=json)
        assert (status, problem["code"]) == (409, "taken_already")
        assert "Eva" in problem["detail"]
    status, forced = await call(
        tenants[0], "POST", f"{here}/takeover", scope="coach", json={"force": True}
    )
    assert status == 201
    _, listed = await call(tenants[0], "GET", f"{here}/takeovers")
    assert [one["id"] for one in listed] == [forced["id"], taken["id"]]


async def test_the_inbox_is_paged_filtered_and_searched(
    office: Office, tenants: tuple[TenantId, TenantId]
) -> None:
    await office.talk(tenants[0])
    call = office.rest.call
    _, page = await call(tenants[0], "GET", "/api/v1/inbox", params={"limit": 1})
    (line,) = page["items"]
    assert (line["status"], line["unread"], line["last_text"]) == ("bot", 1, "hello")
    here = f"/api/v1/conversations/{line['id']}"
    for path, json in (("read", {"seq": 1}), ("mode", {"mode": "draft"})):
        status, _ = await call(tenants[0], "PUT", f"{here}/{path}", scope="coach", json=json)
        assert status == 204
    assert (await call(tenants[0], "POST", f"{here}/resolve", scope="coach"))[0] == 204
    _, page = await call(tenants[0], "GET", "/api/v1/inbox", params={"text": "HELL"})
    assert (page["items"][0]["unread"], page["items"][0]["mode"]) == (0, "draft")
    for params in ({"unread": "true"}, {"status": "coach"}, {"connection_id": str(new_id())}):
        assert (await call(tenants[0], "GET", "/api/v1/inbox", params=params))[1]["items"] == []
    status, problem = await call(tenants[0], "GET", "/api/v1/inbox", params={"cursor": "x"})
    assert (status, problem["code"]) == (400, "bad_cursor")


async def test_a_proposal_is_approved_once(
    office: Office, tenants: tuple[TenantId, TenantId]
) -> None:
    live, _ = await office.talk(tenants[0])
    turn = await office.desk.begin(live)
    terms = ProposalTerms("draft_mode", 600, "drop")
    await office.desk.ledger.save(turn, [DraftReply("an answer")], TRACE, terms=terms)
    _, page = await office.rest.call(tenants[0], "GET", "/api/v1/proposals")
    (proposal,) = page["items"]
    assert (proposal["text"], proposal["reason"]) == ("an answer", "draft_mode")
    there = f"/api/v1/proposals/{proposal['id']}"
    for path in ("approve", "drop"):
        status, _ = await office.rest.call(tenants[1], "POST", f"{there}/{path}", scope="coach")
        assert status == 404
    status, _ = await office.rest.call(
        tenants[0], "POST", f"{there}/approve", scope="coach", json={"text": "Mine."}
    )
    assert status == 204
    status, problem = await office.rest.call(tenants[0], "POST", f"{there}/drop", scope="coach")
    assert (status, problem["code"]) == (409, "proposal_decided")


async def test_notes_and_canned_replies_are_kept_listed_and_removed(
    office: Office, tenants: tuple[TenantId, TenantId]
) -> None:
    _, here = await office.talk(tenants[0])
    call, note = office.rest.call, {"text": "likes tea", "for_model": True}
    status, kept = await call(tenants[0], "POST", f"{here}/notes", scope="coach", json=note)
    assert (status, kept["for_model"]) == (201, True)
    _, page = await call(tenants[0], "GET", f"{here}/notes")
    assert [one["text"] for one in page["items"]] == ["likes tea"]
    path = f"{here}/notes/{kept['id']}"
    assert (await call(tenants[0], "DELETE", path, scope="coach"))[0] == 204
    assert (await call(tenants[0], "DELETE", path, scope="coach"))[0] == 404
    canned = {"title": "Hello", "text": "Good morning"}
    _, saved = await call(tenants[0], "PUT", "/api/v1/canned-replies", scope="coach", json=canned)
    _, page = await call(tenants[0], "GET", "/api/v1/canned-replies")
    assert [one["id"] for one in page["items"]] == [saved["id"]]
    path = f"/api/v1/canned-replies/{saved['id']}"
    assert (await call(tenants[1], "DELETE", path, scope="coach"))[0] == 404
    assert (await call(tenants[0], "DELETE", path, scope="coach"))[0] == 204


async def test_reading_is_not_enough_to_step_in(
    office: Office, tenants: tuple[TenantId, TenantId]
) -> None:
    _, here = await office.talk(tenants[0])
    for method, path in (
        ("POST", f"{here}/takeover"),
        ("PUT", f"{here}/takeover"),
        ("DELETE", f"{here}/takeover"),
        ("POST", f"{here}/replies"),
        ("PUT", f"{here}/mode"),
        ("PUT", f"{here}/read"),
        ("POST", f"{here}/resolve"),
        ("POST", f"{here}/notes"),
        ("POST", f"/api/v1/proposals/{new_id()}/approve"),
        ("PUT", "/api/v1/canned-replies"),
    ):
        status, problem = await office.rest.call(tenants[0], method, path, json={})
        assert (status, problem["code"]) == (403, "forbidden"), path
