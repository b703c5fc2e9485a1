"""Ollama's HTTP protocol over the embedded engine and embedder.

Source: docs/api.md and server/routes.go of github.com/ollama/ollama. What is mirrored, so that one
client serves both: 404 for an unknown model, 503 when the queue is full, a status for an error
before the first byte and a last line ``{"error": …}`` after it, durations in nanoseconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from coachline.local.catalogue import Catalogue, ServedModel
from coachline.local.embedder import Embedder, InputTooLong
from coachline.local.engine import (
    Ending,
    Engine,
    EngineBusy,
    EngineRefused,
    Piece,
    PromptTooLong,
    Schema,
)
from coachline.local.schemas import (
    ChatRequest,
    EmbedRequest,
    GenerateRequest,
    Message,
    ModelRequest,
    TextRequest,
)

BODY_LIMIT_BYTES = 16_000_000
BUSY = "server busy, please try again.  maximum pending requests exceeded"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Line = dict[str, object]
Asked = TypeVar("Asked", bound=BaseModel)


class Refusal(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ModelApi:
    """The routes of the embedded model server."""

    def __init__(self, catalogue: Catalogue, engine: Engine, embedder: Embedder) -> None:
        self._catalogue = catalogue
        self._engine = engine
        self._embedder = embedder

    def make_app(self) -> web.Application:
        """The application with every route."""
        app = web.Application(client_max_size=BODY_LIMIT_BYTES, middlewares=[_tell_errors])
        app.add_routes(
            [
                web.get("/", self.greet),
                web.get("/api/version", self.show_version),
                web.get("/api/tags", self.list_models),
                web.get("/api/ps", self.list_running),
                web.post("/api/show", self.show),
                web.post("/api/chat", self.chat),
                web.post("/api/generate", self.generate),
                web.post("/api/embed", self.embed),
            ]
        )
        return app

    async def greet(self, request: web.Request) -> web.Response:
        """GET /: says that it runs, and that it is not Ollama itself."""
        return web.Response(text="Coachline's embedded model server is running")

    async def show_version(self, request: web.Request) -> web.Response:
        """GET /api/version: ours, marked, so that nobody takes it for a version of Ollama."""
        return web.json_response({"version": f"{version('coachline')}+coachline"})

    async def list_models(self, request: web.Request) -> web.Response:
        """GET /api/tags."""
        return web.json_response({"models": [m.summary() for m in self._catalogue.list()]})

    async def list_running(self, request: web.Request) -> web.Response:
        """GET /api/ps: every model is always loaded."""
        return web.json_response({"models": [m.running() for m in self._catalogue.list()]})

    async def show(self, request: web.Request) -> web.Response:
        """POST /api/show."""
        return web.json_response(self._find(await _read(request, ModelRequest)).description())

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /api/chat."""
        asked = await _read(request, ChatRequest)
        self._check_text(asked, "chat")
        items = None
        if asked.messages:
            items = self._engine.chat(asked.messages, asked.options, _read_schema(asked))
        return await self._answer(request, asked, items, _chat_body)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """POST /api/generate."""
        asked = await _read(request, GenerateRequest)
        self._check_text(asked, "generate")
        schema = _read_schema(asked)
        items = None
        if asked.raw and asked.prompt:
            items = self._engine.complete(asked.prompt, asked.options, schema)
        elif asked.prompt:
            messages = [Message(role="user", content=asked.prompt)]
            if asked.system:
                messages.insert(0, Message(role="system", content=asked.system))
            items = self._engine.chat(messages, asked.options, schema)
        return await self._answer(request, asked, items, _generate_body)

    async def embed(self, request: web.Request) -> web.Response:
        """POST /api/embed."""
        begun = time.monotonic_ns()
        asked = await _read(request, EmbedRequest)
        model = self._find(asked)
        if "embedding" not in model.capabilities:
            raise Refusal(400, f'"{model.name}" does not support embeddings')
        if isinstance(asked.input, list):
            texts = asked.input
        else:
            texts = [asked.input] if asked.input else []  # as Ollama: "" only loads the model
        try:
            found = await self._embedder.embed(
                texts, truncate=asked.truncate, dimensions=asked.dimensions
            )
        except InputTooLong:
            raise Refusal(400, "the input length exceeds the context length") from None
        return web.json_response(
            {
                "model": asked.model or asked.name,
                "embeddings": found.vectors,
                "total_duration": time.monotonic_ns() - begun,
                "load_duration": 0,
                "prompt_eval_count": found.tokens,
            }
        )

    def _find(self, asked: ModelRequest) -> ServedModel:
        name = asked.model or asked.name
        if not name:
            raise Refusal(400, "model is required")
        model = self._catalogue.find(name)
        if model is None:
            raise Refusal(404, f"model '{name}' not found")
        return model

    def _check_text(self, asked: TextRequest, what: str) -> None:
        model = self._find(asked)
        if "completion" not in model.capabilities:
            raise Refusal(400, f'"{model.name}" does not support {what}')
        if asked.tools:
            raise Refusal(400, f'"{model.name}" does not support tools')
        if asked.think:
            raise Refusal(400, f'"{model.name}" does not support thinking')

    async def _answer(
        self,
        request: web.Request,
        asked: TextRequest,
        items: AsyncGenerator[Piece | Ending] | None,
        body: Callable[[str], Line],
    ) -> web.StreamResponse:
        """Send an answer as lines or as one object. No items: the model was only to be loaded."""
        name = asked.model or asked.name
        if items is None:
            done = {**_head(name), **body(""), "done": True, "done_reason": "load"}
            return web.json_response(done)
        async with aclosing(_lines(items, name, body)) as lines:
            if asked.stream:
                return await _send_lines(request, lines)
            every = [pair async for pair in lines]
        text = "".join(text for text, _ in every)
        return web.json_response({**every[-1][1], **body(text)})


