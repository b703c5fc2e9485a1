"""The model server's behaviour under a full queue, clients that leave, and faults of the engine."""

import argparse
import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from io import BytesIO
from pathlib import Path

import ollama
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from coachline.local.embedder import Embedder
from coachline.local.engine import Engine
from coachline.local.model_api import BODY_LIMIT_BYTES, ModelApi
from coachline.local.model_server import TOKENIZER, count_cores, make_catalogue, serve
from coachline.local.weights import MINILM, SMOLLM2, find_weights
from fixtures.child_processes import wait_until

Client = TestClient[web.Request, web.Application]
Take = Callable[[Mapping[str, object]], bool]
LONG = {"model": "smollm2:135m", "messages": [{"role": "user", "content": "Tell a long story."}]}
SHORT = {**LONG, "stream": False, "options": {"num_predict": 2}}


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """One slot, and room for one more request that waits."""
    path = find_weights(SMOLLM2, tmp_path_factory.mktemp("engine") / "verified.json")
    threads = max(1, count_cores() - 1)
    engine = Engine(
        path,
        threads=threads,
        prompt_threads=count_cores(),
        slots=1,
        queue_limit=1,
        context_tokens=1024,
    )
    yield engine
    await asyncio.to_thread(engine.close)


@pytest.fixture(scope="module")
async def embedder(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedder]:
    path = find_weights(MINILM, tmp_path_factory.mktemp("embedder") / "verified.json")
    embedder = Embedder(path, TOKENIZER)
    yield embedder
    await asyncio.to_thread(embedder.close)


@pytest.fixture
async def client(engine: Engine, embedder: Embedder) -> AsyncIterator[Client]:
    catalogue = make_catalogue(Path(__file__), Path(__file__), context_tokens=1024)
    server = TestServer(ModelApi(catalogue, engine, embedder).make_app())
    async with TestClient(server) as client:
        yield client


async def test_a_client_that_leaves_frees_its_slot(client: Client) -> None:
    endless = {**LONG, "options": {"num_predict": 100_000}}
    async with client.post("/api/chat", json=endless) as leaving:
        first = json.loads(await leaving.content.readline())
        leaving.close()

    async with asyncio.timeout(20), client.post("/api/chat", json=SHORT) as answer:
        assert (await answer.json())["done"] is True
    assert first["done"] is False


async def test_a_client_that_leaves_while_its_prompt_is_read_frees_its_slot(
    client: Client, engine: Engine
) -> None:
    async def is_taken() -> bool:
        return engine._pending == 1

    words = " ".join(f"word{n}" for n in range(250))
    reading = asyncio.create_task(
        client.post("/api/chat", json={**LONG, "messages": [{"role": "user", "content": words}]})
    )
    await wait_until(is_taken)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    async with asyncio.timeout(20), client.post("/api/chat", json=SHORT) as answer:
        assert answer.status == 200


async def test_a_full_queue_answers_503_and_recovers(client: Client, engine: Engine) -> None:
    async def is_full() -> bool:
        return engine._pending == 2

    endless = {**LONG, "options": {"num_predict": 100_000}}
    async with client.post("/api/chat", json=endless) as running:
        await running.content.readline()
        waiting = asyncio.create_task(client.post("/api/chat", json=SHORT))
        await wait_until(is_full)
        refused = await client.post("/api/chat", json=SHORT)
        said = await refused.json()
        running.close()

    assert refused.status == 503
    assert said == {"error": "server busy, please try again.  maximum pending requests exceeded"}
    async with asyncio.timeout(20):
        assert (await (await waiting).json())["done"] is True


