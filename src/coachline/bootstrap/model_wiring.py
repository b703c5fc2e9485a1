"""Wires what thinks: the model servers, their queues, and the vectors."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import cached_property

from coachline.bootstrap.needs import refuse
from coachline.foundation.clock import Clock
from coachline.foundation.settings import Settings
from coachline.inference import (
    CircuitBreaker,
    Deadlines,
    Embedder,
    FairQueue,
    Models,
    OllamaServer,
)
from coachline.knowledge import (
    AbsentVectors,
    ChromaServer,
    VectorStore,
)

_EMBED_SLOTS = 2


class ModelWiring:
    """Model servers and vectors as properties, made when they are asked for first.

    Args:
        settings: where they are.
        stack: closes what was opened.
        clock: measures their deadlines.
        vectors: a store that this process has opened already.
    """

    def __init__(
        self, settings: Settings, stack: AsyncExitStack, clock: Clock, vectors: VectorStore | None
    ) -> None:
        self._settings = settings
        self._stack = stack
        self._clock = clock
        self._given_vectors = vectors
        self._breaker = CircuitBreaker(clock)

    @cached_property
    def _deadlines(self) -> Deadlines:
        return Deadlines(
            first_token_seconds=self._settings.first_token_seconds,
            stall_seconds=self._settings.stall_seconds,
            total_seconds=self._settings.answer_seconds,
        )

    @cached_property
    def _chat_server(self) -> OllamaServer:
        url = self._settings.ollama_url or refuse("ollama_url")
        server = OllamaServer(
            url, context_tokens=self._settings.context_tokens, deadlines=self._deadlines
        )
        self._stack.push_async_callback(server.close)
        return server

    @cached_property
    def _embed_server(self) -> OllamaServer:
        url = self._settings.embed_url
        if url is None or url == self._settings.ollama_url:
            return self._chat_server
        server = OllamaServer(url, deadlines=self._deadlines)
        self._stack.push_async_callback(server.close)
        return server

    @cached_property
    def models(self) -> Models:
        """What answers."""
        return Models(
            self._chat_server,
            self._fair_queue(self._settings.model_concurrency),
            self._breaker,
            deadline_seconds=self._settings.answer_seconds,
        )

    @cached_property
    def embedder(self) -> Embedder:
        """What turns text into vectors."""
        # A queue of its own: an embedding takes milliseconds, and would wait for answers that
        # take seconds.
        return Embedder(
            self._embed_server,
            self._fair_queue(_EMBED_SLOTS),
            self._breaker,
            model=self._settings.embed_model,
            deadline_seconds=self._deadlines.embed_seconds,
        )

    def _fair_queue(self, slots: int) -> FairQueue:
        return FairQueue(self._clock, slots=slots, limit=self._settings.model_queue_limit)

    @cached_property
    def vectors(self) -> VectorStore:
        """Where vectors are."""
        if self._given_vectors is not None:
            return self._given_vectors
        if self._settings.chroma_url is None:
            return AbsentVectors()
        store = ChromaServer(self._settings.chroma_url)
        self._stack.push_async_callback(store.close)
        return store
