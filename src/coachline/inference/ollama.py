"""The one client of the Ollama protocol (https://docs.ollama.com/api), on the library `ollama`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import cast

import httpx
from ollama import AsyncClient, ChatResponse, ResponseError

from coachline.foundation.exhaustion import is_exhausted
from coachline.inference.chat import Answer, ChatRequest, Deadlines, ModelFacts, OnText
from coachline.inference.errors import (
    EmptyAnswer,
    ModelError,
    ModelFailed,
    ModelMissing,
    ModelOverloaded,
    ModelRejected,
    ModelTimedOut,
    ModelUnreachable,
)

_MOST_RESPONSE_BYTES = 16 * 1024 * 1024  # 64 vectors of 4,096 numbers take about 6 MB
_MOST_CHARACTERS_PER_TOKEN = 64  # on average; tokens of real vocabularies have about four
_MOST_WORDS_OF_SERVER = 200  # characters of a server's own error text that are passed on
_CONNECTIONS = httpx.Limits(max_connections=None, max_keepalive_connections=32)


class OllamaServer:
    """A server that speaks Ollama's protocol: Ollama itself or the embedded one.

    It keeps one HTTP client for its life. Proxies and keys that happen to be in the environment are
    not used: only what is configured here. It knows no limit of connections; the queue in front of
    it does.

    Args:
        url: such as ``http://127.0.0.1:11434``.
        context_tokens: prompt and answer together. Without it Ollama takes its own default and cuts
            the prompt silently.
        deadlines: how long it may take.
    """

    def __init__(
        self, url: str, *, context_tokens: int = 4096, deadlines: Deadlines | None = None
    ) -> None:
        self._deadlines = deadlines or Deadlines()
        self._context_tokens = context_tokens
        # Deadlines are kept here, per request; httpx need only give up on connecting.
        self._client = AsyncClient(
            host=url,
            timeout=httpx.Timeout(None, connect=self._deadlines.connect_seconds),
            follow_redirects=False,
            trust_env=False,
            auth=_without_key_of_environment,
            transport=_BoundedTransport(limits=_CONNECTIONS, trust_env=False),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the library has no type there

    async def chat(self, model: str, request: ChatRequest, on_text: OnText | None = None) -> Answer:
        """See `ModelServer.chat`. What ``on_text`` raises is passed on as it is."""
        clock = asyncio.get_running_loop().time
        started = time.monotonic()
        end = clock() + self._deadlines.total_seconds
        patience = clock() + self._deadlines.first_token_seconds
        writing = _Writing(model, request.max_tokens * _MOST_CHARACTERS_PER_TOKEN)
        with _as_model_errors(model):
            parts = await self._start(model, request)
        async with aclosing(parts):
            while True:
                with _as_model_errors(model):
                    async with asyncio.timeout_at(min(patience, end)):
                        part = await anext(parts, None)
                if part is None:
                    return writing.finish(started)
                if not writing.add(part):
                    continue
                if on_text is not None and writing.text:
                    await on_text(writing.text)
                patience = clock() + self._deadlines.stall_seconds

    async def _start(self, model: str, request: ChatRequest) -> AsyncGenerator[ChatResponse, None]:
        parts = await self._client.chat(
            model,
            [{"role": each.role, "content": each.content} for each in request.messages],
            stream=True,
            options={
                "temperature": request.temperature,
                "num_predict": request.max_tokens,
                "num_ctx": self._context_tokens,
            },
        )
        return cast("AsyncGenerator[ChatResponse, None]", parts)  # the library promises less

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """See `ModelServer.embed`. A text that is too long for the model is cut by the server."""
        with _as_model_errors(model):
            async with asyncio.timeout(self._deadlines.embed_seconds):
                answer = await self._client.embed(model, list(texts))
        return [list(vector) for vector in answer.embeddings]

    async def list_models(self) -> list[str]:
        """See `ModelServer.list_models`."""
        with _as_model_errors("(list)"):
            async with asyncio.timeout(self._deadlines.embed_seconds):
                answer = await self._client.list()
        return [each.model for each in answer.models if each.model]

    async def show_model(self, model: str) -> ModelFacts:
        """See `ModelServer.show_model`."""
        with _as_model_errors(model):
            async with asyncio.timeout(self._deadlines.embed_seconds):
                answer = await self._client.show(model)
        facts = answer.modelinfo or {}
        # The key begins with the model's architecture: "llama.context_length".
        context = next((v for k, v in facts.items() if k.endswith(".context_length")), None)
        return ModelFacts(
            model=model,
            context_tokens=context if isinstance(context, int) else None,
            capabilities=tuple(answer.capabilities or ()),
        )


class _Writing:
    """An answer while it is being written."""

    def __init__(self, model: str, most_characters: int) -> None:
        self.text = ""
        self._model = model
        self._most_characters = most_characters
        self._first_text_at: float | None = None
        self._last: ChatResponse | None = None

    def add(self, part: ChatResponse) -> bool:
        """Take one part and say whether the model has written something, thoughts included."""
        if part.done:
            self._last = part
        piece = _clean(part.message.content or "")
        if piece:
            self._first_text_at = self._first_text_at or time.monotonic()
            self.text += piece
        if len(self.text) > self._most_characters:
            raise ModelFailed(f"Model {self._model!r} writes more than was asked for.")
        return bool(piece or part.message.thinking)

    def finish(self, started: float) -> Answer:
        """The whole answer.

        Raises:
            ModelFailed: the end is missing.
            EmptyAnswer: there is no word in it.
        """
        if self._last is None:
            raise ModelFailed(f"Model {self._model!r} broke off in the middle of its answer.")
        if not self.text.strip() or self._first_text_at is None:
            raise EmptyAnswer(f"Model {self._model!r} answered without a word.")
        return Answer(
            text=self.text,
            model=self._model,
            prompt_tokens=self._last.prompt_eval_count or 0,
            answer_tokens=self._last.eval_count or 0,
            done_reason=self._last.done_reason or "stop",
            first_token_seconds=self._first_text_at - started,
            total_seconds=time.monotonic() - started,
        )


def _clean(piece: str) -> str:
    """Text that PostgreSQL and UTF-8 can hold: JSON may escape NUL and half surrogate pairs."""
    if piece.isascii() and "\0" not in piece:
        return piece
    return piece.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _without_key_of_environment(request: httpx.Request) -> httpx.Request:
    """Take away the key of ``OLLAMA_API_KEY``, which the library adds for whatever server it is."""
    request.headers.pop("authorization", None)
    return request


@contextmanager
def _as_model_errors(model: str) -> Iterator[None]:
    """Turn whatever the library, httpx and a wrong answer can raise into leaves of `ModelError`."""
    try:
        yield
    except TimeoutError as error:
        raise ModelTimedOut(f"Model {model!r} took too long.") from error
    except ResponseError as error:
        raise _refused(model, error) from error
    except (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError) as error:
        if is_exhausted(error):
            # Nothing is wrong with the server: this process has no file left to reach it.
            raise
        raise ModelUnreachable("The model server cannot be reached.") from error
    except httpx.HTTPError as error:
        raise ModelFailed(
            f"The model server broke the connection ({type(error).__name__})."
        ) from error
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        # Bytes that are no JSON, JSON that is no object, an object with fields of other types.
        # Not chained: such an error quotes what it could not read, which may be message text.
        raise ModelFailed(
            f"The model server sent what cannot be read ({type(error).__name__})."
        ) from None


def _refused(model: str, error: ResponseError) -> ModelError:
    """The leaf for an error that the server itself told; -1 is one after the first byte."""
    if error.status_code == 404:
        return ModelMissing(f"The model server has no model {model!r}; pull it first.")
    if error.status_code in (429, 503):
        return ModelOverloaded("The model server is busy.", retry_after_seconds=2.0)
    if 400 <= error.status_code < 500:
        # Its words are left out: they may quote the request.
        return ModelRejected(f"Model {model!r} refused the request ({error.status_code}).")
    words = " ".join(error.error.split())[:_MOST_WORDS_OF_SERVER]
    return ModelFailed(f"Model {model!r} failed: {words}")


@dataclass
class _BoundedStream(httpx.AsyncByteStream):
    """The bytes of one response, as long as they are not too many."""

    stream: httpx.AsyncByteStream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for chunk in self.stream:
            count += len(chunk)
            if count > _MOST_RESPONSE_BYTES:
                raise httpx.DecodingError("too many bytes")
            yield chunk

    async def aclose(self) -> None:
        await self.stream.aclose()


class _BoundedTransport(httpx.AsyncHTTPTransport):
    """Ends a response that has no end: the library reads on until a line is whole."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        response.stream = _BoundedStream(cast("httpx.AsyncByteStream", response.stream))
        return response
