"""What a thief of the database gets, and keys that change while messages come."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr

from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.foundation.seal import SealBroken
from coachline.local.binaries import find_postgres
from conftest import Servers
from fixtures.gateway import Connected
from fixtures.house import Ground, House, clear, make_master_key, open_house
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver

pytestmark = pytest.mark.e2e


async def dump(servers: Servers, ground: Ground) -> bytes:
    """Everything in the database, as its superuser writes it out."""
    process = await asyncio.create_subprocess_exec(
        str(find_postgres(None) / "pg_dump"),
        servers.postgres.admin_url(database_of(ground)),
        stdout=asyncio.subprocess.PIPE,
    )
    found, _ = await process.communicate()
    assert process.returncode == 0
    return found


def database_of(ground: Ground) -> str:
    """The name of the ground's database."""
    return ground.app_url.split("?")[0].rpartition("/")[2]


def spellings(secret: str) -> set[bytes]:
    """How a secret may stand in a dump: as it is, without its prefix, in hex, in base64."""
    bare = secret.partition(":")[2] or secret.partition("_")[2]
    raw = {secret.encode(), bare.encode()}
    return raw | {
        spelled
        for each in raw
        for spelled in (each.hex().encode(), base64.b64encode(each)[:-4], each[:24])
    }


async def test_a_dump_of_the_database_holds_no_secret_in_clear(
    servers: Servers, ground: Ground
) -> None:
    marker = f"marker{new_id().hex}"
    async with open_house(ground) as house:
        pair = [await house.connect("left"), await house.connect("right")]
        await house.post(pair[0], marker, "Hello")
        await house.wait_answered(pair[0], 1)
        secrets = [house.environment["COACHLINE_MASTER_KEYS"]]
    found = await dump(servers, ground)
    assert marker.encode() in found
    assert pair[0].tenant_id.encode() in found
    for each in pair:
        secrets += [each.secret, each.api_key]
    for secret in secrets:
        for spelled in spellings(secret):
            assert len(spelled) > 12
            assert spelled not in found


async def test_a_secret_moved_to_another_tenant_or_row_does_not_open(
    servers: Servers, ground: Ground
) -> None:
    async with open_house(ground) as house:
        thief, victim, other = [await house.connect(word) for word in ("thief", "victim", "other")]
        admin = await asyncpg.connect(servers.postgres.admin_url(database_of(ground)))
        try:
            for row in (thief, other):
                await admin.execute(
                    "update connection set sealed_config = "
                    "(select sealed_config from connection where id = $1) where id = $2",
                    UUID(victim.connection_id),
                    UUID(row.connection_id),
                )
            sealed = await admin.fetchval(
                "select sealed_config from connection where id = $1", UUID(victim.connection_id)
            )
            await admin.execute(
                "update connection set sealed_config = $1 where id = $2",
                sealed[:-1] + bytes([sealed[-1] ^ 1]),
                UUID(other.connection_id),
            )
        finally:
            await admin.close()
        absent = replace(victim, inbound_url=f"{house.url}/webhooks/{new_id()}")
        expected = await answer_of(house, absent, victim.secret)
        assert expected[0] == 404
        for row in (thief, other):
            for secret in (thief.secret, victim.secret, other.secret):
                await until(partial(is_forgotten, house, row))
                assert await answer_of(house, row, secret) == expected
            with pytest.raises(SealBroken):
                await house.services.connections.live(
                    TenantId(UUID(row.tenant_id)), ConnectionId(UUID(row.connection_id))
                )
        assert (await house.post(victim, "m1", "Hello"))[0] == 200
        await house.wait_answered(victim, 1)


async def is_forgotten(house: House, row: Connected) -> bool:
    """Whether no opened form of the connection is kept any more."""
    return (await house.post(row, "x", "Hello"))[0] == 404


async def answer_of(house: House, to: Connected, secret: str) -> tuple[int, str]:
    """The answer to a delivery, without what differs between any two."""
    status, found = await house.post(to, "m1", "Hello", secret=secret)
    found.pop("request_id", None)
    return status, json.dumps(found, sort_keys=True)


@asynccontextmanager
async def flowing(house: House, to: Connected, taken: list[str]) -> AsyncIterator[None]:
    """Have messages come to a house all the while; ``taken`` grows by the id of each."""
    address = replace(to, inbound_url=f"{house.url}/webhooks/{to.connection_id}")
    ended = asyncio.Event()

    async def flow() -> None:
        while not ended.is_set():
            name = f"m{len(taken)}"
            status, _ = await house.post(address, name, "Hello", sender=name)
            assert status == 200
            taken.append(name)
            await asyncio.sleep(0.15)

    task = asyncio.create_task(flow())
    try:
        yield
    finally:
        ended.set()
        await task


async def test_the_master_key_changes_under_load_without_one_failed_send(
    ground: Ground, receiver: CallbackReceiver
) -> None:
    await clear(ground.admin_url)
    old, new = make_master_key("k1"), make_master_key("k2")
    taken: list[str] = []

    def house_with(keys: str) -> AbstractAsyncContextManager[House]:
        return open_house(ground, receiver=receiver, master_keys=SecretStr(keys))

    async with AsyncExitStack() as stack:
        async with house_with(old) as first:
            to = await first.connect("rotation")
            # Nobody listens there: it is there for its secret.
            await first.ask("endpoint", "add", "http://127.0.0.1:9/", "--tenant", to.tenant)
            async with flowing(first, to, taken):
                await until(lambda: len(taken) > 5)
                both = await stack.enter_async_context(house_with(f"{new},{old}"))
                await until(lambda: len(taken) > 10)
        async with flowing(both, to, taken):
            words = ("connection", "reseal", "--tenant", to.tenant)
            assert await both.ask(*words) == {"resealed": 2}
            assert await both.ask(*words) == {"resealed": 0}
            count = len(taken)
            await until(lambda: len(taken) > count + 10)
        await both.wait_answered(to, len(taken))
        last = await stack.enter_async_context(house_with(new))
        async with flowing(last, to, taken):
            count = len(taken)
            await until(lambda: len(taken) > count + 5)
        await last.wait_answered(to, len(taken))
    verdict = receiver.judge({name: [name] for name in taken}, path=to.path)
    assert verdict.is_perfect, verdict
    assert {attempt.answer for attempt in receiver.attempts} == {"ok"}
    assert not receiver.refused
