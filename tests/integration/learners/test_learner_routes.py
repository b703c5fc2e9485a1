"""Learners over REST: paged, filtered, changed; another tenant's are not there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import ConnectionId, LearnerId, TenantId, new_id
from coachline.learners import Learners
from coachline.learners.routes import LearnerRoutes
from coachline.tenancy import AuditLog
from fixtures.rest import Rest, rest_of
from fixtures.seals import make_identities

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


def learners_of(database: Database) -> Learners:
    return Learners(database, AuditLog(SystemClock()))


@pytest.fixture
async def rest(database: Database) -> AsyncIterator[Rest]:
    learners = learners_of(database)
    async with rest_of(database, lambda g: LearnerRoutes(learners, g).router) as client:
        yield client


async def add_learner(
    database: Database, tenant_id: TenantId, name: str, connection_id: ConnectionId | None = None
) -> LearnerId:
    async with database.tenant(tenant_id) as session:
        identity = await make_identities().resolve(
            session,
            connection_id=connection_id or ConnectionId(new_id()),
            sender_id=str(new_id()),
            sender_name=name,
            time_zone="UTC",
            language="en",
        )
    return identity.learner_id


async def test_a_list_is_read_to_its_end_page_by_page_newest_first(
    rest: Rest, database: Database, tenants: Two
) -> None:
    added = [str(await add_learner(database, tenants[0], f"n{n}")) for n in range(5)]
    await add_learner(database, tenants[1], "stranger")
    seen: list[str] = []
    params: dict[str, str | int] = {"limit": 2}
    while True:
        status, page = await rest.call(tenants[0], "GET", "/api/v1/learners", params=params)
        assert status == 200
        seen += [item["id"] for item in page["items"]]
        if not page["has_more"]:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == added[::-1]


async def test_a_list_is_filtered_by_connection_and_by_name(
    rest: Rest, database: Database, tenants: Two
) -> None:
    connection = ConnectionId(new_id())
    ada = await add_learner(database, tenants[0], "Ada 100%", connection)
    await add_learner(database, tenants[0], "Bob", connection)
    await add_learner(database, tenants[0], "Adam 1000")
    for params, names in (
        ({"connection_id": str(connection)}, ["Bob", "Ada 100%"]),
        ({"name": "ADA"}, ["Adam 1000", "Ada 100%"]),
        ({"name": "100%"}, ["Ada 100%"]),
        ({"connection_id": str(connection), "name": "ada"}, ["Ada 100%"]),
        ({"connection_id": str(ada)}, []),
    ):
        _, page = await rest.call(tenants[0], "GET", "/api/v1/learners", params=params)
        assert [item["name"] for item in page["items"]] == names


async def test_a_change_keeps_what_it_does_not_name(
    rest: Rest, database: Database, tenants: Two
) -> None:
    path = f"/api/v1/learners/{await add_learner(database, tenants[0], 'Ada')}"
    edit = {"time_zone": "Asia/Tokyo", "language": "de-AT"}
    status, changed = await rest.call(tenants[0], "PATCH", path, json=edit, scope="admin")
    assert status == 200
    assert (changed["name"], changed["time_zone"], changed["language"]) == (
        "Ada",
        "Asia/Tokyo",
        "de-AT",
    )
    _, nameless = await rest.call(tenants[0], "PATCH", path, json={"name": None}, scope="admin")
    assert nameless["name"] is None
    _, same = await rest.call(tenants[0], "PATCH", path, json={}, scope="admin")
    assert same == nameless
    assert await rest.call(tenants[0], "GET", path) == (200, nameless)


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone_invalid"),
        ({"language": "english"}, "language_invalid"),
        ({"language": None}, "invalid_input"),
        ({"tenant_id": str(new_id())}, "invalid_input"),
        ({"name": "n" * 300}, "invalid_input"),
    ],
)
async def test_a_change_that_cannot_be_used_is_refused_and_changes_nothing(
    rest: Rest, database: Database, tenants: Two, edit: dict[str, object], code: str
) -> None:
    path = f"/api/v1/learners/{await add_learner(database, tenants[0], 'Ada')}"
    before = await rest.call(tenants[0], "GET", path)
    status, problem = await rest.call(tenants[0], "PATCH", path, json=edit, scope="admin")
    assert (status, problem["code"]) == (422, code)
    assert await rest.call(tenants[0], "GET", path) == before


async def test_a_change_is_in_the_audit_log_by_who_and_what_without_its_values(
    rest: Rest, database: Database, tenants: Two
) -> None:
    learner_id = await add_learner(database, tenants[0], "Ada")
    path = f"/api/v1/learners/{learner_id}"
    edit = {"name": "Grace", "language": "fr"}
    assert (await rest.call(tenants[0], "PATCH", path, json=edit, scope="admin"))[0] == 200
    assert (await rest.call(tenants[1], "PATCH", path, json=edit, scope="admin"))[0] == 404
    log = AuditLog(SystemClock())
    async with database.tenant(tenants[0]) as session:
        (entry,) = await log.list(session, action="learner.change")
        assert (await log.verify(session)).problem is None
    assert entry.actor.startswith("key:")
    assert entry.object == f"learner:{learner_id}"
    assert entry.details == {"fields": "language name"}
    async with database.tenant(tenants[1]) as session:
        assert await log.list(session, action="learner.change") == []


async def test_another_tenants_learner_is_like_none(
    rest: Rest, database: Database, tenants: Two
) -> None:
    theirs = await add_learner(database, tenants[1], "Eve")
    for learner_id in (theirs, new_id()):
        path = f"/api/v1/learners/{learner_id}"
        for method, json in (("GET", None), ("PATCH", {"name": "x"})):
            status, problem = await rest.call(tenants[0], method, path, json=json, scope="admin")
            assert (status, problem["code"]) == (404, "learner_not_found")
    assert (await learners_of(database).get(tenants[1], theirs)).name == "Eve"


async def test_reading_and_changing_need_their_scopes(
    rest: Rest, database: Database, tenants: Two
) -> None:
    path = f"/api/v1/learners/{await add_learner(database, tenants[0], 'Ada')}"
    assert (await rest.call(None, "GET", path))[0] == 401
    assert (await rest.call(tenants[0], "GET", path, scope="knowledge"))[0] == 403
    assert (await rest.call(tenants[0], "PATCH", path, json={}, scope="read"))[0] == 403


@pytest.mark.parametrize("cursor", ["x", "MTI", "", "a" * 200])
async def test_a_cursor_of_no_list_is_refused(rest: Rest, tenants: Two, cursor: str) -> None:
    status, _ = await rest.call(tenants[0], "GET", "/api/v1/learners", params={"cursor": cursor})
    assert status in (400, 422)
