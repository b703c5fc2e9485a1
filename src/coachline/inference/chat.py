"""What is asked of a model server and what it answers, whichever server it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from coachline.foundation.ids import TenantId

OnText = Callable[[str], Awaitable[None]]
"""Called with the whole text so far each time it has grown."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One answer that is wanted.

    Attributes:
        tenant_id: on whose behalf; tenants take turns.
        models: names to try, first choice first; at least one.
        messages: the prompt, oldest first.
        max_tokens: the longest answer.
        temperature: 0 for the likeliest words, more for more variety.
        background: nobody waits for it, so it gives way to what somebody waits for.
    """

    tenant_id: TenantId
    models: tuple[str, ...]
    messages: tuple[ChatMessage, ...]
    max_tokens: int
    temperature: float = 0.3
    background: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer, never empty.

    Attributes:
        text: what the model wrote; valid Unicode without NUL.
        model: the model that wrote it.
        prompt_tokens: tokens read, as the server counts; 0 when it does not say.
        answer_tokens: tokens written, as the server counts.
        done_reason: ``stop``, or ``length`` when it ran into ``max_tokens``.
        first_token_seconds: from the request to the first word, on this model.
        total_seconds: from the request to the end, on this model.
    """

    text: str
    model: str
    prompt_tokens: int
    answer_tokens: int
    done_reason: str
    first_token_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a server knows of one model.

    Attributes:
        context_tokens: the longest prompt and answer it was made for; None when it is not told.
        capabilities: words such as ``completion`` and ``embedding``; may be empty.
    """

    model: str
    context_tokens: int | None
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a model server may take. All in seconds.

    Attributes:
        connect_seconds: to accept a connection.
        first_token_seconds: to write the first token, reading the prompt included.
        stall_seconds: between one token and the next.
        total_seconds: for a whole answer.
        embed_seconds: for one batch of embeddings, and for a question about its models.
    """

    connect_seconds: float = 5.0
    first_token_seconds: float = 60.0
    stall_seconds: float = 20.0
    total_seconds: float = 180.0
    embed_seconds: float = 30.0


class ModelServer(Protocol):
    """One server with models on it.

    Every method raises a leaf of `ModelError` and nothing else. A cancelled call has closed its
    connection, so that the server stops working for it.
    """

    async def chat(self, model: str, request: ChatRequest, on_text: OnText | None = None) -> Answer:
        """One answer by ``model``, told to ``on_text`` as it grows; never an empty one."""
        ...

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in their order."""
        ...

    async def list_models(self) -> list[str]:
        """The names of the server's models."""
        ...

    async def show_model(self, model: str) -> ModelFacts:
        """What the server knows of ``model``."""
        ...
