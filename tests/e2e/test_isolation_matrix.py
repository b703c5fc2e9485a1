"""Another tenant's id, in every field of every route, is worth as much as an id of nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from coachline.foundation.ids import TenantId
from coachline.foundation.paging import encode_cursor
from coachline.tenancy import Scope
from fixtures.gateway import Connected
from fixtures.house import House
from fixtures.id_fields import IdField, Operation, list_operations
from fixtures.tenant_state import read_state
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

SCOPES: tuple[Scope, ...] = ("read", "coach", "knowledge", "connections", "admin")
# Open to platforms: the channel proves who writes, see test_webhook_proofs.py.
PASSING = {"request_id", "last_used_at"}
PROVEN_BY_CHANNEL = {"POST /webhooks/{connection_id}"}


@dataclass
class Party:
    """A tenant with one of everything, its ids by the names that routes give them."""

    connected: Connected
    ids: Mapping[str, str]
    keys: Mapping[Scope, str]


@pytest.fixture(scope="module")
async def parties(house: House) -> tuple[Party, Party]:
    """Two tenants."""
    return await settle(house, "left"), await settle(house, "right")


async def settle(house: House, word: str) -> Party:
    """Make a tenant, have it answer a message and know a document."""
    connected = await house.connect(word)
    erasure_id = await erase_somebody(house, connected)
    _, accepted = await house.post(connected, "m1", "Hello")
    await house.wait_replies(connected, 2)
    document = {"source": "a.md", "text": "# Sleep\n\nEight hours."}
    made = await call(house, connected.api_key, "POST", "/api/v1/documents", document)

    async def is_known() -> bool:
        path = f"/api/v1/documents/{made['id']}"
        found = await call(house, connected.api_key, "GET", path)
        return bool(found["state"] == "ready")

    await until(is_known, seconds=20)
    person = {"name": "Ann", "email": "ann@example.org", "role": "viewer"}
    added = await call(house, connected.api_key, "POST", "/api/v1/staff", person)
    ids = {
        "staff_id": added["id"],
        "connection_id": connected.connection_id,
        "event_id": accepted["events"][0],
        "document_id": made["id"],
        "erasure_id": erasure_id,
        **{
            f"{name}_id": (await call(house, connected.api_key, "GET", f"/api/v1/{name}s"))[
                "items"
            ][0]["id"]
            for name in ("conversation", "learner", "key")
        },
    }
    said = await call(
        house, connected.api_key, "GET", f"/api/v1/conversations/{ids['conversation_id']}/messages"
    )
    ids["reply_id"] = next(line["id"] for line in said["items"] if line["author"] == "bot")
    ids |= await step_in(house, connected, ids["conversation_id"])
    ids |= await tell_an_endpoint(house, connected)
    tenant_id = TenantId(UUID(connected.tenant_id))
    keys = {
        scope: (await house.services.keys.create(tenant_id, scope, [scope], actor="test")).secret
        for scope in SCOPES
    }
    return Party(connected, ids, keys)


async def step_in(house: House, connected: Connected, conversation_id: str) -> dict[str, str]:
    """Have a note, a canned reply, a safety review, and an answer that waits for a coach."""
    key, here = connected.api_key, f"/api/v1/conversations/{conversation_id}"
    await call(house, key, "PUT", f"{here}/mode", {"mode": "draft"})
    await house.post(connected, "m2", "I feel completely hopeless. What helps?")

    async def is_proposed() -> bool:
        return bool((await call(house, key, "GET", "/api/v1/proposals"))["items"])

    await until(is_proposed, seconds=20)
    proposals = await call(house, key, "GET", "/api/v1/proposals")
    note = await call(house, key, "POST", f"{here}/notes", {"text": "likes tea"})
    canned = {"title": "Hello", "text": "Good morning"}
    reviews = await call(house, key, "GET", "/api/v1/safety/reviews")
    return {
        "review_id": reviews["items"][0]["id"],
        "proposal_id": proposals["items"][0]["id"],
        "note_id": note["id"],
        "canned_id": (await call(house, key, "PUT", "/api/v1/canned-replies", canned))["id"],
    }


async def tell_an_endpoint(house: House, to: Connected) -> dict[str, str]:
    """Have an endpoint that was told something once, and is told nothing more."""
    wanted = {"url": house.receiver.url, "types": ["knowledge.changed"]}
    endpoint = await call(house, to.api_key, "POST", "/api/v1/endpoints", wanted)
    here = f"/api/v1/endpoints/{endpoint['endpoint']['id']}"
    sent = await call(house, to.api_key, "POST", f"{here}/test")
    await call(house, to.api_key, "POST", f"{here}/disable")
    return {"endpoint_id": endpoint["endpoint"]["id"], "delivery_id": sent["delivery_id"]}


async def erase_somebody(house: House, to: Connected) -> str:
    """Have somebody say something and be forgotten; the id of the erasure."""
    await house.post(to, "m0", "Hello", sender="gone")
    await house.wait_replies(to, 1)
    (learner,) = (await call(house, to.api_key, "GET", "/api/v1/learners"))["items"]
    path = f"/api/v1/learners/{learner['id']}/erasure"
    asked = await call(house, to.api_key, "POST", path)

    async def is_erased() -> bool:
        found = await call(house, to.api_key, "GET", f"/api/v1/erasures/{asked['id']}")
        return bool(found["report"]["vectors"])

    await until(is_erased, seconds=20)
    return str(asked["id"])


async def call(house: House, key: str, method: str, path: str, body: object = None) -> Any:
    """One call that must succeed."""
    status, _, found = await send(house, key, method, path, body=body)
    assert status < 300, found
    return found


async def send(
    house: House,
    key: str,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: object = None,
) -> tuple[int, str, Any]:
    """Status, kind and JSON of one call, without what differs between any two calls."""
    headers = {"Authorization": f"Bearer {key}"}
    async with house.http.request(
        method, house.url + path, headers=headers, params=query, json=body
    ) as answer:
        raw = await answer.read()
        found = json.loads(raw, object_hook=_without_passing) if raw else None
        return answer.status, answer.content_type, found


def _without_passing(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in PASSING}


def value_of(field: IdField, party: Party, *, is_absent: bool = False) -> str:
    """The id of a party's thing for a field, or the id of nothing beside it.

    A field whose name is not known here fails: teach ``settle`` to make such a thing.
    """
    name = "event_id" if field.name == "cursor" else field.name
    assert name in party.ids, f"{field.name}: no such id is known here"
    found = UUID(party.ids[name])
    # Next to the thing, so that even a list that begins there begins at the same place.
    found = UUID(int=found.int ^ 1) if is_absent else found
    return encode_cursor(found) if field.name == "cursor" else str(found)


async def try_field(
    house: House,
    operation: Operation,
    field: IdField,
    key: str,
    own: Party,
    other: Party,
    *,
    is_absent: bool = False,
) -> tuple[int, str, Any]:
    """Call an operation with the caller's own ids, but one of another party or of nothing."""
    path, query, body = operation.path, {}, deepcopy(operation.body)
    for each in operation.fields:
        value = value_of(each, other, is_absent=is_absent) if each == field else value_of(each, own)
        if each.where == "path":
            path = path.replace(f"{{{each.name}}}", value)
        elif each == field and each.where == "query":
            query[each.name] = value
        elif each.where == "body":
            put(body, each.place, value)
    return await send(house, key, operation.method, path, query=query, body=body)