async def _lines(
    items: AsyncGenerator[Piece | Ending], name: str, body: Callable[[str], Line]
) -> AsyncGenerator[tuple[str, Line]]:
    """Each piece with its line; the last line says what the whole answer cost."""
    begun = time.monotonic_ns()
    async with aclosing(items):
        async for item in items:
            if isinstance(item, Piece):
                yield item.text, {**_head(name), **body(item.text), "done": False}
                continue
            yield (
                "",
                {
                    **_head(name),
                    **body(""),
                    "done": True,
                    "done_reason": item.reason,
                    "total_duration": time.monotonic_ns() - begun,
                    "load_duration": 0,
                    "prompt_eval_count": item.prompt_tokens,
                    "prompt_eval_duration": int(item.prompt_seconds * 1e9),
                    "eval_count": item.tokens,
                    "eval_duration": int(item.seconds * 1e9),
                },
            )


async def _send_lines(
    request: web.Request, lines: AsyncGenerator[tuple[str, Line]]
) -> web.StreamResponse:
    """Send lines as they come. The status is open until the first one is there."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    try:
        async for _, line in lines:
            if not response.prepared:
                await response.prepare(request)
            await response.write(_encode(line))
    except EngineRefused as error:
        if not response.prepared:
            raise
        await response.write(_encode({"error": str(error)}))
    except ConnectionResetError:
        return response  # the client has left, and nobody else listens
    await response.write_eof()
    return response


def _encode(line: Mapping[str, object]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _head(name: str) -> Line:
    return {"model": name, "created_at": datetime.now(UTC).isoformat()}


def _chat_body(text: str) -> Line:
    return {"message": {"role": "assistant", "content": text}}


def _generate_body(text: str) -> Line:
    return {"response": text}


def _read_schema(asked: TextRequest) -> Schema | None:
    if isinstance(asked.format, dict):
        return asked.format
    if asked.format in (None, ""):
        return None
    if asked.format == "json":
        return {"type": "object"}
    raise Refusal(400, 'format is "json" or a JSON schema')


async def _read(request: web.Request, kind: type[Asked]) -> Asked:
    """The body of a request, whatever content type it claims, as Ollama reads it.

    Raises:
        Refusal: it is no JSON, or not of that kind; what is wrong is named, never repeated.
    """
    try:
        return kind.model_validate_json(await request.read())
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        told = (f"{'.'.join(map(str, fault['loc']))} {fault['msg']}".strip() for fault in faults)
        raise Refusal(400, "invalid request: " + "; ".join(told)) from None


@web.middleware
async def _tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every expected error into Ollama's shape."""
    try:
        return await handler(request)
    except Refusal as error:
        return _error(error.status, str(error))
    except EngineBusy:
        return _error(503, BUSY)
    except PromptTooLong as error:
        return _error(400, str(error))
    except EngineRefused as error:
        return _error(500, str(error))
    except web.HTTPRequestEntityTooLarge:
        return _error(413, f"the request is larger than {BODY_LIMIT_BYTES} bytes")


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
