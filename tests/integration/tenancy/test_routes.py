"""A tenant's own affairs over REST: its profile, its keys, its audit log, and nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId, new_id
from coachline.tenancy import AuditLog, KeyRefused, Keys, Scope, Staff, Tenants
from coachline.tenancy.routes import StaffRoutes, TenancyRoutes
from fixtures.rest import Rest, rest_of

Pair = tuple[TenantId, TenantId]


@pytest.fixture
async def rest(database: Database) -> AsyncIterator[Rest]:
    """The room's routes behind a real server."""
    clock = SystemClock()
    keys = Keys(database, clock)
    tenants, audit = Tenants(database, keys, clock), AuditLog(clock)
    async with rest_of(
        database, lambda guard: TenancyRoutes(tenants, keys, audit, database, guard).router
    ) as served:
        yield served


async def test_a_tenant_reads_and_changes_its_own_profile(rest: Rest, tenants: Pair) -> None:
    changes = {
        "persona": "Kind.",
        "time_zone": "Europe/Vienna",
        "fallback_models": ["m:2"],
        "allowed_hosts": ["docs.example.org", "xn--bcher-kva.example"],
        "crisis_script": "Call somebody.",
        "safety_crisis_score": 0.7,
    }
    status, changed = await rest.call(
        tenants[0], "PATCH", "/api/v1/tenant", scope="admin", json=changes
    )
    assert status == 200
    assert {name: changed[name] for name in changes} == changes
    assert changed["tenant_id"] == str(tenants[0])
    assert await rest.call(tenants[0], "GET", "/api/v1/tenant") == (200, changed)
    status, other = await rest.call(tenants[1], "GET", "/api/v1/tenant")
    assert (status, other["persona"], other["tenant_id"]) == (200, "", str(tenants[1]))


@pytest.mark.parametrize(
    "changes",
    [
        {"messages_per_day": 1_000_000},
        {"max_turns": 100},
        {"tenant_id": str(new_id())},
        {"language": "en_GB"},
        {"language": None},
        {"time_zone": "Mars/Olympus"},
        {"persona": "a\x00b"},
        {"chat_model": "a model"},
        {"safety_model": "a model"},
        {"crisis_script": ""},
        {"safety_crisis_score": 1.0},
        {"safety_concern_score": 0.1},
        {"allowed_hosts": ["https://docs.example.org"]},
        {"allowed_hosts": ["docs.example.org/path"]},
        {"allowed_hosts": ["docs.example.org:443"]},
        {"allowed_hosts": ["Docs.example.org"]},
        {"allowed_hosts": ["*.example.org"]},
        {"allowed_hosts": ["localhost"]},
        {"allowed_hosts": ["10.0.0.1"]},
        {"allowed_hosts": [f"h{number}.example.org" for number in range(101)]},
        {},
    ],
)
async def test_a_wrong_change_is_refused_and_changes_nothing(
    rest: Rest, tenants: Pair, changes: dict[str, object]
) -> None:
    before = await rest.call(tenants[0], "GET", "/api/v1/tenant")
    status, problem = await rest.call(
        tenants[0], "PATCH", "/api/v1/tenant", scope="admin", json=changes
    )
    assert status == 422
    assert problem["request_id"]
    assert await rest.call(tenants[0], "GET", "/api/v1/tenant") == before


async def test_a_key_is_made_shown_once_listed_and_revoked(
    rest: Rest, database: Database, tenants: Pair
) -> None:
    wanted = {"name": "ci", "scopes": ["read", "knowledge"]}
    status, made = await rest.call(tenants[0], "POST", "/api/v1/keys", scope="admin", json=wanted)
    assert status == 201
    # A new instance remembers nothing.
    principal = await Keys(database, SystemClock()).authenticate(made["api_key"])
    assert (principal.tenant_id, principal.scopes) == (tenants[0], frozenset({"read", "knowledge"}))
    status, page = await rest.call(tenants[0], "GET", "/api/v1/keys", scope="admin")
    assert status == 200
    listed = next(item for item in page["items"] if item["id"] == made["id"])
    assert "api_key" not in listed
    assert made["api_key"] not in str(page)
    path = f"/api/v1/keys/{made['id']}"
    assert (await rest.call(tenants[0], "DELETE", path, scope="admin"))[0] == 204
    assert (await rest.call(tenants[0], "DELETE", path, scope="admin"))[0] == 404
    with pytest.raises(KeyRefused):
        await Keys(database, SystemClock()).authenticate(made["api_key"])


