"""The embedded model server as users meet it: a child process, asked by Ollama's own client."""

import asyncio
import json
import math
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import ollama
import pytest

from coachline.local import Home, LocalServerError, ModelProcess
from fixtures.child_processes import Parent, wait_ended

CHAT = "smollm2:135m"
EMBED = "all-minilm"
SAME = {"temperature": 0.0, "seed": 7}

START_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from coachline.local import Home, ModelProcess
async def main():
    server = ModelProcess(Home(Path(sys.argv[1])))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("model") / "home")


@pytest.fixture(scope="module")
async def client(home: Home) -> AsyncIterator[ollama.AsyncClient]:
    """Ollama's own client, talking to a running server."""
    server = ModelProcess(home)
    url = await server.start()
    async with ollama.AsyncClient(host=url) as client:
        yield client
    await server.stop()
    assert server.pid is None


def _user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def test_both_models_are_listed_described_and_loaded(client: ollama.AsyncClient) -> None:
    listed = await client.list()
    running = await client.ps()
    chat, embed = await client.show(CHAT), await client.show(f"{EMBED}:latest")

    assert [model.model for model in listed.models] == [CHAT, "all-minilm:latest"]
    assert [model.context_length for model in running.models] == [4096, 256]
    assert (chat.capabilities, embed.capabilities) == (["completion"], ["embedding"])
    assert chat.modelinfo is not None
    assert chat.modelinfo["llama.context_length"] == 4096


async def test_a_streamed_answer_is_the_whole_answer_in_pieces(
    client: ollama.AsyncClient,
) -> None:
    options = {**SAME, "num_predict": 24}
    whole = await client.chat(CHAT, _user("Name a good habit."), options=options)
    parts = [
        part
        async for part in await client.chat(
            CHAT, _user("Name a good habit."), options=options, stream=True
        )
    ]

    assert len(parts) > 5
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    for last in (whole, parts[-1]):
        assert last.done_reason in ("stop", "length")
        assert last.prompt_eval_count is not None
        assert last.prompt_eval_count > 10
        assert last.eval_count is not None
        assert 5 < last.eval_count <= 24
        assert last.total_duration is not None
        assert last.eval_duration is not None
        assert last.total_duration >= last.eval_duration > 1_000_000  # nanoseconds


async def test_an_answer_ends_at_the_token_limit_and_says_so(client: ollama.AsyncClient) -> None:
    answer = await client.chat(CHAT, _user("Tell a long story."), options={"num_predict": 3})

    assert (answer.done_reason, answer.eval_count) == ("length", 3)


async def test_an_answer_ends_before_a_stop_text(client: ollama.AsyncClient) -> None:
    options = {**SAME, "num_predict": 16}
    text = (await client.generate(CHAT, "The sea is", raw=True, options=options)).response or ""
    stop = text.split()[-1]

    cut = await client.generate(CHAT, "The sea is", raw=True, options={**options, "stop": stop})

    assert cut.done_reason == "stop"
    assert cut.response == text.partition(stop)[0]


async def test_an_answer_follows_a_schema(client: ollama.AsyncClient) -> None:
    schema = {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}},
        "required": ["mood"],
        "additionalProperties": False,
    }
    chat = await client.chat(CHAT, _user("How do you feel?"), format=schema)
    generated = await client.generate(CHAT, "How do you feel?", system="Be brief.", format=schema)

    assert json.loads(chat.message.content or "")["mood"] in ("good", "bad")
    assert json.loads(generated.response or "")["mood"] in ("good", "bad")


async def test_a_request_without_a_prompt_only_loads_the_model(
    client: ollama.AsyncClient,
) -> None:
    assert (await client.chat(CHAT, [])).done_reason == "load"
    assert (await client.generate(CHAT, "")).done_reason == "load"


