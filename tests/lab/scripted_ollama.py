"""A model server that does as it is told: Ollama's protocol on loopback, with faults on demand.

In a test::

    async with ScriptedOllama(reply="One small step today.") as ollama:
        ollama.script("coach", Fault.BUSY, Fault.CUT)   # the next two chats, then the reply
        ...
        assert ollama.chats[0].system == "..."

As a process, which prints its address as its first line::

    python tests/lab/scripted_ollama.py --port 0 --delay-seconds 0.02 --reply echo

Over HTTP a process is told what to do by ``POST /lab/script`` and asked by ``GET /lab/state``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import sys
import zlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from aiohttp import web

Reply = Callable[[list[dict[str, str]]], str]

CHAT_MODELS: Final = ("smollm2:135m", "scripted:latest", "spare:latest")
EMBED_MODELS: Final = ("all-minilm:latest",)
DIMENSIONS: Final = 384
CREATED_AT: Final = "2026-01-01T00:00:00Z"
LONG_LINE_BYTES: Final = 1_048_576


class Fault(StrEnum):
    """What goes wrong with one request. Those that hang do so until the client goes away."""

    NONE = "none"
    HANG = "hang"  # not even a status line
    SLOW_FIRST_TOKEN = "slow_first_token"  # a status line, then nothing
    STALL = "stall"  # some tokens, then nothing
    DRIP = "drip"  # a token now and then, for ever
    CUT = "cut"  # some tokens, then the connection breaks
    ENDS_EARLY = "ends_early"  # some tokens, then a proper end without "done"
    ERROR_LINE = "error_line"  # some tokens, then {"error": …} on the 200
    MISSING = "missing"  # 404
    BUSY = "busy"  # 503
    REJECTED = "rejected"  # 400
    BROKEN = "broken"  # 500
    INVALID_JSON = "invalid_json"  # a line that stops in the middle
    NOT_AN_OBJECT = "not_an_object"  # valid JSON, but a list
    GARBAGE = "garbage"  # bytes that are no text
    LONG_LINE = "long_line"  # one valid line of 1 MB
    ENDLESS_LINE = "endless_line"  # bytes for ever and no line end
    SPLIT_UTF8 = "split_utf8"  # a right answer, cut inside a character
    LONE_SURROGATE = "lone_surrogate"  # valid JSON whose text is no valid Unicode
    EMPTY = "empty"  # done, without a word
    LENGTH = "length"  # a right answer that ran into its limit
    REFUSE = "refuse"  # the connection is closed unanswered
    WRONG_COUNT = "wrong_count"  # embeddings: one vector too few
    WRONG_SIZE = "wrong_size"  # embeddings: one vector shorter than the others
    NOT_FINITE = "not_finite"  # embeddings: one is NaN


_WELL: Final = (Fault.NONE, Fault.EMPTY, Fault.LENGTH)
STATUS_OF: Final = {
    Fault.MISSING: (404, "model '{model}' not found"),
    Fault.BUSY: (503, "server busy, please try again. maximum pending requests exceeded"),
    Fault.REJECTED: (400, '"{model}" does not support chat'),
    Fault.BROKEN: (500, "llama runner process has terminated: exit status 2"),
}


@dataclass(frozen=True, slots=True)
class RecordedChat:
    """One chat request as it came in."""

    model: str
    messages: list[dict[str, str]]
    options: dict[str, Any]

    @property
    def system(self) -> str:
        """Every system message, joined by an empty line."""
        return "\n\n".join(m["content"] for m in self.messages if m["role"] == "system")


def echo_prompt(messages: list[dict[str, str]]) -> str:
    """Answer with the whole prompt, so that a test sees what the model was given."""
    return "\n\n".join(message["content"] for message in messages)


def embed(text: str) -> list[float]:
    """A vector of length 1 in which texts that share words, or parts of words, are near."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [""]:
        padded = f" {word} "
        grams = (padded[at : at + 3] for at in range(len(padded) - 2))
        for feature, weight in [(word, 1.0), *((gram, 0.3) for gram in grams)]:
            mark = zlib.crc32(feature.encode("utf-8", "replace"))
            vector[mark % DIMENSIONS] += weight if mark & 0x8000_0000 else -weight
    size = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / size for value in vector]


