"""The scripted server, our client of it with short deadlines, and requests to make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from coachline.foundation.ids import TenantId, new_id
from coachline.inference import ChatMessage, ChatRequest, Deadlines, OllamaServer
from fixtures.time import FakeClock
from lab.scripted_ollama import ScriptedOllama

MODEL = "smollm2:135m"
SPARE = "spare"

Ask = Callable[..., ChatRequest]


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    """A model server that does as it is told."""
    async with ScriptedOllama() as running:
        yield running


@pytest.fixture
async def server(ollama: ScriptedOllama) -> AsyncIterator[OllamaServer]:
    """Our client, with little patience."""
    deadlines = Deadlines(
        connect_seconds=5,
        first_token_seconds=2,
        stall_seconds=2,
        total_seconds=5,
        embed_seconds=3,
    )
    client = OllamaServer(ollama.url, deadlines=deadlines)
    yield client
    await client.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def tenants() -> tuple[TenantId, TenantId]:
    """Two tenants; nothing here needs their rows."""
    return TenantId(new_id()), TenantId(new_id())


@pytest.fixture
def ask(tenants: tuple[TenantId, TenantId]) -> Ask:
    """Make a request of the first tenant."""

    def make(*models: str, max_tokens: int = 100) -> ChatRequest:
        return ChatRequest(
            tenant_id=tenants[0],
            models=models or (MODEL,),
            messages=(ChatMessage("system", "Be kind."), ChatMessage("user", "I skipped.")),
            max_tokens=max_tokens,
        )

    return make
