"""The embedded model server as a program: ``python -m coachline.local.model_server --help``.

It speaks Ollama's protocol and is not Ollama. It listens on loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path

from aiohttp import web

from coachline.local.catalogue import CHAT_MODEL, EMBED_MODEL, Catalogue, ServedModel
from coachline.local.embedder import CONTEXT_TOKENS, DIMENSIONS, Embedder
from coachline.local.engine import Engine
from coachline.local.model_api import ModelApi
from coachline.local.weights import MINILM, SMOLLM2

HOST = "127.0.0.1"
TOKENIZER = Path(__file__).with_name("data") / "tokenizer.json"
STOP_SECONDS = 2.0


def main() -> None:
    """Load the models, serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="model_server", description=__doc__)
    parser.add_argument("--model-file", type=Path, required=True, help="SmolLM2 as GGUF")
    parser.add_argument("--embed-file", type=Path, required=True, help="MiniLM as ONNX")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ready-file", type=Path, help="gets the address when it can answer")
    parser.add_argument("--threads", type=int, default=max(1, count_cores() - 1))
    parser.add_argument("--prompt-threads", type=int, default=count_cores())
    parser.add_argument("--slots", type=int, default=2, help="answers written at the same time")
    parser.add_argument("--queue", type=int, default=64, help="requests that may wait")
    parser.add_argument("--context", type=int, default=4096, help="tokens of one request")
    asyncio.run(serve(parser.parse_args()))


def count_cores() -> int:
    """Return how many cores this process may use.

    Writing leaves one of them free: llama.cpp's threads spin while they wait for each other after
    every token. Reading a prompt takes all: they wait less, and somebody waits for the first word.
    """
    allowed = getattr(os, "sched_getaffinity", None)  # Linux knows which cores we may use
    return len(allowed(0)) if allowed else os.cpu_count() or 1


async def serve(given: argparse.Namespace) -> None:
    """Load what the arguments name and answer until a signal says to stop."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopped.set)
    embedder = await asyncio.to_thread(Embedder, given.embed_file, TOKENIZER)
    engine = await asyncio.to_thread(
        Engine,
        given.model_file,
        threads=given.threads,
        prompt_threads=given.prompt_threads,
        slots=given.slots,
        queue_limit=given.queue,
        context_tokens=given.context,
    )
    catalogue = make_catalogue(given.model_file, given.embed_file, given.context)
    runner = web.AppRunner(
        ModelApi(catalogue, engine, embedder).make_app(),
        access_log=None,
        handler_cancellation=True,  # a client that goes away frees its slot
        shutdown_timeout=STOP_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, given.port).start()
        if given.ready_file:
            _announce(given.ready_file, f"http://{HOST}:{runner.addresses[0][1]}")
        await stopped.wait()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
        await runner.cleanup()
        await asyncio.to_thread(engine.close)
        await asyncio.to_thread(embedder.close)


def make_catalogue(model_file: Path, embed_file: Path, context_tokens: int) -> Catalogue:
    """The two models that this server has."""
    return Catalogue(
        [
            ServedModel(
                name=CHAT_MODEL,
                path=model_file,
                digest=SMOLLM2.sha256,
                file_format="gguf",
                family="llama",
                parameter_size="134.52M",
                parameter_count=134_515_008,
                quantization="Q4_1",
                capabilities=("completion",),
                context_tokens=context_tokens,
                embedding_length=576,
            ),
            ServedModel(
                name=EMBED_MODEL,
                path=embed_file,
                digest=MINILM.sha256,
                file_format="onnx",
                family="bert",
                parameter_size="23M",
                parameter_count=22_713_216,
                quantization="INT8",
                capabilities=("embedding",),
                context_tokens=CONTEXT_TOKENS,
                embedding_length=DIMENSIONS,
            ),
        ]
    )


def _announce(ready_file: Path, url: str) -> None:
    new = ready_file.with_name(ready_file.name + ".new")
    new.write_text(url, encoding="ascii")
    new.replace(ready_file)


if __name__ == "__main__":
    main()