def put(body: Any, place: tuple[str, ...], value: str) -> None:
    """Set a field inside a body."""
    for step in place[:-1]:
        body = body[step]
    body[place[-1]] = [value] if isinstance(body[place[-1]], list) else value


def guarded(house: House) -> list[Operation]:
    """The operations with ids that ask for an API key; the others are named."""
    found = [operation for operation in list_operations(house.app.openapi()) if operation.fields]
    assert {str(o) for o in found if not o.is_guarded} == PROVEN_BY_CHANNEL
    return [operation for operation in found if operation.is_guarded]


@pytest.mark.parametrize("scope", SCOPES)
async def test_an_id_of_another_tenant_is_answered_like_one_of_nothing_and_changes_nothing(
    house: House, parties: tuple[Party, Party], scope: Scope
) -> None:
    tried = 0
    for caller, victim in (parties, parties[::-1]):
        database, tenant_id = house.services.database, victim.connected.tenant_id
        before = await read_state(database, tenant_id)
        for operation in guarded(house):
            for field in operation.fields:
                key = caller.keys[scope]
                foreign = await try_field(house, operation, field, key, caller, victim)
                absent = await try_field(
                    house, operation, field, key, caller, victim, is_absent=True
                )
                assert foreign == absent, (str(operation), field, scope)
                assert foreign[0] != 404 or foreign[1] == "application/problem+json"
                tried += 1
        assert await read_state(database, tenant_id) == before
    assert tried >= 2 * 15


async def test_the_ids_tried_are_those_of_real_things(
    house: House, parties: tuple[Party, Party]
) -> None:
    for own in parties:
        for operation in guarded(house):
            if operation.method != "GET":
                continue
            for field in operation.fields:
                status, _, found = await try_field(
                    house, operation, field, own.keys["admin"], own, own
                )
                if field.where == "path":
                    assert status == 200, (str(operation), field, found)
                elif field.name != "cursor":
                    assert found["items"], (str(operation), field)


def test_a_route_that_takes_an_id_is_found_wherever_the_id_stands() -> None:
    uuid = {"type": "string", "format": "uuid"}
    inner = {"type": "object", "properties": {"owner": uuid, "key_ids": {"type": "array"}}}
    document = {
        "components": {"schemas": {"Inner": inner}},
        "paths": {
            "/x/{thing}": {
                "post": {
                    "security": [{"ApiKey": []}],
                    "parameters": [
                        {"name": "thing", "in": "path", "schema": uuid},
                        {"name": "of", "in": "query", "schema": {"anyOf": [uuid]}},
                        {"name": "cursor", "in": "query", "schema": {"type": "string"}},
                        {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                    ],
                    "requestBody": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {"a": {"$ref": "#/components/schemas/Inner"}},
                                }
                            }
                        }
                    },
                }
            }
        },
    }
    (found,) = list_operations(document)
    assert [(field.where, field.name) for field in found.fields] == [
        ("path", "thing"),
        ("query", "of"),
        ("query", "cursor"),
        ("body", "owner"),
        ("body", "key_ids"),
    ]


def test_an_id_of_an_unknown_kind_has_to_be_taught(parties: tuple[Party, Party]) -> None:
    with pytest.raises(AssertionError, match="mystery_id"):
        value_of(IdField("query", "mystery_id"), parties[0])
