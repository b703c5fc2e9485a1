"""Text generation: llama.cpp in this process, cancellable, with a bounded queue in front."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xllamacpp

from coachline.local.schemas import Message, Options

# One step of a prompt. Between steps other answers go on and a cancelled one is given up, so a
# small step is polite; far smaller ones waste time.
BATCH_TOKENS = 128

Schema = Mapping[str, object]
Chunk = Mapping[str, Any]  # as llama.cpp's server makes it; read in `_read` only
Told = Chunk | Exception | None
Handle = Callable[[dict[str, object], Callable[[Chunk], bool]], object]


@dataclass(frozen=True)
class Piece:
    """Some text of an answer."""

    text: str


@dataclass(frozen=True)
class Ending:
    """How an answer ended and what it cost.

    Attributes:
        reason: ``stop`` (the model or a stop text ended it) or ``length`` (a limit did).
    """

    reason: str
    prompt_tokens: int
    prompt_seconds: float
    tokens: int
    seconds: float


class EngineBusy(Exception):
    """The queue is full."""


class EngineRefused(Exception):
    """The engine cannot do this request; the message says why."""


class PromptTooLong(EngineRefused):
    """The prompt does not fit the context."""


class Engine:
    """One loaded model. Making the object loads it and blocks for that long.

    Args:
        model: a GGUF file with a chat template.
        threads: threads that write.
        prompt_threads: threads that read prompts.
        slots: answers written at the same time.
        queue_limit: requests that may wait for a slot.
        context_tokens: prompt and answer of one request together.
    """

    def __init__(
        self,
        model: Path,
        *,
        threads: int,
        prompt_threads: int,
        slots: int,
        queue_limit: int,
        context_tokens: int,
    ) -> None:
        self.context_tokens = context_tokens
        self._limit = slots + queue_limit
        self._pending = 0
        self._workers = ThreadPoolExecutor(slots, thread_name_prefix="engine")
        self._server = _load(model, (threads, prompt_threads), slots, context_tokens)

    def chat(
        self, messages: Sequence[Message], options: Options, schema: Schema | None = None
    ) -> AsyncGenerator[Piece | Ending]:
        """Answer a conversation; an `Ending` comes last.

        Where the conversation is longer than the context, the oldest messages are left out, never
        a system message and never the last one (the rule of Ollama's ``chatPrompt``).

        Args:
            schema: a JSON schema that the answer must follow.

        Raises:
            EngineBusy: too many requests wait.
            PromptTooLong: the messages that must stay are too long.
            EngineRefused: the engine cannot do it.
        """
        rendered = _render(options, schema)
        requests = (
            {"messages": [m.model_dump() for m in kept], **rendered} for kept in _shorten(messages)
        )
        return self._run(self._server.handle_chat_completions, requests, options)

    def complete(
        self, prompt: str, options: Options, schema: Schema | None = None
    ) -> AsyncGenerator[Piece | Ending]:
        """Continue a text as it stands, without a chat template; raises as `chat` does."""
        requests = iter([{"prompt": prompt, **_render(options, schema)}])
        return self._run(self._server.handle_completions, requests, options)

    def close(self) -> None:
        """Wait for running answers; call after their requests were cancelled."""
        self._workers.shutdown(wait=True, cancel_futures=True)

    async def _run(
        self, handle: Handle, requests: Iterator[dict[str, object]], options: Options
    ) -> AsyncGenerator[Piece | Ending]:
        """Run in a worker thread; leaving the iteration early gives the work up."""
        if self._pending >= self._limit:
            raise EngineBusy
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[Told] = asyncio.Queue()
        limit = min(options.num_ctx or self.context_tokens, self.context_tokens)
        job = _Job(handle, requests, limit, lambda told: _pass_on(loop, chunks, told))
        self._pending += 1
        loop.run_in_executor(self._workers, job.run).add_done_callback(self._settle)
        try:
            async for item in _read(chunks):
                yield item
        finally:
            job.given_up.set()

    def _settle(self, job: asyncio.Future[None]) -> None:
        self._pending -= 1


class _Job:
    """One answer in a worker thread: the first of its requests that fits the context is run."""

    def __init__(
        self,
        handle: Handle,
        requests: Iterator[dict[str, object]],
        limit_tokens: int,
        tell: Callable[[Told], None],
    ) -> None:
        self.given_up = threading.Event()
        self._handle = handle
        self._requests = requests
        self._limit_tokens = limit_tokens
        self._tell = tell
        self._is_too_long = True

    def run(self) -> None:
        """Tell every chunk as it comes, then None; or an error instead."""
        try:
            while self._is_too_long and not self.given_up.is_set():
                request = next(self._requests, None)
                if request is None:
                    raise PromptTooLong(
                        f"the prompt is longer than the context of {self._limit_tokens} tokens"
                    )
                self._is_too_long = False
                self._handle(request, self._take)
            self._tell(None)
        except Exception as error:  # noqa: BLE001 (carried to the request that waits for it)
            self._tell(error)

    def _take(self, chunk: Chunk) -> bool:
        """Called by the engine between steps; True makes it stop."""
        # The size of the prompt is told before it is read, so a wrong guess costs next to nothing.
        total = chunk.get("prompt_progress", {}).get("total", 0)
        error = chunk.get("error", {})
        self._is_too_long = (
            total >= self._limit_tokens or error.get("type") == "exceed_context_size_error"
        )
        if not self._is_too_long:
            self._tell(chunk)
        return self._is_too_long or self.given_up.is_set()


def _shorten(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """The conversation, then ever shorter ones, as long as something may be left out."""
    kept = list(messages)
    while True:
        yield list(kept)
        oldest = next((i for i, m in enumerate(kept[:-1]) if m.role != "system"), None)
        if oldest is None:
            return
        del kept[oldest]


def _pass_on(loop: asyncio.AbstractEventLoop, chunks: asyncio.Queue[Told], told: Told) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(chunks.put_nowait, told)


async def _read(chunks: asyncio.Queue[Told]) -> AsyncGenerator[Piece | Ending]:
    """Turn what llama.cpp's server tells, in the manner of OpenAI, into pieces and an ending."""
    reason = "stop"
    while (chunk := await chunks.get()) is not None:
        if isinstance(chunk, EngineRefused):
            raise chunk
        if isinstance(chunk, Exception):
            raise EngineRefused(str(chunk)) from chunk
        if "error" in chunk:
            raise EngineRefused(str(chunk["error"].get("message", "the engine failed")))
        for choice in chunk.get("choices", ()):
            reason = choice.get("finish_reason") or reason
            text = choice.get("text") or choice.get("delta", {}).get("content")
            if text:
                yield Piece(text)
        if chunk.get("usage"):
            yield _ending(chunk, reason)


def _ending(chunk: Chunk, reason: str) -> Ending:
    usage, timings = chunk["usage"], chunk.get("timings", {})
    return Ending(
        reason=reason,
        prompt_tokens=int(usage["prompt_tokens"]),
        prompt_seconds=float(timings.get("prompt_ms", 0)) / 1000,
        tokens=int(usage["completion_tokens"]),
        seconds=float(timings.get("predicted_ms", 0)) / 1000,
    )


def _render(options: Options, schema: Schema | None) -> dict[str, object]:
    """The options in llama.cpp's names, with what makes it stream, count and report progress."""
    given = options.model_dump(exclude_none=True, exclude={"num_ctx", "num_predict"})
    tokens = options.num_predict
    if tokens is not None and tokens >= 0:
        given["max_tokens"] = tokens
    if schema is not None:
        given["json_schema"] = dict(schema)
    return {
        **given,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
    }


def _load(model: Path, threads: tuple[int, int], slots: int, context_tokens: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx = slots * context_tokens
    params.n_parallel = slots
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cpuparams.n_threads, params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0  # would keep up to 8 GiB of old prompts
    params.cache_idle_slots = False
    params.verbosity = 0  # its log could hold prompts
    params.ui = False
    params.endpoint_slots = False
    # The library opens a web server beside this one; nobody knows the key, so nobody can use it.
    params.api_keys = [secrets.token_urlsafe(32)]
    return xllamacpp.Server(params)
