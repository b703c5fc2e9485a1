"""Text and JSON that break careless servers: kept or cleanly refused, at every door."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pytest

from coachline.foundation.ids import new_id
from fixtures.house import House
from fixtures.id_fields import list_operations

pytestmark = pytest.mark.e2e

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "NUL": "a\x00b",
        "right to left": "\u202eevil\u202c \u2066x\u2069 שלום",
        "a family of emoji": "👩‍👩‍👧‍👦👍🏽" * 40,
        "ten thousand combining marks": "e" + "\u0301" * 10_000,
        "other scripts": "नमस्ते ไทย 한국어 𝔘𝔫𝔦",
        "not a character": "\ufffe\uffff\U0001ffff",
        "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028",
        "format strings": "%s {0} {{x}} ${y} \\u0000 '; drop table turn; --",
        "markup": "<script>alert(1)</script> [x](javascript:alert(1)) ![](http://x/?q=1)",
        "only blank": " \t\n\u00a0\u200b",
    }
)
WORST = ("NUL", "not a character", "control characters", "only blank")
# JSON as text, with a place for the text of the message.
RAW: Mapping[str, bytes] = MappingProxyType(
    {
        "a lone surrogate": b'"\\ud800 alone"',
        "two lone surrogates": b'"\\udc00\\ud800"',
        "a very long number": b"9" * 5_000,
        "a very small number": b"1e-99999",
        "a very large number": b"1e99999",
        "NaN": b"NaN",
        "Infinity": b"-Infinity",
        "deep lists": b"[" * 100_000 + b"]" * 100_000,
        "deep objects": b'{"a":' * 60_000 + b"1" + b"}" * 60_000,
        "broken UTF-8": b'"\xff\xfe\xc3\x28"',
        "an overlong slash": b'"\xc0\xaf"',
        "a surrogate in UTF-8": b'"\xed\xa0\x80"',
        "a duplicate key": b'"x", "text": "y"',
        "null": b"null",
        "an object": b'{"$ne": null}',
    }
)
BODIES: Mapping[str, bytes] = MappingProxyType(
    {
        "nothing": b"",
        "a byte order mark": b"\xef\xbb\xbf{}",
        "UTF-16": '{"type": "message"}'.encode("utf-16"),
        "a list": b"[]",
        "a string": b'"x"',
        "null": b"null",
        "half of JSON": b'{"type": "message", "id": ',
        "two documents": b"{}{}",
        "binary": bytes(range(256)),
    }
)
# So that no test takes too long on a busy machine.
SHARES = 3
CLEAN = {200, 201, 204, 400, 404, 409, 413, 415, 422}


def is_clean(status: int, found: Any) -> bool:
    """Whether an answer is a success or a problem that names its reason."""
    if status < 300:
        return True
    return status in CLEAN and bool(found["code"]) and bool(found["detail"])


async def test_every_message_is_answered_or_refused_and_the_next_one_is_answered(
    house: House,
) -> None:
    to = await house.connect("hostile")
    stored: list[str] = []
    refused: list[str] = []
    bodies = {
        **{name: json.dumps(text).encode() for name, text in TEXTS.items()},
        **RAW,
    }
    for number, (name, text) in enumerate(bodies.items()):
        body = b'{"type": "message", "id": "h%d", "sender": {"id": "s%d"}, "text": %s}'
        status, found = await house.post_bytes(to, f"h{number}", body % (number, number, text))
        assert is_clean(status, found), (name, status, found)
        assert status in (200, 400), (name, status)
        (stored if status == 200 else refused).append(name)
    for number, (name, body) in enumerate(BODIES.items()):
        status, found = await house.post_bytes(to, f"b{number}", body)
        assert status == 400, (name, status, found)
        assert is_clean(status, found)
    kept = ("NUL", "a family of emoji", "ten thousand combining marks", "a lone surrogate")
    assert set(kept) < set(stored)
    assert {"NaN", "deep lists", "a very long number", "a duplicate key"} < set(refused)
    await house.wait_answered(to, len(stored))
    status, found = await house.get(to, "/api/v1/conversations?limit=200")
    for conversation in found["items"]:
        path = f"/api/v1/conversations/{conversation['id']}/messages"
        status, messages = await house.get(to, path)
        assert status == 200
        assert messages["items"][0]["state"] == "answered"
        assert "\x00" not in json.dumps(messages, ensure_ascii=False)


@pytest.mark.parametrize("field", ["id", "sender", "thread", "name", "reply_to"])
async def test_every_field_of_a_message_takes_or_refuses_hostile_text(
    house: House, field: str
) -> None:
    to = await house.connect("fields")
    for number, text in enumerate(
        [json.dumps(text).encode() for text in TEXTS.values()] + list(RAW.values())
    ):
        plain: dict[str, Any] = {"id": f"f{number}", "sender": {"id": "ann"}, "text": "Hello"}
        message = json.dumps({"type": "edit", "reply_to": "x", **plain, **_marked(field)})
        body = message.encode().replace(b'"MARK"', text)
        status, found = await house.post_bytes(to, f"f{number}", body)
        assert status in (200, 400), (text[:40], status)
        assert is_clean(status, found)


def _marked(field: str) -> dict[str, Any]:
    match field:
        case "sender":
            return {"sender": {"id": "MARK"}}
        case "name":
            return {"sender": {"id": "ann", "name": "MARK"}}
        case _:
            return {field: "MARK"}


@pytest.mark.parametrize("share", range(SHARES))
async def test_every_rest_body_takes_or_refuses_hostile_values(house: House, share: int) -> None:
    to = await house.connect("rest")
    headers = {"Authorization": f"Bearer {to.api_key}", "Content-Type": "application/json"}
    texts = [json.dumps(TEXTS[name]).encode() for name in WORST] + list(RAW.values())
    tried = 0
    operations = [
        (operation, operation.body)
        for operation in list_operations(house.app.openapi())
        if operation.is_guarded and isinstance(operation.body, dict)
    ]
    for operation, given in operations[share::SHARES]:
        path = operation.path
        for field in operation.fields:
            found = to.connection_id if field.name == "connection_id" else str(new_id())
            path = path.replace(f"{{{field.name}}}", found)
        bodies = list(BODIES.values())
        for name in given:
            marked = json.dumps({**given, name: "MARK"}).encode()
            bodies += [marked.replace(b'"MARK"', text) for text in texts]
        for body in bodies:
            async with house.http.request(
                operation.method, house.url + path, data=body, headers=headers
            ) as answer:
                raw = await answer.read()
                shown = json.loads(raw) if raw else {}
                assert is_clean(answer.status, shown), (str(operation), body[:80], shown)
                tried += 1
    assert tried > 200


async def test_every_parameter_takes_or_refuses_hostile_text(house: House) -> None:
    to = await house.connect("query")
    tried = 0
    for path, methods in house.app.openapi()["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", ()):
            for text in [
                *(TEXTS[name] for name in WORST),
                "",
                "9" * 5_000,
                "-1",
                "../../etc/passwd",
            ]:
                found = quote(text[:500], safe="")
                if parameter["in"] == "path":
                    asked = path.replace(f"{{{parameter['name']}}}", found)
                else:
                    filled = re.sub(r"\{\w+\}", to.connection_id, path)
                    asked = f"{filled}?{parameter['name']}={found}"
                status, shown = await house.get(to, asked)
                assert is_clean(status, shown), (asked, shown)
                tried += 1
    assert tried > 100


async def test_a_hostile_document_is_known_or_refused_and_searching_goes_on(house: House) -> None:
    to = await house.connect("documents")
    headers = {"Authorization": f"Bearer {to.api_key}"}
    began = datetime.now(UTC)
    for number, text in enumerate(TEXTS.values()):
        wanted = {"source": f"{number}.md", "text": f"# {text}\n\n{text}\n"}
        async with house.http.post(
            f"{house.url}/api/v1/documents", json=wanted, headers=headers
        ) as answer:
            assert is_clean(answer.status, await answer.json()), text[:20]
        async with house.http.post(
            f"{house.url}/api/v1/knowledge/search", json={"query": text[:2_000]}, headers=headers
        ) as answer:
            assert is_clean(answer.status, await answer.json()), text[:20]
    assert (datetime.now(UTC) - began).total_seconds() < 30