async def test_another_tenants_key_looks_like_a_missing_one(
    rest: Rest, database: Database, tenants: Pair
) -> None:
    theirs = await Keys(database, SystemClock()).create(
        tenants[1], "theirs", ["read"], actor="test"
    )
    answers = [
        await rest.call(tenants[0], "DELETE", f"/api/v1/keys/{key_id}", scope="admin")
        for key_id in (theirs.key.id, new_id())
    ]
    for status, problem in answers:
        assert (status, problem["code"]) == (404, "key_not_found")
    assert answers[0][1]["detail"] == answers[1][1]["detail"]
    _, page = await rest.call(tenants[0], "GET", "/api/v1/keys", scope="admin")
    assert str(theirs.key.id) not in str(page)
    await Keys(database, SystemClock()).authenticate(theirs.secret)


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": "", "scopes": ["read"]},
        {"name": "ci", "scopes": []},
        {"name": "ci", "scopes": ["root"]},
        {"name": "ci", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "ci", "scopes": ["read"], "expires_at": "2099-01-01T00:00:00"},
        {"name": "ci", "scopes": ["read"], "tenant_id": str(new_id())},
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(
    rest: Rest, tenants: Pair, wanted: dict[str, object]
) -> None:
    status, _ = await rest.call(tenants[0], "POST", "/api/v1/keys", scope="admin", json=wanted)
    assert status == 422


async def test_keys_are_read_page_by_page(rest: Rest, tenants: Pair) -> None:
    for number in range(3):
        await rest.call(
            tenants[0],
            "POST",
            "/api/v1/keys",
            scope="admin",
            json={"name": f"made {number}", "scopes": ["read"]},
        )
    names: list[str] = []
    params: dict[str, str | int] = {"limit": 2}
    while True:
        _, page = await rest.call(tenants[0], "GET", "/api/v1/keys", scope="admin", params=params)
        names += [item["name"] for item in page["items"]]
        if not page["has_more"]:
            break
        params["cursor"] = page["next_cursor"]
    assert [name for name in names if name.startswith("made")] == ["made 2", "made 1", "made 0"]
    assert names[-1] == "first key"


async def test_the_audit_log_is_read_page_by_page_by_its_tenant_only(
    rest: Rest, tenants: Pair
) -> None:
    await rest.call(
        tenants[0], "PATCH", "/api/v1/tenant", scope="admin", json={"persona": "a wish"}
    )
    # The key of this very call is the newest entry.
    status, page = await rest.call(
        tenants[0], "GET", "/api/v1/audit", scope="admin", params={"limit": 2}
    )
    assert status == 200
    assert [item["action"] for item in page["items"]] == ["key.create", "tenant.configure"]
    configured = page["items"][1]
    assert configured["actor"].startswith("key:")
    assert configured["details"] == {"fields": "persona"}
    assert page["has_more"]
    _, rest_of_it = await rest.call(
        tenants[0],
        "GET",
        "/api/v1/audit",
        scope="admin",
        params={"cursor": page["next_cursor"], "action": "tenant.create"},
    )
    assert [item["action"] for item in rest_of_it["items"]] == ["tenant.create"]
    _, theirs = await rest.call(tenants[1], "GET", "/api/v1/audit", scope="admin")
    assert str(tenants[0]) not in str(theirs)


@pytest.mark.parametrize("path", ["/api/v1/keys", "/api/v1/audit"])
@pytest.mark.parametrize("cursor", ["x", "!!", "YWJj", "A" * 129])
async def test_a_cursor_of_another_list_is_refused(
    rest: Rest, tenants: Pair, path: str, cursor: str
) -> None:
    status, problem = await rest.call(
        tenants[0], "GET", path, scope="admin", params={"cursor": cursor}
    )
    assert status == (422 if len(cursor) > 128 else 400)
    assert status == 422 or problem["code"] == "bad_cursor"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/v1/tenant", "knowledge"),
        ("PATCH", "/api/v1/tenant", "read"),
        ("GET", "/api/v1/keys", "read"),
        ("POST", "/api/v1/keys", "connections"),
        ("DELETE", "/api/v1/keys/01890a5d-ac96-774b-bcce-b302099a8057", "read"),
        ("GET", "/api/v1/audit", "read"),
    ],
)
async def test_every_route_asks_for_its_scope(
    rest: Rest, tenants: Pair, method: str, path: str, scope: Scope
) -> None:
    assert (await rest.call(tenants[0], method, path, scope=scope, json={}))[0] == 403
    assert (await rest.call(None, method, path, json={}))[0] == 401


