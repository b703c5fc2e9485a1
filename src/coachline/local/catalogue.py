"""The models that the embedded server has, as Ollama's API describes models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CHAT_MODEL = "smollm2:135m"
EMBED_MODEL = "all-minilm:latest"


@dataclass(frozen=True)
class ServedModel:
    """One model. ``context_tokens`` is what a request may really use here."""

    name: str
    path: Path
    digest: str
    file_format: str
    family: str
    parameter_size: str
    parameter_count: int
    quantization: str
    capabilities: tuple[str, ...]
    context_tokens: int
    embedding_length: int

    def summary(self) -> dict[str, object]:
        """An entry of /api/tags."""
        found = self.path.stat()
        changed = datetime.fromtimestamp(found.st_mtime, tz=UTC)
        return {
            "name": self.name,
            "model": self.name,
            "modified_at": changed.isoformat(),
            "size": found.st_size,
            "digest": self.digest,
            "details": self.details(),
        }

    def running(self) -> dict[str, object]:
        """An entry of /api/ps. Models are never unloaded: the end lies far ahead."""
        return {
            **self.summary(),
            "expires_at": datetime(9999, 1, 1, tzinfo=UTC).isoformat(),
            "size_vram": 0,
            "context_length": self.context_tokens,
        }

    def details(self) -> dict[str, object]:
        """What /api/show and /api/tags call details."""
        return {
            "parent_model": "",
            "format": self.file_format,
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization,
        }

    def description(self) -> dict[str, object]:
        """The answer of /api/show."""
        return {
            "modelfile": f"FROM {self.name}",
            "parameters": "",
            "template": "",
            "license": "Apache License 2.0",
            "modified_at": self.summary()["modified_at"],
            "details": self.details(),
            "model_info": {
                "general.architecture": self.family,
                "general.parameter_count": self.parameter_count,
                f"{self.family}.context_length": self.context_tokens,
                f"{self.family}.embedding_length": self.embedding_length,
            },
            "capabilities": list(self.capabilities),
        }


class Catalogue:
    """The served models by name, found as Ollama finds them: no tag means ``:latest``."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._models: Mapping[str, ServedModel] = {model.name: model for model in models}

    def find(self, name: str) -> ServedModel | None:
        """The model of that name, or None."""
        lowered = name.lower()
        return self._models.get(lowered if ":" in lowered else f"{lowered}:latest")

    def list(self) -> list[ServedModel]:
        """Every model."""
        return [*self._models.values()]
