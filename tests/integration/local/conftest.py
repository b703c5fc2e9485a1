"""Servers of the embedded default, started for real."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from coachline.local import PostgresServer
from fixtures.child_processes import Parent


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path, so that sockets lie where the data lies."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="cl-") as folder:
        yield Path(folder)


@pytest.fixture
def fast() -> Mapping[str, str]:
    """Settings for tests that do not ask about durability."""
    return {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@pytest.fixture
async def postgres(place: Path, fast: Mapping[str, str]) -> AsyncIterator[PostgresServer]:
    """A running server of its own."""
    server = PostgresServer(place / "home" / "postgres", runtime=place / "run", settings=fast)
    await server.start()
    yield server
    await server.stop("immediate")


@pytest.fixture
async def run_parent() -> AsyncIterator[Callable[..., Awaitable[Parent]]]:
    """Starts a `Parent` with a command."""
    parents: list[Parent] = []

    async def run(*command: str) -> Parent:
        parents.append(await Parent.run(*command))
        return parents[-1]

    yield run
    for parent in parents:
        await parent.kill()
