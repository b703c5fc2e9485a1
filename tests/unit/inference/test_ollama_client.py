"""The client of the Ollama protocol against a server that does everything wrong."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Callable

import pytest

from coachline.foundation.exhaustion import is_exhausted
from coachline.inference import (
    ChatRequest,
    Deadlines,
    EmptyAnswer,
    ModelError,
    ModelFailed,
    ModelMissing,
    ModelOverloaded,
    ModelRejected,
    ModelTimedOut,
    ModelUnreachable,
    OllamaServer,
)
from lab.scripted_ollama import Fault, ScriptedOllama

Ask = Callable[..., ChatRequest]
MODEL = "smollm2:135m"
LEAVES: dict[Fault, type[ModelError]] = {
    Fault.HANG: ModelTimedOut,
    Fault.SLOW_FIRST_TOKEN: ModelTimedOut,
    Fault.STALL: ModelTimedOut,
    Fault.DRIP: ModelTimedOut,
    Fault.CUT: ModelFailed,
    Fault.ENDS_EARLY: ModelFailed,
    Fault.ERROR_LINE: ModelFailed,
    Fault.MISSING: ModelMissing,
    Fault.BUSY: ModelOverloaded,
    Fault.REJECTED: ModelRejected,
    Fault.BROKEN: ModelFailed,
    Fault.INVALID_JSON: ModelFailed,
    Fault.NOT_AN_OBJECT: ModelFailed,
    Fault.GARBAGE: ModelFailed,
    Fault.LONG_LINE: ModelFailed,
    Fault.ENDLESS_LINE: ModelFailed,
    Fault.EMPTY: EmptyAnswer,
    Fault.REFUSE: ModelFailed,
}


@pytest.mark.parametrize(("fault", "leaf"), LEAVES.items())
async def test_each_fault_has_its_leaf_and_ends_the_generation(
    ollama: ScriptedOllama, server: OllamaServer, ask: Ask, fault: Fault, leaf: type[ModelError]
) -> None:
    ollama.script(MODEL, fault)

    with pytest.raises(ModelError) as raised:
        await server.chat(MODEL, ask())

    assert type(raised.value) is leaf
    await ollama.wait_open(0)
    # The same client is of use at once.
    assert (await server.chat(MODEL, ask())).text == ollama.reply


@pytest.mark.parametrize(
    ("fault", "deadlines"),
    [
        (Fault.HANG, Deadlines(first_token_seconds=0.1, embed_seconds=0.1)),
        (Fault.SLOW_FIRST_TOKEN, Deadlines(first_token_seconds=0.1)),
        (Fault.STALL, Deadlines(stall_seconds=0.1)),
        (Fault.DRIP, Deadlines(total_seconds=0.1)),
    ],
)
async def test_each_deadline_alone_ends_what_it_is_for(
    ollama: ScriptedOllama, ask: Ask, fault: Fault, deadlines: Deadlines
) -> None:
    ollama.always(MODEL, fault)
    client = OllamaServer(ollama.url, deadlines=deadlines)

    with pytest.raises(ModelTimedOut):
        await asyncio.wait_for(client.chat(MODEL, ask()), 10)

    await client.close()


async def test_characters_cut_between_packets_come_out_whole(
    ollama: ScriptedOllama, server: OllamaServer, ask: Ask
) -> None:
    ollama.reply = "Größe 👩‍🚀 漢字"
    ollama.script(MODEL, Fault.SPLIT_UTF8)

    assert (await server.chat(MODEL, ask())).text == "Größe 👩‍🚀 漢字"


async def test_text_that_is_no_valid_unicode_is_made_valid(
    ollama: ScriptedOllama, server: OllamaServer, ask: Ask
) -> None:
    ollama.script(MODEL, Fault.LONE_SURROGATE)

    assert (await server.chat(MODEL, ask())).text == "a?bc"


@pytest.mark.parametrize(
    ("fault", "max_tokens", "reason"),
    [(Fault.NONE, 100, "stop"), (Fault.LENGTH, 100, "length"), (Fault.NONE, 2, "length")],
)
async def test_the_reason_of_the_end_is_told(
    ollama: ScriptedOllama,
    server: OllamaServer,
    ask: Ask,
    fault: Fault,
    max_tokens: int,
    reason: str,
) -> None:
    ollama.script(MODEL, fault)

    answer = await server.chat(MODEL, ask(max_tokens=max_tokens))

    assert answer.done_reason == reason
    assert answer.answer_tokens == min(7, max_tokens)


async def test_the_server_is_sent_the_prompt_and_its_limits(
    ollama: ScriptedOllama, server: OllamaServer, ask: Ask
) -> None:
    await server.chat(MODEL, ask(max_tokens=33))

    [chat] = ollama.chats
    assert chat.system == "Be kind."
    assert [message["role"] for message in chat.messages] == ["system", "user"]
    assert chat.options == {"temperature": 0.3, "num_predict": 33, "num_ctx": 4096}


async def test_cancelling_an_answer_closes_its_connection(
    ollama: ScriptedOllama, server: OllamaServer, ask: Ask
) -> None:
    ollama.script(MODEL, Fault.STALL)
    answering = asyncio.create_task(server.chat(MODEL, ask()))
    await ollama.wait_open(1)

    answering.cancel()
    [ended] = await asyncio.gather(answering, return_exceptions=True)

    assert isinstance(ended, asyncio.CancelledError)
    await ollama.wait_open(0)


async def test_what_the_listener_raises_is_no_failure_of_the_model(
    ollama: ScriptedOllama, server: OllamaServer, ask: Ask
) -> None:
    async def broken(_text: str) -> None:
        raise ValueError("listener")

    ollama.script(MODEL, Fault.DRIP)
    with pytest.raises(ValueError, match="listener") as raised:
        await server.chat(MODEL, ask(), broken)

    await ollama.wait_open(0)
    assert raised.value  # kept until here: the connection is not left to the garbage collector


async def test_a_slow_listener_is_no_stall(
    ollama: ScriptedOllama, server: OllamaServer, ask: Ask
) -> None:
    ollama.delay_seconds = 0.001
    seen: list[str] = []

    async def slow(text: str) -> None:
        if not seen:
            await asyncio.sleep(0.4)  # longer than the patience for a token
        seen.append(text)

    answer = await server.chat(MODEL, ask(), slow)

    assert seen[-1] == answer.text


async def test_a_server_is_not_away_where_this_process_has_no_file_left(
    server: OllamaServer, ask: Ask
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(Exception) as raised:  # noqa: PT011 (whatever httpx makes of it)
            await server.chat(MODEL, ask())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert not isinstance(raised.value, ModelError)
    assert is_exhausted(raised.value)


async def test_nobody_listening_is_unreachable(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = OllamaServer(f"http://127.0.0.1:{port}")

    with pytest.raises(ModelUnreachable):
        await client.chat(MODEL, ask())
    with pytest.raises(ModelUnreachable):
        await client.embed(MODEL, ["text"])

    await client.close()


async def test_a_listener_that_never_answers_is_given_up(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        deadlines = Deadlines(first_token_seconds=0.2, embed_seconds=0.2)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = OllamaServer(url, deadlines=deadlines)

        with pytest.raises(ModelTimedOut):
            await client.chat(MODEL, ask())
        with pytest.raises(ModelTimedOut):
            await client.list_models()

        await client.close()


async def test_no_message_of_an_error_quotes_the_answer(
    ollama: ScriptedOllama, server: OllamaServer, ask: Ask
) -> None:
    ollama.reply = "canary canary canary"
    ollama.script(MODEL, Fault.INVALID_JSON)

    with pytest.raises(ModelFailed) as raised:
        await server.chat(MODEL, ask())

    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_a_key_in_the_environment_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "canary")
    heads: list[bytes] = []

    async def keep_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(keep_head, "127.0.0.1", 0)
    client = OllamaServer(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    with pytest.raises(ModelFailed):
        await client.chat(MODEL, ask())
    await client.close()
    listener.close()
    await listener.wait_closed()

    [head] = heads
    assert head.startswith(b"POST /api/chat")
    assert b"canary" not in head


async def test_models_are_listed_and_shown(server: OllamaServer) -> None:
    names = await server.list_models()
    facts = await server.show_model("all-minilm")

    assert {MODEL, "all-minilm:latest"} <= set(names)
    assert facts.context_tokens == 8192
    assert facts.capabilities == ("embedding",)


async def test_embeddings_of_like_texts_are_near(server: OllamaServer) -> None:
    gym, workout, cat = await server.embed(
        "all-minilm", ["restart a gym routine", "routine for the gym", "my cat sleeps"]
    )

    assert _likeness(gym, workout) > 0.4 > _likeness(gym, cat)


def _likeness(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
