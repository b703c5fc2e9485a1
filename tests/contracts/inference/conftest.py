"""Three model servers that must not be told apart: scripted, embedded, and Ollama itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from coachline.inference import Deadlines, OllamaServer
from coachline.local import CHAT_MODEL, EMBED_MODEL, Home, ModelProcess
from coachline.local.weights import SMOLLM2, find_weights
from lab.scripted_ollama import ScriptedOllama

DEADLINES = Deadlines(first_token_seconds=90, stall_seconds=60, total_seconds=110, embed_seconds=60)


@dataclass(frozen=True)
class Target:
    """One server under test, with a model for each purpose."""

    server: OllamaServer
    chat_model: str
    embed_model: str


@pytest.fixture(scope="session")
async def scripted() -> AsyncIterator[Target]:
    """The double, slow enough to be interrupted."""
    reply = " ".join(str(number) for number in range(1, 401))
    async with (
        ScriptedOllama(reply=reply, delay_seconds=0.005) as ollama,
        _connected(ollama.url, CHAT_MODEL, EMBED_MODEL) as target,
    ):
        yield target


@pytest.fixture(scope="session")
async def embedded() -> AsyncIterator[Target]:
    """The server that `coachline up` starts."""
    with tempfile.TemporaryDirectory(prefix="cl-") as folder:
        process = ModelProcess(Home(Path(folder)))
        url = await process.start()
        try:
            async with _connected(url, CHAT_MODEL, EMBED_MODEL) as target:
                yield target
        finally:
            await process.stop()


@pytest.fixture(scope="session")
async def real() -> AsyncIterator[Target]:
    """Ollama, with a model made of the same file; it has no MiniLM, so one model does both."""
    binary = os.environ.get("OLLAMA_BINARY") or shutil.which("ollama")
    if binary is None:
        pytest.skip("no Ollama: none on PATH, and OLLAMA_BINARY is not set (see .ci/ollama.sh)")
    if not os.access(binary, os.X_OK):
        pytest.skip(f"no Ollama: {binary}")  # the reason that .ci/ollama.sh gave in its place
    with tempfile.TemporaryDirectory(prefix="cl-") as folder:
        async with _real_server(binary, Path(folder)) as url:
            await _create_model(url, Path(folder))
            async with _connected(url, CHAT_MODEL, CHAT_MODEL) as target:
                yield target


@asynccontextmanager
async def _connected(url: str, chat_model: str, embed_model: str) -> AsyncIterator[Target]:
    server = OllamaServer(url, context_tokens=1024, deadlines=DEADLINES)
    try:
        yield Target(server, chat_model, embed_model)
    finally:
        await server.close()


@asynccontextmanager
async def _real_server(binary: str, folder: Path) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(folder / "models"),
    }
    process = await asyncio.create_subprocess_exec(
        binary,
        "serve",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await _wait_ready(url, process)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _wait_ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30), ClientSession() as session:
        while process.returncode is None:
            try:
                async with session.get(f"{url}/api/version") as answer:
                    answer.raise_for_status()
                    return
            except ClientError:
                await asyncio.sleep(0.05)
    pytest.fail(f"Ollama ended with {process.returncode} while starting")


async def _create_model(url: str, folder: Path) -> None:
    """Hand the weights over and name them; nothing is downloaded."""
    weights = await asyncio.to_thread(find_weights, SMOLLM2, folder / "weights.json")
    digest = f"sha256:{SMOLLM2.sha256}"
    async with ClientSession(raise_for_status=True) as session:
        with weights.open("rb") as content:
            async with session.post(f"{url}/api/blobs/{digest}", data=content):
                pass
        model = {
            "model": CHAT_MODEL,
            "files": {"smollm2.gguf": digest},
            # One thread: llama.cpp's threads wait for each other busily, which other tests feel.
            "parameters": {"num_thread": 1},
            "stream": False,
        }
        async with session.post(f"{url}/api/create", json=model):
            pass
