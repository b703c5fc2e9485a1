"""Valkey, Chroma or PostgreSQL's connections gone while messages come: answered, and still shut."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import asyncpg
import pytest

from channel_kit.signing import generate_secret
from coachline.foundation.redis import open_redis
from coachline.local import ChromaProcess
from conftest import Servers
from fixtures.gateway import Connected
from fixtures.house import Ground, House, open_house
from fixtures.waiting import until
from lab.fault_proxy import FaultProxy, Mode
from lab.scripted_ollama import echo_prompt

pytestmark = pytest.mark.e2e

FEW = 8


async def say(house: House, to: Connected, first: int, count: int) -> None:
    """Write some messages, each from its own learner."""
    for number in range(first, first + count):
        status, _ = await house.post(to, f"m{number}", "Hello", sender=f"s{number}")
        assert status == 200


async def assert_shut(house: House, to: Connected) -> None:
    """Nobody without proof gets in."""
    assert (await house.post(to, "x", "Hello", secret=generate_secret()))[0] in (401, 429)
    for key in ("cl_guess", ""):
        assert (await house.get(replace(to, api_key=key), "/api/v1/tenant"))[0] in (401, 429)


async def test_valkey_killed_and_emptied_costs_no_message_and_opens_nothing(
    ground: Ground,
) -> None:
    async with open_house(ground, failed_auth_per_minute=FEW) as house:
        to = await house.connect("valkey")
        await say(house, to, 0, 4)
        assert house.valkey.pid is not None
        os.kill(house.valkey.pid, signal.SIGKILL)
        await say(house, to, 4, 8)
        await assert_shut(house, to)
        statuses = [
            (await house.post(to, "x", "Hello", secret=generate_secret()))[0] for _ in range(FEW)
        ]
        assert 429 not in statuses, "a proven source is never limited"
        other = await house.connect("unproven")
        statuses = [
            (await house.post(other, "x", "Hello", secret=generate_secret()))[0]
            for _ in range(FEW + 1)
        ]
        assert statuses[-1] == 429, "counted here while Valkey is away"
        await house.wait_answered(to, 12)

        await house.valkey.stop()
        await house.valkey.start()
        redis = open_redis(house.valkey.url)
        await say(house, to, 12, 4)
        await redis.flushall()
        await say(house, to, 16, 4)
        await assert_shut(house, to)
        await redis.aclose()
        await house.wait_answered(to, 20)
        expected = {f"s{number}": [f"m{number}"] for number in range(20)}
        assert house.receiver.judge(expected, path=to.path).is_perfect


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.BLACK_HOLE, Mode.RESET])
async def test_without_chroma_every_message_is_answered_and_the_trace_says_so(
    ground: Ground, chroma: ChromaProcess, mode: Mode
) -> None:
    host, port = chroma.url.removeprefix("http://").split(":")
    async with FaultProxy((host, int(port))) as proxy:
        reached = replace(ground, chroma_url=f"http://{host}:{proxy.address[1]}")
        async with open_house(reached) as house:
            house.ollama.reply = echo_prompt
            to = await house.connect("chroma")
            await teach(house, to, "The secret word of the course is heliotrope.")
            _, first = await house.post(to, "m1", "What is the secret word?")
            assert "heliotrope" in (await house.wait_replies(to, 1))[0]
            await proxy.switch(mode)
            _, second = await house.post(to, "m2", "What is the secret word of it?", sender="bob")
            replies = await house.wait_replies(to, 2, seconds=45)
            assert "heliotrope" not in replies[1]
            assert await notes_of(house, to, first) == []
            assert await notes_of(house, to, second) != []
            await proxy.switch(Mode.PASS)
            await house.post(to, "m3", "What is the secret word, then?", sender="cat")
            assert "heliotrope" in (await house.wait_replies(to, 3, seconds=45))[2]


async def teach(house: House, to: Connected, text: str) -> None:
    """Give the tenant a document and wait until it is searchable."""
    headers = {"Authorization": f"Bearer {to.api_key}"}
    async with house.http.post(
        f"{house.url}/api/v1/documents", json={"source": "a.md", "text": text}, headers=headers
    ) as answer:
        document = await answer.json()

    async def is_ready() -> bool:
        _, found = await house.get(to, f"/api/v1/documents/{document['id']}")
        return bool(found["state"] == "ready")

    await until(is_ready, seconds=30)


async def notes_of(house: House, to: Connected, accepted: dict[str, list[str]]) -> list[str]:
    """What the trace of the event's saved turn notes."""
    _, found = await house.get(to, f"/api/v1/events/{accepted['events'][0]}/why")
    saved = [point for point in found["checkpoints"] if point["name"] == "turn_saved"]
    notes = saved[0]["details"]["notes"]
    assert isinstance(notes, list)
    return notes


async def test_a_postgresql_that_drops_every_connection_is_met_again(
    ground: Ground, servers: Servers
) -> None:
    async with open_house(ground) as house:
        to = await house.connect("postgres")
        await say(house, to, 0, 2)
        admin = await asyncpg.connect(servers.postgres.admin_url())
        try:
            for _ in range(2):
                await admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1",
                    ground.app_url.split("?")[0].rpartition("/")[2],
                )
                await asyncio.gather(*(retry(house, to, number) for number in range(2, 5)))
        finally:
            await admin.close()
        await house.wait_answered(to, 5, seconds=45)
        expected = {f"s{number}": [f"m{number}"] for number in range(5)}
        assert house.receiver.judge(expected, path=to.path).is_perfect


async def retry(house: House, to: Connected, number: int) -> None:
    """Deliver as a platform does: again while the answer is 503."""

    async def is_taken() -> bool:
        status, _ = await house.post(to, f"m{number}", "Hello", sender=f"s{number}")
        assert status in (200, 503)
        return status == 200

    await until(is_taken, seconds=15)
