"""What can go wrong with a model: one leaf per cause, two for when nothing is left to try."""

from __future__ import annotations

from collections.abc import Sequence

from coachline.foundation.errors import Unavailable


class ModelError(Unavailable):
    """One request to one model failed. The leaf says how."""

    code = "model_error"


class ModelMissing(ModelError):
    """The model server has no model of that name."""

    code = "model_missing"


class ModelOverloaded(ModelError):
    """The model server refuses more work now."""

    code = "model_overloaded"


class ModelRejected(ModelError):
    """The model server refuses this very request; another request may well succeed."""

    code = "model_rejected"


class ModelFailed(ModelError):
    """The model server broke off, or sent what is no answer."""

    code = "model_failed"


class EmptyAnswer(ModelFailed):
    """The model came to its end without a word."""

    code = "model_answer_empty"


class ModelTimedOut(ModelError):
    """The first token, the next one or the end did not come in time."""

    code = "model_timed_out"


class ModelUnreachable(ModelError):
    """Nobody answers at the model server's address."""

    code = "model_unreachable"


class ModelPaused(ModelError):
    """The model failed too often just now and is left alone for a moment; nothing was asked."""

    code = "model_paused"


class ModelBusy(Unavailable):
    """Too many requests wait for the model server; ``retry_after_seconds`` estimates when not."""

    code = "model_busy"


class ModelsUnavailable(Unavailable):
    """Every model that was allowed has failed.

    Attributes:
        reasons: what happened, as ``model: code`` in the order of the attempts.
    """

    code = "models_unavailable"

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"No model answered ({'; '.join(reasons)}).")
        self.reasons = tuple(reasons)


class EmbeddingsUnavailable(Unavailable):
    """No usable embeddings came from the model server."""

    code = "embeddings_unavailable"
