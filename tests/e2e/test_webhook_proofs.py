"""What comes to a webhook's address without proof is refused, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from channel_kit.signing import generate_secret, parse_secret, sign
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from fixtures.gateway import Connected
from fixtures.house import Ground, House, open_house
from fixtures.tenant_state import read_state

pytestmark = pytest.mark.e2e

BODY = json.dumps(
    {"type": "message", "id": "m1", "sender": {"id": "ann"}, "text": "Hello"}
).encode()
FEW = 4


@pytest.fixture(scope="module")
async def quiet(ground: Ground) -> AsyncIterator[House]:
    """A gateway that takes in and never answers."""
    async with open_house(ground, works=False) as opened:
        yield opened


@pytest.fixture
async def pair(quiet: House) -> tuple[Connected, Connected]:
    """Two tenants with a connection each."""
    return await quiet.connect("left"), await quiet.connect("right")


def signed(
    secret: str, body: bytes = BODY, *, late_seconds: float = 0.0, message_id: str = "d1"
) -> dict[str, str]:
    """The headers that prove a body."""
    moment = datetime.now(UTC) - timedelta(seconds=late_seconds)
    return sign([parse_secret(secret)], message_id=message_id, timestamp=moment, body=body)


def forgeries(own: Connected, other: Connected) -> Mapping[str, Mapping[str, str]]:
    """Headers that prove nothing, by what is wrong with them."""
    right = signed(own.secret)
    return {
        "nothing at all": {},
        "blank signature": {**right, "webhook-signature": ""},
        "blank id": {**right, "webhook-id": ""},
        "no timestamp": {k: v for k, v in right.items() if k != "webhook-timestamp"},
        "another id": {**right, "webhook-id": "d2"},
        "another body": signed(own.secret, BODY + b" "),
        "an unknown secret": signed(generate_secret()),
        "the other tenant's secret": signed(other.secret),
        "ten minutes late": signed(own.secret, late_seconds=600),
        "three days late": signed(own.secret, late_seconds=3 * 86_400),
        "ten minutes early": signed(own.secret, late_seconds=-600),
        "the wrong version": {
            **right,
            "webhook-signature": right["webhook-signature"].replace("v1,", "v9,"),
        },
        "Slack's scheme": {"x-slack-signature": "v0=00", "x-slack-request-timestamp": "1"},
        "Telegram's scheme": {"x-telegram-bot-api-secret-token": own.secret},
        "an API key": {"authorization": f"Bearer {own.api_key}"},
    }


async def post(
    house: House, url: str, headers: Mapping[str, str], *, method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    """One delivery; its status and answer, without what differs between any two answers."""
    async with house.http.request(method, url, data=BODY, headers=headers) as answer:
        found = await answer.json(content_type=None)
        found.pop("request_id", None)
        return answer.status, found


async def test_a_delivery_without_proof_is_refused_alike_and_stores_nothing(
    quiet: House, pair: tuple[Connected, Connected]
) -> None:
    before = [await read_state(quiet.services.database, each.tenant_id) for each in pair]
    answers = {}
    for own, other in (pair, pair[::-1]):
        for fault, headers in forgeries(own, other).items():
            answers[(own.tenant, fault)] = await post(quiet, own.inbound_url, headers)
    assert {status for status, _ in answers.values()} == {401}
    assert len({json.dumps(found, sort_keys=True) for _, found in answers.values()}) == 1
    assert [await read_state(quiet.services.database, each.tenant_id) for each in pair] == before


async def test_every_address_that_is_not_open_is_the_same_404(
    quiet: House, pair: tuple[Connected, Connected]
) -> None:
    disabled, suspended = pair
    services = quiet.services
    await services.connections.set_state(
        TenantId(UUID(disabled.tenant_id)),
        ConnectionId(UUID(disabled.connection_id)),
        "disabled",
        actor="test",
    )
    await services.tenants.suspend(suspended.tenant)
    nobody = replace(disabled, inbound_url=f"{quiet.url}/webhooks/{new_id()}")
    nonsense = replace(disabled, inbound_url=f"{quiet.url}/webhooks/none")
    before = [await read_state(services.database, each.tenant_id) for each in pair]
    found = [
        await post(quiet, each.inbound_url, headers)
        for each in (disabled, suspended, nobody, nonsense)
        for headers in (signed(each.secret), {})
    ]
    assert all(answer == found[0] for answer in found)
    assert found[0][0] == 404
    assert found[0][1]["code"] == "connection_not_found"
    assert [await read_state(services.database, each.tenant_id) for each in pair] == before


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_only_post_delivers(
    quiet: House, pair: tuple[Connected, Connected], method: str
) -> None:
    status, found = await post(quiet, pair[0].inbound_url, signed(pair[0].secret), method=method)
    assert (status, found["code"]) == (405, "method_not_allowed")


async def test_headers_that_anybody_can_write_change_nothing(
    quiet: House, pair: tuple[Connected, Connected]
) -> None:
    own, other = pair
    lies = {
        "Host": "evil.example",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": f"/webhooks/{other.connection_id}",
        "X-Original-URL": f"/webhooks/{other.connection_id}",
        "X-HTTP-Method-Override": "DELETE",
        "Forwarded": "for=10.0.0.1;host=evil.example",
        "X-Request-Id": "chosen",
    }
    assert (await post(quiet, own.inbound_url, lies))[0] == 401
    async with quiet.http.post(
        own.inbound_url, data=BODY, headers={**lies, **signed(own.secret)}
    ) as answer:
        assert answer.status == 200
        assert answer.headers["X-Request-Id"] != "chosen"
    async with quiet.http.get(
        f"{quiet.url}/api/v1/connections/{own.connection_id}",
        headers={**lies, "Authorization": f"Bearer {own.api_key}"},
    ) as answer:
        assert (await answer.json())["inbound_url"] == own.inbound_url
    async with quiet.http.get(f"{quiet.url}/webhooks", headers=lies) as answer:
        assert "evil.example" not in str(answer.headers) + await answer.text()


async def test_a_channel_without_a_secret_cannot_be_connected(
    quiet: House, pair: tuple[Connected, Connected]
) -> None:
    key = {"Authorization": f"Bearer {pair[0].api_key}"}
    for secrets in ([], [""], ["whsec_"], ["whsec_AAAA"], None):
        wanted = {
            "channel": "webhook",
            "name": "open",
            "config": {"secrets": secrets, "callback_url": quiet.receiver.url},
        }
        async with quiet.http.post(
            f"{quiet.url}/api/v1/connections", json=wanted, headers=key
        ) as answer:
            assert answer.status == 422, secrets
            assert (await answer.json())["code"] == "connection_config_invalid"


def client_at(address: str) -> aiohttp.ClientSession:
    """A client whose connections come from one address of this machine."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0)))


