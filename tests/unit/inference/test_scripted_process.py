"""The scripted server as a process of its own, as end-to-end tests and benchmarks start it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

import lab.scripted_ollama
from coachline.inference import ChatRequest, ModelOverloaded, OllamaServer

Ask = Callable[..., ChatRequest]
MODEL = "smollm2:135m"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Start it with the echoing reply and read its address from its first line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(lab.scripted_ollama.__file__)),
        "--port",
        "0",
        "--reply",
        "echo",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            assert process.stdout is not None
            line = await process.stdout.readline()
        yield line.decode().strip()
    finally:
        process.terminate()
        await process.communicate()


async def test_it_prints_its_address_and_is_told_what_to_do(url: str, ask: Ask) -> None:
    server = OllamaServer(url)
    async with ClientSession() as session:
        script = {"model": MODEL, "faults": ["busy"]}
        async with session.post(f"{url}/lab/script", json=script) as answer:
            answer.raise_for_status()
        with pytest.raises(ModelOverloaded):
            await server.chat(MODEL, ask())
        echoed = await server.chat(MODEL, ask())
        async with session.get(f"{url}/lab/state") as answer:
            state = await answer.json()
    await server.close()

    assert echoed.text == "Be kind.\n\nI skipped."
    assert (state["chat_count"], state["open_generations"]) == (2, 0)
    assert state["chats"][1]["messages"][0] == {"role": "system", "content": "Be kind."}