async def test_an_error_before_the_first_byte_has_its_own_status(
    client: Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def handle_chat_completions(self, request: object, take: Take) -> None:
            raise ValueError("the template is broken")

    monkeypatch.setattr(engine, "_server", Broken())

    async with client.post("/api/chat", json=LONG) as answer:
        assert answer.status == 500
        assert await answer.json() == {"error": "the template is broken"}


async def test_an_error_after_the_first_byte_is_the_last_line(
    client: Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking:
        def handle_chat_completions(self, request: object, take: Take) -> None:
            take({"choices": [{"delta": {"content": "Wel"}}]})
            take({"error": {"code": 500, "type": "server_error", "message": "out of memory"}})

    monkeypatch.setattr(engine, "_server", Breaking())

    async with client.post("/api/chat", json=LONG) as answer:
        lines = [json.loads(line) async for line in answer.content]
    assert answer.status == 200
    assert answer.content_type == "application/x-ndjson"
    assert lines[0]["message"]["content"] == "Wel"
    assert lines[1:] == [{"error": "out of memory"}]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/api/chat", b"{nope", "Invalid JSON"),
        ("/api/chat", b"[]", "object"),
        ("/api/chat", b'{"model":"\xff"}', "unicode"),
        ("/api/chat", b'{"model":"\\ud800"}', "Invalid JSON"),
        ("/api/chat", b"[" * 100_000, "recursion"),
        ("/api/chat", b"{}", "model is required"),
        ("/api/chat", b'{"model":"smollm2:135m","messages":[{"role":"king"}]}', "role"),
        ("/api/chat", b'{"model":"smollm2:135m","options":{"top_p":"secret"}}', "options.top_p"),
        ("/api/chat", b'{"model":"smollm2:135m","tools":[{}]}', "does not support tools"),
        ("/api/generate", b'{"model":"smollm2:135m","prompt":"a","format":"xml"}', "format"),
        ("/api/embed", b'{"model":"all-minilm","input":[1]}', "input"),
        ("/api/show", b'{"model":7}', "model"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong_and_never_echoed(
    client: Client, path: str, body: bytes, named: str
) -> None:
    async with client.post(path, data=body) as answer:
        said = (await answer.json())["error"]

    assert answer.status == 400
    assert named.lower() in said.lower()
    assert "secret" not in said


async def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    body = BytesIO(b" " * (BODY_LIMIT_BYTES + 1))

    async with client.post("/api/embed", data=body) as answer:
        assert answer.status == 413
        assert str(BODY_LIMIT_BYTES) in (await answer.json())["error"]


async def test_every_route_answers_ollamas_own_client(client: Client) -> None:
    url = str(client.make_url("/"))
    async with ollama.AsyncClient(host=url) as asking:
        models = [model.model for model in (await asking.list()).models]
        loaded = [model.model for model in (await asking.ps()).models]
        options = {"num_predict": 3}
        raw = await asking.generate("smollm2:135m", "One, two,", raw=True, options=options)
        told = await asking.generate(
            "smollm2:135m", "Count.", system="Be brief.", format="json", options=options
        )
        empty = await asking.generate("smollm2:135m", "")
        texts = ["a walk", "a run in the park " * 5, "a nap"]
        embedded = await asking.embed("all-minilm", texts, dimensions=32)
        with pytest.raises(ollama.ResponseError, match="exceeds the context"):
            await asking.embed("all-minilm", "long " * 400, truncate=False)
        with pytest.raises(ollama.ResponseError, match="longer than the context of 1024"):
            await asking.generate("smollm2:135m", "long " * 2000)

    assert models == loaded == ["smollm2:135m", "all-minilm:latest"]
    assert (raw.eval_count, raw.done_reason) == (3, "length")
    assert told.eval_count == 3
    assert empty.done_reason == "load"
    assert [len(vector) for vector in embedded.embeddings] == [32, 32, 32]


async def test_the_program_announces_itself_serves_and_stops_on_a_signal(tmp_path: Path) -> None:
    given = argparse.Namespace(
        model_file=find_weights(SMOLLM2, tmp_path / "verified.json"),
        embed_file=find_weights(MINILM, tmp_path / "verified.json"),
        ready_file=tmp_path / "url",
        port=0,
        threads=1,
        prompt_threads=1,
        slots=1,
        queue=1,
        context=512,
    )

    async def is_announced() -> bool:
        return await asyncio.to_thread(given.ready_file.exists)

    serving = asyncio.create_task(serve(given))
    await wait_until(is_announced, timeout_seconds=60)
    async with ClientSession() as visitor, visitor.get(given.ready_file.read_text()) as answer:
        status = answer.status
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(30):
        await serving

    assert status == 200


async def test_options_that_are_null_mean_the_defaults(client: Client) -> None:
    asked = {**SHORT, "options": {"num_predict": 2, "stop": "no", "top_p": None}}

    async with client.post("/api/chat", json=asked) as answer:
        assert (await answer.json())["eval_count"] <= 2
    async with client.post("/api/chat", json={**SHORT, "messages": [], "options": None}) as answer:
        assert answer.status == 200
    async with client.post("/api/show", json={"name": "smollm2:135m"}) as answer:
        assert answer.status == 200


async def test_the_server_says_what_it_is(client: Client) -> None:
    async with client.get("/") as answer:
        assert "Coachline" in await answer.text()
    async with client.get("/api/version") as answer:
        assert (await answer.json())["version"].endswith("+coachline")


async def test_the_librarys_own_listener_serves_nobody(engine: Engine) -> None:
    url = engine._server.listening_address

    async with ClientSession() as stranger:
        async with stranger.get(f"{url}/v1/models") as models:
            assert models.status == 401
        async with stranger.post(f"{url}/v1/chat/completions", json=LONG) as chat:
            assert chat.status == 401
