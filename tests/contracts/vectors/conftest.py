"""The same questions to the double, to Chroma in this process, and to a real Chroma server."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coachline.foundation.ids import new_id
from coachline.knowledge import ChromaFolder, ChromaServer, VectorStore, VectorsUnavailable
from lab.memory_vectors import MemoryVectors


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@asynccontextmanager
async def run_chroma(folder: Path) -> AsyncIterator[str]:
    """A `chroma run` of our own on a free port; its address once it answers."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("chroma")),
        "run",
        *("--path", str(folder), "--host", "127.0.0.1", "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60):
            await _answers(url)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _answers(url: str) -> None:
    store = ChromaServer(url, seconds=5)
    try:
        while True:
            try:
                await store.list_names("")
                return
            except VectorsUnavailable:
                await asyncio.sleep(0.1)
    finally:
        await store.close()


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    return free_port()


@pytest.fixture(scope="session")
async def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """One Chroma server for the run."""
    async with run_chroma(tmp_path_factory.mktemp("chroma-server")) as url:
        yield url


@pytest.fixture(scope="session")
async def chroma_folder(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ChromaFolder]:
    """One Chroma folder for the run."""
    store = await ChromaFolder.open(tmp_path_factory.mktemp("chroma-folder"))
    yield store
    await store.close()


@pytest.fixture
async def chroma_server(chroma_url: str) -> AsyncIterator[ChromaServer]:
    """A client of the server."""
    server = ChromaServer(chroma_url)
    yield server
    await server.close()


@pytest.fixture
def memory() -> MemoryVectors:
    """The double."""
    return MemoryVectors()


@pytest.fixture(params=["memory", "chroma_folder", "chroma_server"])
def store(request: pytest.FixtureRequest) -> VectorStore:
    """Each implementation in turn."""
    found: VectorStore = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def collection(store: VectorStore) -> AsyncIterator[str]:
    """A fresh collection."""
    name = f"t-{new_id()}"
    await store.create(name)
    yield name
    await store.drop(name)
