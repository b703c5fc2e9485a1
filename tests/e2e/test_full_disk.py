"""PostgreSQL's disk is full: messages and uploads are refused, and it goes on by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coachline.foundation.schema import migrate
from coachline.local import PostgresServer, ensure_database
from conftest import ROLES
from fixtures.gateway import Connected
from fixtures.house import House, ground_on, open_house
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver

DATABASE = "coachline"
DISK = "420m"
SOURCE = "large.md"
UPLOAD_BYTES = 900_000

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="making a small disk needs root"
    ),
]


async def mount(*words: str) -> bool:
    """Run a mount command; whether it worked."""
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait() == 0


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = ["-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(folder)]
    if not await mount("mount", *size):
        pytest.skip("this sandbox allows no mounts")
    yield folder
    assert await mount("umount", "-l", str(folder))


async def fill(disk: Path) -> Path:
    """Take what is left of the disk."""
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free)
    assert shutil.disk_usage(disk).free == 0
    return ballast


async def test_a_full_disk_is_answered_503_and_costs_nothing_that_was_accepted(
    disk: Path, receiver: CallbackReceiver
) -> None:
    postgres = PostgresServer(disk / "pg", runtime=disk / "run", settings={"max_wal_size": "64MB"})
    await postgres.start()
    try:
        await ensure_database(postgres, database=DATABASE, roles=ROLES)
        await migrate(postgres.url("coachline_owner", ROLES["coachline_owner"], DATABASE))
        async with open_house(ground_on(postgres, ROLES, DATABASE), receiver=receiver) as house:
            to = await house.connect("disk")
            taken = [await take(house, to, number) for number in range(3)]
            ballast = await fill(disk)
            taken += await write_until_refused(house, to, 3)
            assert await upload(house, to) == (503, "database_unavailable")
            ballast.unlink()
            await until(lambda: can_write(house, to), seconds=60)
            assert await list_sources(house, to) == [], "what was refused is not half there"
            assert (await upload(house, to))[0] == 201
            assert await list_sources(house, to) == [SOURCE]
            await house.wait_answered(to, len(taken) + 1, seconds=60)
            expected = {name: [name] for name in taken} | {"after": ["after"]}
            verdict = receiver.judge(expected, path=to.path)
            assert verdict.is_perfect, verdict
    finally:
        await postgres.stop()


async def take(house: House, to: Connected, number: int) -> str:
    """Have one message accepted; its id."""
    name = f"m{number}"
    status, _ = await house.post(to, name, "x" * 20_000, sender=name)
    assert status == 200
    return name


async def write_until_refused(house: House, to: Connected, first: int) -> list[str]:
    """Write until the answer is 503; the ids that were accepted before."""
    taken: list[str] = []
    for number in range(first, first + 5_000):
        name = f"m{number}"
        status, found = await house.post(to, name, os.urandom(20_000).hex(), sender=name)
        if status != 200:
            assert (status, found["code"]) == (503, "database_unavailable"), found
            return taken
        taken.append(name)
    pytest.fail("the disk never filled")


async def upload(house: House, to: Connected) -> tuple[int, str | None]:
    """Give a document of a megabyte that cannot be pressed together; status and code."""
    wanted = {"source": SOURCE, "text": os.urandom(UPLOAD_BYTES // 2).hex()}
    headers = {"Authorization": f"Bearer {to.api_key}"}
    url = f"{house.url}/api/v1/documents"
    async with house.http.post(url, json=wanted, headers=headers) as answer:
        return answer.status, (await answer.json()).get("code")


async def list_sources(house: House, to: Connected) -> list[str]:
    """The documents that there are."""
    status, page = await house.get(to, "/api/v1/documents")
    assert status == 200, page
    return [document["source"] for document in page["items"]]


async def can_write(house: House, to: Connected) -> bool:
    """Whether a message is accepted again; until then it is 503."""
    status, _ = await house.post(to, "after", "Hello", sender="after")
    assert status in (200, 503)
    return status == 200