async def test_a_guesser_is_stopped_while_platforms_are_never_limited(ground: Ground) -> None:
    async with (
        open_house(ground, works=False, failed_auth_per_minute=FEW) as house,
        client_at("127.0.0.2") as platform,
        client_at("127.0.0.3") as guesser,
    ):
        attacked, other = await house.connect("attacked"), await house.connect("other")
        refused: list[int] = []
        for _ in range(FEW + 2):
            headers = {**signed(generate_secret()), "X-Forwarded-For": f"10.0.0.{len(refused)}"}
            async with guesser.post(attacked.inbound_url, data=BODY, headers=headers) as answer:
                refused.append(answer.status)
                assert answer.status != 429 or int(answer.headers["Retry-After"]) > 0
        assert refused == [401] * FEW + [429] * 2
        async with guesser.post(
            attacked.inbound_url, data=BODY, headers=signed(attacked.secret)
        ) as answer:
            assert answer.status == 429, "a right guess among wrong ones must not be told apart"
        for number in range(3 * FEW):
            for to in (attacked, other):
                body = BODY.replace(b'"m1"', f'"m{number}"'.encode())
                headers = signed(to.secret, body, message_id=f"d{number}")
                async with platform.post(to.inbound_url, data=body, headers=headers) as answer:
                    assert answer.status == 200


async def test_a_guesser_of_api_keys_is_stopped_by_its_address_alone(ground: Ground) -> None:
    async with (
        open_house(ground, works=False, failed_auth_per_minute=FEW) as house,
        client_at("127.0.0.2") as owner,
        client_at("127.0.0.3") as guesser,
    ):
        own = await house.connect("own")
        statuses = []
        for number in range(FEW + 1):
            headers = {
                "Authorization": f"Bearer cl_{number}",
                "X-Forwarded-For": f"10.0.0.{number}",
            }
            async with guesser.get(f"{house.url}/api/v1/tenant", headers=headers) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * FEW + [429]
        headers = {"Authorization": f"Bearer {own.api_key}"}
        async with owner.get(f"{house.url}/api/v1/tenant", headers=headers) as answer:
            assert answer.status == 200
