"""Every answer that is not a success is a problem document, and says nothing it should not."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import aiohttp
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from structlog.testing import capture_logs

from coachline.foundation.errors import (
    CoachlineError,
    Conflict,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from coachline.foundation.http import install

from .conftest import Serve

CANARY = "canary-7f3a"


class Shelf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=8)
    count: int = 0


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class ShelfFull(Conflict):
    code = "shelf_full"


class Broken(CoachlineError):
    code = "inside_broken"


ERRORS: dict[str, Exception] = {
    "absent": NotFound("There is no such shelf."),
    "full": ShelfFull("The shelf is full."),
    "limited": TooManyRequests("Wait a little.", retry_after_seconds=2.2),
    "down": Unavailable("Try again soon."),
    "anonymous": Unauthenticated("Say who you are."),
    "broken": Broken(f"inside: {CANARY}"),
    "unexpected": RuntimeError(f"inside: {CANARY}"),
    "framework": HTTPException(415, CANARY),
}


def _app() -> FastAPI:
    app = FastAPI()
    install(app, max_body_bytes=4096)
    router = APIRouter(prefix="/api/v1")

    async def fail(name: str) -> None:
        raise ERRORS[name]

    async def put_shelf(shelf_id: UUID, shelf: Shelf) -> Shelf:
        return shelf

    async def read_shelf(shelf_id: UUID) -> dict[str, str]:
        return {"id": str(shelf_id)}

    async def take_pet(pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> None:
        del pet

    router.add_api_route("/fail/{name}", fail, methods=["GET"])
    router.add_api_route("/shelves/{shelf_id}", put_shelf, methods=["PUT"])
    router.add_api_route("/shelves/{shelf_id}", read_shelf, methods=["GET"])
    router.add_api_route("/pets", take_pet, methods=["POST"])
    app.include_router(router)
    return app


@pytest.fixture
async def base(serve: Serve) -> str:
    return await serve(_app()) + "/api/v1"


SHELF = "/shelves/0199d0c8-7b1e-7000-8000-000000000001"


async def _problem(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json(content_type=None)
    assert body["status"] == response.status
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert UUID(body["request_id"]).version == 7
    return body


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("absent", 404, "not_found"),
        ("full", 409, "shelf_full"),
        ("limited", 429, "rate_limited"),
        ("down", 503, "unavailable"),
        ("anonymous", 401, "unauthenticated"),
        ("broken", 500, "inside_broken"),
        ("unexpected", 500, "internal_error"),
        ("framework", 415, "unsupported_media"),
    ],
)
async def test_an_error_becomes_its_problem(
    base: str, http: aiohttp.ClientSession, name: str, status: int, code: str
) -> None:
    with capture_logs():
        async with http.get(f"{base}/fail/{name}") as response:
            problem = await _problem(response)
    assert (response.status, problem["code"]) == (status, code)
    assert CANARY not in str(problem)


async def test_a_caller_is_told_when_to_come_back(base: str, http: aiohttp.ClientSession) -> None:
    with capture_logs():
        async with http.get(f"{base}/fail/limited") as limited:
            pass
        async with http.get(f"{base}/fail/down") as down:
            pass
    assert limited.headers["Retry-After"] == "3"
    assert int(down.headers["Retry-After"]) >= 1


async def test_a_401_names_the_way_to_authenticate(base: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{base}/fail/anonymous") as response:
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_an_unexpected_error_is_logged_once_and_the_server_goes_on(
    base: str, http: aiohttp.ClientSession
) -> None:
    with capture_logs() as lines:
        async with http.get(f"{base}/fail/unexpected") as response:
            assert response.status == 500
    assert [line["event"] for line in lines] == ["request_failed"]
    assert lines[0]["exc_info"]
    async with http.get(f"{base}{SHELF}") as after:
        assert after.status == 200


@pytest.mark.parametrize(
    ("path", "body", "loc"),
    [
        (SHELF, {"name": CANARY}, ["body", "name"]),
        (SHELF, {"name": "a", "count": CANARY}, ["body", "count"]),
        (SHELF, {}, ["body", "name"]),
        (SHELF, {"name": "a", "\ud800": CANARY}, ["body"]),
        (SHELF, {"name": "a", "other": CANARY}, ["body", "other"]),
        (f"/shelves/{CANARY}", {"name": "a"}, ["path", "shelf_id"]),
    ],
)
async def test_invalid_input_names_the_field_and_repeats_no_value(
    base: str, http: aiohttp.ClientSession, path: str, body: object, loc: list[str]
) -> None:
    async with http.put(base + path, json=body) as response:
        problem = await _problem(response)
    assert response.status == 422
    assert problem["code"] == "invalid_input"
    assert [fault["loc"] for fault in problem["errors"]] == [loc]
    assert problem["errors"][0]["msg"]
    assert CANARY not in str(problem)


async def test_a_wrong_tag_is_not_repeated(base: str, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{base}/pets", json={"kind": CANARY}) as response:
        problem = await _problem(response)
    assert response.status == 422
    assert CANARY not in str(problem)


async def test_the_list_of_faults_is_bounded(base: str, http: aiohttp.ClientSession) -> None:
    body = {"name": "a"} | {f"{number}" * 50: 1 for number in range(10, 40)}
    async with http.put(base + SHELF, data=None, json=dict(list(body.items())[:25])) as response:
        problem = await _problem(response)
    assert len(problem["errors"]) == 20
    assert max(len(fault["loc"][1]) for fault in problem["errors"]) == 64


@pytest.mark.parametrize(
    "body", [b"{", b'{"name": "\xff"}', b'{"name": ' + b"[" * 2000, b'{"name": NaN}']
)
async def test_an_unreadable_body_is_the_senders_fault(
    base: str, http: aiohttp.ClientSession, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    async with http.put(base + SHELF, data=body, headers=headers) as response:
        await _problem(response)
    assert response.status in (400, 422)


async def test_an_unknown_address_is_a_problem_too(base: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{base}/nothing/{CANARY}") as response:
        problem = await _problem(response)
    assert (response.status, problem["code"]) == (404, "not_found")
    assert CANARY not in str(problem)


async def test_a_wrong_method_is_told_every_right_one(
    base: str, http: aiohttp.ClientSession
) -> None:
    async with http.delete(base + SHELF) as response:
        problem = await _problem(response)
    assert (response.status, problem["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, PUT, HEAD, OPTIONS"


async def test_options_lists_the_methods_and_runs_nothing(
    base: str, http: aiohttp.ClientSession
) -> None:
    async with http.options(base + SHELF) as response:
        assert await response.read() == b""
    assert response.status == 204
    assert response.headers["Allow"] == "GET, PUT, HEAD, OPTIONS"


async def test_head_answers_like_get_without_a_body(base: str, http: aiohttp.ClientSession) -> None:
    async with http.get(base + SHELF) as got, http.head(base + SHELF) as head:
        assert await head.read() == b""
        assert head.status == got.status == 200
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
        assert head.headers["Content-Type"] == got.headers["Content-Type"]


def test_openapi_documents_the_problem_and_no_other_error() -> None:
    document = _app().openapi()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == 4
    for operation in operations:
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
        assert "422" not in operation["responses"]
    content = document["components"]["responses"]["Problem"]["content"]
    assert list(content) == ["application/problem+json"]
    assert {"Problem", "Fault"} <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]
