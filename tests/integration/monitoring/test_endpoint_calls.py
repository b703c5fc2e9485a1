"""What endpoints may be, what they are told of texts, and what is never called."""

from __future__ import annotations

import asyncio
import json
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from sqlalchemy import text
from standardwebhooks import Webhook

from channel_kit.signing import parse_secret, verify
from coachline.foundation.ids import TenantId
from coachline.foundation.outgoing import open_outgoing
from coachline.foundation.seal import Seal, SealBroken
from coachline.learners import LearnerNotFound
from coachline.messaging import DraftReply
from coachline.monitoring import (
    EVENT_TYPES,
    EndpointDisabled,
    EndpointInvalid,
    EventTypeUnknown,
    TooManyEndpoints,
)
from coachline.monitoring.repository import EndpointRepository
from coachline.monitoring.secrets import EndpointSecrets
from emulators.install import install, node_binary
from fixtures.desk import TRACE, Desk
from fixtures.machine import ROOT
from integration.monitoring.conftest import MakeScene
from integration.monitoring.scene import Receiver, Scene

pytestmark = pytest.mark.integration

Pair = tuple[TenantId, TenantId]
NPM = ROOT / "channels" / "kit" / "tests" / "npm"
CANARY = "My sister Zoë says: run!"
HIDDEN = "•• •••••• ••• ••••: •••!"