class ScriptedOllama:
    """The server. Start it with ``async with`` (or `start` and `stop`).

    Args:
        reply: the answer to every chat, or a function of the messages.
        delay_seconds: the wait before each token; 0 writes a whole answer at once.
        models: names that answer chats; any name's ``:latest`` may be left out, as in Ollama.
    """

    def __init__(
        self,
        *,
        reply: str | Reply = "Good. One small step today is enough.",
        delay_seconds: float = 0.0,
        models: Sequence[str] = CHAT_MODELS,
    ) -> None:
        self.reply = reply
        self.delay_seconds = delay_seconds
        self.models = [_full_name(name) for name in models]
        self.url = ""
        self.chats: deque[RecordedChat] = deque(maxlen=1000)
        self.embedded: deque[list[str]] = deque(maxlen=1000)
        self.open_generations = 0
        self.most_open_generations = 0
        self.chat_count = 0
        self._changed = asyncio.Condition()
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ScriptedOllama:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> str:
        """Listen on loopback and return the address."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes(
            [
                web.get("/", self._root),
                web.get("/api/version", self._version),
                web.get("/api/tags", self._tags),
                web.post("/api/show", self._show),
                web.post("/api/chat", self._chat),
                web.post("/api/embed", self._embed),
                web.post("/lab/script", self._take_script),
                web.get("/lab/state", self._state),
            ]
        )
        # A client that goes away ends its handler, as it ends a generation in Ollama.
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self._runner = runner
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """Stop listening and break every open connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def script(self, model: str, *faults: Fault) -> None:
        """The next requests for ``model`` meet these, in order; later ones are well again."""
        self._faults[_full_name(model)].extend(faults)

    def always(self, model: str, fault: Fault) -> None:
        """Every request for ``model`` that no `script` is left for meets this."""
        self._always[_full_name(model)] = fault

    async def wait_open(self, count: int, timeout_seconds: float = 10.0) -> None:
        """Wait until exactly ``count`` generations run.

        Raises:
            TimeoutError: that did not come.
        """
        async with asyncio.timeout(timeout_seconds), self._changed:
            await self._changed.wait_for(lambda: self.open_generations == count)

    # -- routes

    async def _root(self, _request: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": "0.24.0"})

    async def _tags(self, _request: web.Request) -> web.Response:
        names = [*self.models, *EMBED_MODELS]
        return web.json_response(
            {
                "models": [
                    {
                        "name": name,
                        "model": name,
                        "modified_at": CREATED_AT,
                        "size": 1,
                        "digest": f"{zlib.crc32(name.encode()):064x}",
                        "details": _details(name),
                    }
                    for name in names
                ]
            }
        )

    async def _show(self, request: web.Request) -> web.Response:
        name = _full_name(str((await request.json()).get("model", "")))
        if name not in {*self.models, *EMBED_MODELS}:
            return _error(404, f"model '{name}' not found")
        kind = "embedding" if name in EMBED_MODELS else "completion"
        return web.json_response(
            {
                "details": _details(name),
                "model_info": {
                    "general.architecture": "scripted",
                    "scripted.context_length": 8192,
                },
                "capabilities": [kind],
                "modified_at": CREATED_AT,
            }
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            body = json.loads(await request.read())
            asked, messages = str(body["model"]), list(body["messages"])
        except (ValueError, KeyError, TypeError) as error:
            return _error(400, f"invalid request: {type(error).__name__}")
        options = dict(body.get("options") or {})
        self.chats.append(RecordedChat(asked, messages, options))
        self.chat_count += 1
        fault = self._next_fault(asked)
        if fault is Fault.NONE and _full_name(asked) not in self.models:
            fault = Fault.MISSING
        if (refusal := await self._refuse(request, fault, asked)) is not None:
            return refusal
        text = self.reply if isinstance(self.reply, str) else self.reply(messages)
        answer = _Answer(asked, text, messages, options.get("num_predict"), fault)
        async with self._generation():
            if body.get("stream") is False:
                await self._wait_tokens(len(answer.tokens))
                return web.json_response(answer.whole())
            return await self._stream(request, answer, fault)

    async def _stream(
        self, request: web.Request, answer: _Answer, fault: Fault
    ) -> web.StreamResponse:
        if fault in _WELL and not self.delay_seconds:
            lines = b"".join([*answer.lines(), answer.last_line()])
            return web.Response(body=lines, content_type="application/x-ndjson")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        if fault in _WRONG_BYTES:
            head = [*answer.lines()][:2] if fault in _TOKENS_FIRST else []
            end = answer.last_line() if fault in _ENDS_PROPERLY else b""
            await response.write(b"".join([*head, _WRONG_BYTES[fault], end]))
        elif fault in _WELL:
            for line in answer.lines():
                await self._wait_tokens(1)
                await response.write(line)
            await response.write(answer.last_line())
        else:
            await self._misbehave(request, response, answer, fault)
        return response

    async def _misbehave(
        self,
        request: web.Request,
        response: web.StreamResponse,
        answer: _Answer,
        fault: Fault,
    ) -> None:
        lines = [*answer.lines()]
        if fault is Fault.SPLIT_UTF8:
            for byte in b"".join([*lines, answer.last_line()]):
                await response.write(bytes([byte]))
            return
        while fault is Fault.DRIP:
            await response.write(lines[0])
            await asyncio.sleep(self.delay_seconds or 0.02)
        while fault is Fault.ENDLESS_LINE:
            await response.write(b" " * 65536)
        if fault in (Fault.STALL, Fault.CUT):
            await response.write(b"".join(lines[:2]))
        if fault is Fault.CUT and request.transport is not None:
            request.transport.close()  # what was written goes out first
            return
        await asyncio.Event().wait()

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked, given = str(body["model"]), body["input"]
        texts = [given] if isinstance(given, str) else list(given)
        self.embedded.append(texts)
        fault = self._next_fault(asked)
        if fault is Fault.NONE and _full_name(asked) not in {*self.models, *EMBED_MODELS}:
            fault = Fault.MISSING
        if (refusal := await self._refuse(request, fault, asked)) is not None:
            return refusal
        vectors = [embed(text) for text in texts]
        if fault is Fault.WRONG_COUNT:
            vectors.pop()
        elif fault is Fault.WRONG_SIZE:
            vectors[-1] = vectors[-1][:-1]
        elif fault is Fault.NOT_FINITE:
            vectors[-1][0] = math.nan
        counts = {"total_duration": 1, "load_duration": 1, "prompt_eval_count": len(texts)}
        return web.json_response({"model": asked, "embeddings": vectors, **counts})

    async def _take_script(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.script(body["model"], *(Fault(name) for name in body.get("faults", ())))
        if "always" in body:
            self.always(body["model"], Fault(body["always"]))
        return web.json_response({})

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "open_generations": self.open_generations,
                "most_open_generations": self.most_open_generations,
                "chat_count": self.chat_count,
                "chats": [asdict(chat) for chat in self.chats],
            }
        )

    # -- parts of a request

    def _next_fault(self, model: str) -> Fault:
        name = _full_name(model)
        if self._faults[name]:
            return self._faults[name].popleft()
        return self._always.get(name, Fault.NONE)

    async def _refuse(
        self, request: web.Request, fault: Fault, model: str
    ) -> web.StreamResponse | None:
        """Play the faults that happen before the first byte of an answer."""
        if fault in STATUS_OF:
            status, message = STATUS_OF[fault]
            return _error(status, message.format(model=model))
        if fault is Fault.HANG:
            async with self._generation():
                await asyncio.Event().wait()
        if fault is Fault.REFUSE and request.transport is not None:
            request.transport.abort()
            return web.Response()
        return None

    @asynccontextmanager
    async def _generation(self) -> AsyncIterator[None]:
        await self._count(1)
        try:
            yield
        finally:
            await self._count(-1)

    async def _count(self, change: int) -> None:
        self.open_generations += change
        self.most_open_generations = max(self.most_open_generations, self.open_generations)
        async with self._changed:
            self._changed.notify_all()

    async def _wait_tokens(self, count: int) -> None:
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds * count)