async def test_four_chats_are_answered_at_once(client: ollama.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(
            client.chat(CHAT, _user(f"Count to {n}."), options={"num_predict": 12})
            for n in range(2, 6)
        )
    )

    assert all(answer.message.content for answer in answers)


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        (lambda c: c.chat("nope", _user("hi")), 404, "model 'nope' not found"),
        (lambda c: c.show("smollm2"), 404, "model 'smollm2' not found"),
        (lambda c: c.chat(EMBED, _user("hi")), 400, "does not support chat"),
        (lambda c: c.generate(EMBED, "hi"), 400, "does not support generate"),
        (lambda c: c.embed(CHAT, "hi"), 400, "does not support embeddings"),
        (lambda c: c.chat(CHAT, _user("hi"), think=True), 400, "does not support thinking"),
        (lambda c: c.chat(CHAT, _user("long " * 5000)), 400, "longer than the context"),
        (lambda c: c.embed(EMBED, "long " * 400, truncate=False), 400, "exceeds the context"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_cannot_be_done_has_a_status_and_a_reason(
    client: ollama.AsyncClient,
    call: Callable[[ollama.AsyncClient], Awaitable[object]],
    status: int,
    message: str,
) -> None:
    with pytest.raises(ollama.ResponseError, match=message) as caught:
        await call(client)

    assert caught.value.status_code == status


async def test_the_oldest_messages_make_room_for_the_last(client: ollama.AsyncClient) -> None:
    old = [message for n in range(6) for message in _user(f"old words {n} " * 30)]
    system = {"role": "system", "content": "Answer with one word."}
    options = {"num_predict": 2, "num_ctx": 512}

    long = await client.chat(CHAT, [system, *old, *_user("Yes or no?")], options=options)
    short = await client.chat(CHAT, [system, *_user("Yes or no?")], options=options)

    assert short.prompt_eval_count is not None
    assert long.prompt_eval_count is not None
    assert short.prompt_eval_count < long.prompt_eval_count < 512


def _cosine(first: list[float], second: list[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


async def test_texts_of_like_meaning_lie_close(client: ollama.AsyncClient) -> None:
    question, near, other, far = (
        list(vector)
        for vector in (
            await client.embed(
                EMBED,
                [
                    "How do I restart my gym routine after a break?",
                    "I stopped exercising and want to get back to training",
                    "How much water should I drink every day?",
                    "The cat sleeps on the sofa",
                ],
            )
        ).embeddings
    )

    assert len(question) == 384
    assert math.isclose(_cosine(question, question), 1, abs_tol=1e-5)
    assert _cosine(question, near) > 0.5
    assert _cosine(question, near) > _cosine(question, other) > _cosine(question, far)


async def test_many_texts_of_any_length_keep_their_order(client: ollama.AsyncClient) -> None:
    texts = [f"{word} " * length for length in (1, 40, 7) for word in ("run", "sleep", "eat")] * 8
    together = await client.embed(EMBED, texts)
    alone = await client.embed(EMBED, texts[4])

    assert len(together.embeddings) == len(texts)
    assert alone.prompt_eval_count == 42  # forty words between two marks
    nearest = max(
        range(9),
        key=lambda n: _cosine(list(together.embeddings[n]), list(alone.embeddings[0])),
    )
    assert nearest == 4


async def test_long_texts_are_cut_and_vectors_shortened_on_request(
    client: ollama.AsyncClient,
) -> None:
    cut = await client.embed(EMBED, "long " * 400, dimensions=64)

    assert cut.prompt_eval_count == 256
    assert len(cut.embeddings[0]) == 64
    assert math.isclose(_cosine(list(cut.embeddings[0]), list(cut.embeddings[0])), 1, abs_tol=1e-5)
    assert (await client.embed(EMBED, "")).embeddings == []
    assert (await client.embed(EMBED, [])).embeddings == []


async def test_what_is_said_is_not_in_the_log(client: ollama.AsyncClient, home: Home) -> None:
    await client.chat(CHAT, _user("my secret sorrow"), options={"num_predict": 2})

    assert "sorrow" not in (home.logs / "model.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")
async def test_kill_9_of_the_parent_stops_the_server(
    tmp_path: Path, run_parent: Callable[..., Awaitable[Parent]]
) -> None:
    parent = await run_parent(sys.executable, "-c", START_AND_WAIT, str(tmp_path / "home"))
    [pid] = await parent.read_pids()

    await parent.kill()

    await wait_ended(pid)
    assert (tmp_path / "home" / "run" / "model.url").exists()  # told, so it had been ready


async def test_a_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ModelProcess(Home(tmp_path / "home"), port=taken.getsockname()[1])

        with pytest.raises(LocalServerError, match="address already in use"):
            await server.start()

    with pytest.raises(LocalServerError, match="does not run"):
        server.url  # noqa: B018 (reading it raises)
    await server.stop()