class Lies(AbstractResolver):
    """Answers every name with what a test says, one answer after the other."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [ResolveResult(hostname=host, host=address, port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def closed_scene(make_scene: MakeScene, *addresses: str) -> AsyncIterator[Scene]:
    """The room on the client that a gateway has on the internet: public addresses only."""
    resolver = Lies(*addresses) if addresses else None
    async with open_outgoing((), resolver=resolver) as http:
        made = make_scene(http, allows_plain=False)
        yield made
        await made.close()


async def talk(desk: Desk, tenant_id: TenantId, words: str) -> None:
    """Have somebody say something and be answered with it."""
    live = await desk.connect(tenant_id)
    await desk.receive(live, words)
    turn = await desk.begin(live)
    await desk.ledger.save(turn, [DraftReply(words)], TRACE)
    await desk.delivery.settle(turn.lease)


@pytest.mark.parametrize(
    ("redaction", "told"), [("none", CANARY), ("masked", HIDDEN), ("ids", None)]
)
async def test_texts_are_told_as_the_endpoint_may_have_them(
    scene: Scene, desk: Desk, tenants: Pair, receiver: Receiver, redaction: Any, told: str | None
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver, redaction=redaction)
    await talk(desk, tenants[0], CANARY)
    await scene.dispatcher.dispatch(tenants[0])
    await scene.ring(endpoint, tenants[0])
    assert receiver.types == ["learner.created", "message.received", "reply.sent"]
    texts = [one.json["data"].get("text") for one in receiver.got]
    assert texts == [None, told, told]
    for one in receiver.got:
        assert (CANARY.encode() in one.body) == (
            redaction == "none" and one.json["type"] != "learner.created"
        )
        EVENT_TYPES[one.json["type"]].model_validate(one.json["data"])


async def test_the_feed_holds_no_text(scene: Scene, desk: Desk, tenants: Pair) -> None:
    await talk(desk, tenants[0], CANARY)
    async with scene.database.tenant(tenants[0]) as session:
        for table in ("feed_event", "delivery", "delivery_attempt"):
            found = await session.scalars(text(f"select to_jsonb(t)::text from {table} t"))  # noqa: S608 - names of ours
            assert "Zoë" not in "".join(found)


async def test_what_was_erased_meanwhile_is_not_told(
    scene: Scene, desk: Desk, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await talk(desk, tenants[0], CANARY)
    await scene.dispatcher.dispatch(tenants[0])
    async with scene.database.tenant(tenants[0]) as session:
        await session.execute(text("update inbox_event set text = ''"))
        await session.execute(text("update outbox_reply set text = '[erased]'"))
    await scene.ring(endpoint, tenants[0])
    assert len(receiver.got) == 3
    assert all("text" not in one.json["data"] for one in receiver.got)


async def test_the_published_package_verifies_also_while_secrets_rotate(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    # The package knows no clock but the real one.
    scene.clock.advance((datetime.now(UTC) - scene.clock.now()).total_seconds())
    endpoint, first = await scene.add(tenants[0], receiver)
    second = (await scene.endpoints.rotate(tenants[0], endpoint.id, actor="test")).verify_with
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    (got,) = receiver.got
    for secret in (first, second):
        assert Webhook(secret).verify(got.body, got.headers)["type"] == "learner.created"
    scene.clock.advance(24 * 3600 + 1)
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    late = receiver.got[-1]
    verify([parse_secret(second)], late.headers, late.body, now=scene.clock.now())
    with pytest.raises(Exception, match=r"(?i)signature"):
        verify([parse_secret(first)], late.headers, late.body, now=scene.clock.now())


async def test_the_published_npm_package_verifies(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    try:
        folder = await asyncio.to_thread(install, NPM)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"the npm package is not installed: {error}")
    scene.clock.advance((datetime.now(UTC) - scene.clock.now()).total_seconds())
    endpoint, secret = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    (got,) = receiver.got
    given = {
        "secret": secret,
        "id": got.headers["webhook-id"],
        "seconds": int(got.headers["webhook-timestamp"]),
        "body": got.body.decode(),
        "headers": got.headers,
    }
    script = await asyncio.to_thread((NPM / "cross_check.js").read_text)
    node = await asyncio.create_subprocess_exec(
        node_binary(), "-e", script, cwd=folder, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    signature, complaint = await node.communicate(json.dumps(given).encode())
    assert node.returncode == 0, complaint
    assert signature.decode() == got.headers["webhook-signature"]


async def test_an_endpoint_may_be_signed_with_a_key_of_ours(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, key = await scene.add(tenants[0], receiver, signature="ed25519")
    assert key.startswith("whpk_")
    assert endpoint.public_key == key
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    (got,) = receiver.got
    verify([parse_secret(key)], got.headers, got.body, now=scene.clock.now())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hook",
        "/hook",
        "//example.org/hook",
        "http://example.org/hook",
        "ftp://example.org/hook",
        "https://user:word@example.org/hook",
        "https://user@example.org/hook",
        "https://",
        "https://exa mple.org/hook",
        "https://example.org:0/hook",
        "https://example.org:99999/hook",
        "https://[::1/hook",
        "https://example.org/\x00",
        "https://example.org/" + "a" * 2_000,
    ],
)
async def test_an_address_that_cannot_be_called_is_refused_when_it_is_added(
    make_scene: MakeScene, tenants: Pair, url: str
) -> None:
    async with closed_scene(make_scene) as scene:
        with pytest.raises(EndpointInvalid):
            await scene.endpoints.add(tenants[0], url, actor="test")
        assert await scene.endpoints.list(tenants[0]) == []


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("https://127.0.0.1/x", ()),
        ("https://127.8.9.10/x", ()),
        ("https://[::1]/x", ()),
        ("https://[::ffff:127.0.0.1]/x", ()),
        ("https://[::ffff:169.254.169.254]/x", ()),
        ("https://2130706433/x", ()),
        ("https://0x7f000001/x", ()),
        ("https://0177.0.0.1/x", ()),
        ("https://127.1/x", ()),
        ("https://0.0.0.0/x", ()),
        ("https://169.254.169.254/latest/meta-data", ()),
        ("https://[fd00:ec2::254]/x", ()),
        ("https://10.0.0.1/x", ()),
        ("https://192.168.1.1/x", ()),
        ("https://localhost/x", ()),
        ("https://inside.example.org/x", ("10.1.2.3",)),
        ("https://metadata.example.org/x", ("169.254.169.254",)),
        ("https://public.example.org:22/x", ("93.184.216.34",)),
        ("https://public.example.org:6379/x", ("93.184.216.34",)),
    ],
)
async def test_an_address_inside_is_refused_at_the_call(
    make_scene: MakeScene, tenants: Pair, url: str, addresses: Sequence[str]
) -> None:
    async with closed_scene(make_scene, *addresses) as scene:
        made = await scene.endpoints.add(tenants[0], url, actor="test")
        await scene.tell(tenants[0], "learner.created")
        await scene.ring(made.endpoint, tenants[0])
        (delivery,) = await scene.deliveries.list(tenants[0])
        (attempt,) = (await scene.deliveries.explain(tenants[0], delivery.id)).attempts
        # An odd spelling may fail as a name that does not exist: it is not connected to either.
        assert attempt.status is None
        assert attempt.problem in ("refused", "unreachable")
        assert delivery.state == "pending"


async def test_a_name_that_moves_inside_after_it_was_looked_at_is_refused(
    make_scene: MakeScene, tenants: Pair
) -> None:
    async with closed_scene(make_scene, "127.0.0.1", "10.0.0.1") as scene:
        made = await scene.endpoints.add(tenants[0], "https://moves.example.org", actor="test")
        await scene.tell(tenants[0], "learner.created", "turn.failed")
        await scene.ring(made.endpoint, tenants[0])
        await scene.wait(made.endpoint, tenants[0], 6)
        for delivery in await scene.deliveries.list(tenants[0]):
            explained = await scene.deliveries.explain(tenants[0], delivery.id)
            assert {one.problem for one in explained.attempts} == {"refused"}


async def test_a_redirect_is_not_followed(
    scene: Scene, tenants: Pair, receiver: Receiver, other: Receiver
) -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": other.url})

    receiver.answer = away
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    assert other.got == []
    (delivery,) = await scene.deliveries.list(tenants[0])
    (attempt,) = (await scene.deliveries.explain(tenants[0], delivery.id)).attempts
    assert attempt.status == 307
    assert delivery.state == "pending"


async def test_of_an_answer_little_is_kept(scene: Scene, tenants: Pair, receiver: Receiver) -> None:
    async def chat(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="x" * 100_000)

    receiver.answer = chat
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    (delivery,) = await scene.deliveries.list(tenants[0])
    (attempt,) = (await scene.deliveries.explain(tenants[0], delivery.id)).attempts
    assert attempt.answer == "x" * 1_024
    assert attempt.latency_ms >= 0


async def test_an_endpoint_asks_for_what_there_is(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    with pytest.raises(EventTypeUnknown, match="message\\.sent"):
        await scene.add(tenants[0], receiver, types=["message.sent"])
    with pytest.raises(LearnerNotFound):
        await scene.add(tenants[0], receiver, learner_id=tenants[1])
    for _ in range(50):
        await scene.add(tenants[0], receiver)
    with pytest.raises(TooManyEndpoints):
        await scene.add(tenants[0], receiver)
    await scene.add(tenants[1], receiver)


async def test_a_test_arrives_and_a_disabled_endpoint_gets_none(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.endpoints.send_test(tenants[0], endpoint.id, actor="test")
    await scene.ring(endpoint, tenants[0])
    assert receiver.types == ["endpoint.test"]
    await scene.endpoints.disable(tenants[0], endpoint.id, actor="test")
    with pytest.raises(EndpointDisabled):
        await scene.endpoints.send_test(tenants[0], endpoint.id, actor="test")


async def test_a_secret_that_does_not_open_stops_only_what_needs_it(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)

    async def break_it(column: str) -> None:
        async with scene.database.tenant(tenants[0]) as session:
            await session.execute(text(f"update endpoint set {column} = 'x'"))  # noqa: S608 (names of this file)

    second = (await scene.endpoints.rotate(tenants[0], endpoint.id, actor="test")).verify_with
    await break_it("sealed_previous")
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    verify(
        [parse_secret(second)], receiver.got[0].headers, receiver.got[0].body, now=scene.clock.now()
    )
    # Without the current one nothing can be signed, until there is a new one.
    await break_it("sealed_secret")
    await scene.tell(tenants[0], "learner.created")
    await scene.ring(endpoint, tenants[0])
    assert len(receiver.got) == 1
    made = await scene.endpoints.rotate(tenants[0], endpoint.id, actor="test")
    assert made.endpoint.previous_until is None
    await scene.wait(endpoint, tenants[0], 5)
    third = receiver.got[-1]
    verify([parse_secret(made.verify_with)], third.headers, third.body, now=scene.clock.now())
    assert len(receiver.got) == 2


async def test_a_new_master_key_seals_what_signs_anew(
    scene: Scene, tenants: Pair, receiver: Receiver
) -> None:
    endpoint, _ = await scene.add(tenants[0], receiver)
    await scene.endpoints.rotate(tenants[0], endpoint.id, actor="test")
    old, new = bytes(range(32)), bytes(range(1, 33))
    both, last = Seal({"k1": old, "k2": new}, "k2"), Seal({"k2": new}, "k2")

    async def opens(seal: Seal) -> int:
        """How many secrets sign."""
        async with scene.database.tenant(tenants[0]) as session:
            row = await EndpointRepository().find(session, endpoint.id)
            assert row is not None
            now = scene.clock.now()
            return len(EndpointSecrets(seal).open_signing(tenants[0], row, now=now))

    with pytest.raises(SealBroken):
        await opens(last)
    scene.endpoints._secrets = EndpointSecrets(both)
    assert await scene.endpoints.reseal(tenants[0]) == 1
    assert await scene.endpoints.reseal(tenants[0]) == 0
    assert await opens(last) == 2
