"""What only the real Chroma can get wrong: folders, processes, networks."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from coachline.foundation.ids import DocumentId, PassageId, TenantId, new_id
from coachline.knowledge import (
    ChromaFolder,
    ChromaServer,
    Vector,
    VectorFolderInUse,
    VectorsUnavailable,
)

pytestmark = pytest.mark.contract

TENANT = TenantId(new_id())


async def test_a_folder_has_one_owner_and_keeps_what_was_written(tmp_path: Path) -> None:
    store = await ChromaFolder.open(tmp_path)
    await store.create("t-kept")
    vector = Vector(PassageId(new_id()), TENANT, DocumentId(new_id()), 1, (1.0, 0.0))
    await store.upsert("t-kept", [vector])
    with pytest.raises(VectorFolderInUse, match="COACHLINE_CHROMA_URL"):
        await ChromaFolder.open(tmp_path)
    await store.close()
    again = await ChromaFolder.open(tmp_path)
    (hit,) = await again.query("t-kept", TENANT, (1.0, 0.0), limit=3)
    assert hit.id == vector.id
    await again.close()


async def test_opening_leaves_the_limit_on_open_files_as_it_was(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    store = await ChromaFolder.open(tmp_path)
    await store.close()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


async def test_a_folder_that_cannot_be_read_is_told_and_given_free(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"this is no database" * 1000)
    for _ in range(2):
        with pytest.raises(VectorsUnavailable, match="Delete it"):
            await ChromaFolder.open(tmp_path)


async def test_a_server_that_is_gone_is_unavailable(unused_port: int) -> None:
    store = ChromaServer(f"http://127.0.0.1:{unused_port}")
    with pytest.raises(VectorsUnavailable):
        await store.query("t-any", TENANT, (1.0,), limit=1)
    await store.close()


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    store = ChromaServer(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seconds=0.2)
    with pytest.raises(VectorsUnavailable, match="did not answer"):
        await store.list_names("t-")
    await store.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\nnull",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
    ],
)
async def test_an_answer_that_is_not_chromas_is_unavailable(answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    store = ChromaServer(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    with pytest.raises(VectorsUnavailable):
        await store.query("t-any", TENANT, (1.0,), limit=1)
    await store.close()
    server.close()
    await server.wait_closed()


def test_chromadb_is_not_imported_before_a_folder_is_opened() -> None:
    code = "import sys, coachline.knowledge; print('chromadb' in sys.modules)"
    outcome = subprocess.run(  # noqa: S603 - our own interpreter with fixed arguments
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "False"
