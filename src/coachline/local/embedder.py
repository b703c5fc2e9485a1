"""Embeddings: all-MiniLM-L6-v2 on onnxruntime, one thread, in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding, Tokenizer

BATCH_TEXTS = 32
CONTEXT_TOKENS = 256  # max_seq_length of sentence-transformers/all-MiniLM-L6-v2
DIMENSIONS = 384

Vectors = npt.NDArray[np.float32]


class InputTooLong(Exception):
    """A text is longer than the model reads, and cutting it was not allowed."""


@dataclass(frozen=True)
class Embedded:
    """Unit vectors in the order of the texts, and the tokens that were read."""

    vectors: list[list[float]]
    tokens: int


class Embedder:
    """One loaded embedding model. Making the object loads it and blocks for that long."""

    def __init__(self, model: Path, tokenizer: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(CONTEXT_TOKENS)
        self._tokenizer.no_padding()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="embedder")

    async def embed(
        self, texts: Sequence[str], *, truncate: bool = True, dimensions: int | None = None
    ) -> Embedded:
        """Embed texts. Batches of several requests take turns.

        Args:
            truncate: read only the first `CONTEXT_TOKENS` tokens of a longer text.
            dimensions: keep this many of each vector, made unit length again.

        Raises:
            InputTooLong: a text is too long and ``truncate`` is False.
        """
        loop = asyncio.get_running_loop()
        encodings = await loop.run_in_executor(self._worker, self._encode, texts, truncate)
        # Texts of like length share a batch: padding is computed too.
        order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids))
        found: list[list[float]] = [[] for _ in texts]
        for start in range(0, len(order), BATCH_TEXTS):
            places = order[start : start + BATCH_TEXTS]
            batch = [encodings[place] for place in places]
            vectors = await loop.run_in_executor(self._worker, self._compute, batch, dimensions)
            for place, vector in zip(places, vectors.tolist(), strict=True):
                found[place] = vector
        return Embedded(found, sum(len(encoding.ids) for encoding in encodings))

    def close(self) -> None:
        """End the worker thread."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _encode(self, texts: Sequence[str], truncate: bool) -> list[Encoding]:
        encodings: list[Encoding] = self._tokenizer.encode_batch(list(texts))
        if not truncate and any(encoding.overflowing for encoding in encodings):
            raise InputTooLong
        return encodings

    def _compute(self, batch: Sequence[Encoding], dimensions: int | None) -> Vectors:
        longest = max(len(encoding.ids) for encoding in batch)
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(batch):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)
        # Mean pooling over the real tokens, as sentence-transformers does for this model.
        weights = mask[:, :, None].astype(np.float32)
        means = (states * weights).sum(axis=1) / weights.sum(axis=1)
        means = means[:, :dimensions]
        norms: Vectors = np.linalg.norm(means, axis=1, keepdims=True)
        return np.asarray(means / np.maximum(norms, 1e-12), dtype=np.float32)