class _Answer:
    """One answer as the protocol's lines."""

    def __init__(
        self,
        model: str,
        text: str,
        messages: list[dict[str, str]],
        num_predict: int | None,
        fault: Fault,
    ) -> None:
        self.model = model
        tokens = re.findall(r"\s*\S+", text) if fault is not Fault.EMPTY else []
        limited = num_predict is not None and 0 <= num_predict < len(tokens)
        self.tokens = tokens[:num_predict] if limited else tokens
        self.reason = "length" if limited or fault is Fault.LENGTH else "stop"
        self._prompt_tokens = sum(len(m.get("content", "").split()) + 4 for m in messages)

    def lines(self) -> Iterable[bytes]:
        head = f'{{"model":{json.dumps(self.model)},"created_at":"{CREATED_AT}","message":'
        for token in self.tokens:
            content = json.dumps(token, ensure_ascii=False)
            line = f'{head}{{"role":"assistant","content":{content}}},"done":false}}\n'
            yield line.encode("utf-8", "replace")

    def last_line(self) -> bytes:
        return json.dumps(self._end("")).encode() + b"\n"

    def whole(self) -> dict[str, Any]:
        return self._end("".join(self.tokens))

    def _end(self, content: str) -> dict[str, Any]:
        return {
            "model": self.model,
            "created_at": CREATED_AT,
            "message": {"role": "assistant", "content": content},
            "done": True,
            "done_reason": self.reason,
            "total_duration": 3,
            "load_duration": 1,
            "prompt_eval_count": self._prompt_tokens,
            "prompt_eval_duration": 1,
            "eval_count": len(self.tokens),
            "eval_duration": 1,
        }