@pytest.fixture
async def staff_rest(database: Database) -> AsyncIterator[Rest]:
    """The routes of the people."""
    clock = SystemClock()
    staff = Staff(database, AuditLog(clock), clock)
    async with rest_of(database, lambda guard: StaffRoutes(staff, guard).router) as served:
        yield served


async def test_a_person_is_added_found_changed_and_disabled(
    staff_rest: Rest, tenants: Pair
) -> None:
    call, path = staff_rest.call, "/api/v1/staff"
    wanted = {"name": "Ann", "email": " Ann@Example.org ", "role": "coach"}
    status, made = await call(tenants[0], "POST", path, scope="admin", json=wanted)
    assert (status, made["email"], made["is_known"]) == (201, "ann@example.org", False)
    status, _ = await call(tenants[0], "POST", path, scope="admin", json=wanted)
    assert status == 409
    one = f"{path}/{made['id']}"
    assert await call(tenants[0], "GET", one, scope="admin") == (200, made)
    change = {"role": "viewer", "is_disabled": True}
    status, changed = await call(tenants[0], "PATCH", one, scope="admin", json=change)
    assert (status, changed["role"], changed["name"]) == (200, "viewer", "Ann")
    assert changed["disabled_at"]
    status, page = await call(tenants[0], "GET", path, scope="admin")
    assert (page["items"], page["has_more"]) == ([changed], False)


async def test_people_of_another_tenant_are_nobody(staff_rest: Rest, tenants: Pair) -> None:
    call, path = staff_rest.call, "/api/v1/staff"
    wanted = {"name": "Ann", "email": "ann@example.org", "role": "owner"}
    _, made = await call(tenants[0], "POST", path, scope="admin", json=wanted)
    one = f"{path}/{made['id']}"
    for method, body in (("GET", None), ("PATCH", {"role": "viewer"})):
        status, _ = await call(tenants[1], method, one, scope="admin", json=body)
        assert status == 404
    status, page = await call(tenants[1], "GET", path, scope="admin")
    assert page["items"] == []
    status, _ = await call(tenants[1], "POST", path, scope="admin", json=wanted)
    assert status == 201
    assert await call(tenants[0], "GET", one, scope="admin") == (200, made)


@pytest.mark.parametrize(
    "change",
    [
        {"email": "ann"},
        {"email": "ann@example"},
        {"email": "ann@exa mple.org"},
        {"email": "Ann <ann@example.org>"},
        {"role": "admin"},
        {"name": " "},
        {"name": "a\x00b"},
        {"id": str(new_id())},
    ],
)
async def test_a_person_that_cannot_be_is_refused(
    staff_rest: Rest, tenants: Pair, change: dict[str, str]
) -> None:
    wanted = {"name": "Ann", "email": "ann@example.org", "role": "owner"} | change
    status, _ = await staff_rest.call(
        tenants[0], "POST", "/api/v1/staff", scope="admin", json=wanted
    )
    assert status == 422
    _, page = await staff_rest.call(tenants[0], "GET", "/api/v1/staff", scope="admin")
    assert page["items"] == []


@pytest.mark.parametrize("scope", ["read", "knowledge", "connections"])
async def test_only_owners_see_and_change_who_may_sign_in(
    staff_rest: Rest, tenants: Pair, scope: Scope
) -> None:
    wanted = {"name": "Ann", "email": "ann@example.org", "role": "owner"}
    for method, body in (("GET", None), ("POST", wanted)):
        status, _ = await staff_rest.call(
            tenants[0], method, "/api/v1/staff", scope=scope, json=body
        )
        assert status == 403
