"""The model server: answers and embeddings, in fair turns, with deadlines and fallbacks."""

from coachline.inference.answering import Models
from coachline.inference.breaker import CircuitBreaker
from coachline.inference.chat import (
    Answer,
    ChatMessage,
    ChatRequest,
    Deadlines,
    ModelFacts,
    ModelServer,
    OnText,
)
from coachline.inference.embeddings import Embedder
from coachline.inference.errors import (
    EmbeddingsUnavailable,
    EmptyAnswer,
    ModelBusy,
    ModelError,
    ModelFailed,
    ModelMissing,
    ModelOverloaded,
    ModelPaused,
    ModelRejected,
    ModelsUnavailable,
    ModelTimedOut,
    ModelUnreachable,
)
from coachline.inference.fairness import FairQueue
from coachline.inference.ollama import OllamaServer

__all__ = [
    "Answer",
    "ChatMessage",
    "ChatRequest",
    "CircuitBreaker",
    "Deadlines",
    "Embedder",
    "EmbeddingsUnavailable",
    "EmptyAnswer",
    "FairQueue",
    "ModelBusy",
    "ModelError",
    "ModelFacts",
    "ModelFailed",
    "ModelMissing",
    "ModelOverloaded",
    "ModelPaused",
    "ModelRejected",
    "ModelServer",
    "ModelTimedOut",
    "ModelUnreachable",
    "Models",
    "ModelsUnavailable",
    "OllamaServer",
    "OnText",
]