# The lines that are wrong in themselves; what is not here hangs, drips or breaks.
_TOKENS_FIRST: Final = (Fault.ERROR_LINE, Fault.INVALID_JSON, Fault.ENDS_EARLY)
_LONG_TEXT: Final = b"a" * LONG_LINE_BYTES
_WRONG_BYTES: Final = {
    Fault.ENDS_EARLY: b"",
    Fault.ERROR_LINE: b'{"error":"an error was encountered while running the model"}\n',
    Fault.INVALID_JSON: b'{"model":"scripted","message":{"role":"assi\n',
    Fault.NOT_AN_OBJECT: b"[1, 2, 3]\n",
    Fault.GARBAGE: bytes(range(256)) * 8 + b"\n",
    Fault.LONG_LINE: b'{"message":{"role":"assistant","content":"%b"}}\n' % _LONG_TEXT,
    Fault.LONE_SURROGATE: b'{"message":{"role":"assistant","content":"a\\ud800b\\u0000c"}}\n',
}
_ENDS_PROPERLY: Final = (Fault.LONG_LINE, Fault.LONE_SURROGATE)


def _full_name(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def _details(name: str) -> dict[str, Any]:
    family = "bert" if name in EMBED_MODELS else "scripted"
    return {"format": "gguf", "family": family, "families": [family], "parameter_size": "1"}


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


async def _serve(arguments: argparse.Namespace) -> None:
    reply: str | Reply = echo_prompt if arguments.reply == "echo" else arguments.reply
    server = ScriptedOllama(reply=reply, delay_seconds=arguments.delay_seconds)
    sys.stdout.write(f"{await server.start(arguments.port)}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay-seconds", type=float, default=0.0, help="wait before each token")
    parser.add_argument(
        "--reply",
        default="Good. One small step today is enough.",
        help="the answer to every chat; `echo` answers with the prompt",
    )
    try:
        asyncio.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
