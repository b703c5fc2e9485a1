"""A circuit breaker per model: a model that fails again and again is left alone for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from coachline.foundation.clock import Clock
from coachline.inference.errors import ModelError, ModelPaused, ModelRejected

_MOST_MODELS = 1000  # names come from tenants' settings: what is remembered must have an end


@dataclass(slots=True)
class _Trouble:
    """A model with failures behind it. A healthy one is not remembered at all."""

    failures: int = 0
    paused_until: float = 0.0
    is_probed: bool = False


class CircuitBreaker:
    """Lets requests through to healthy models and refuses those to broken ones at once.

    After ``failures`` failures in a row a model is paused. When the pause is over one request, the
    probe, is let through: its success ends the trouble, its failure starts the next pause. A
    rejected request (`ModelRejected`) says nothing about the model and counts neither way.

    Args:
        failures: failures in a row that open the breaker.
        pause_seconds: how long a model is left alone.
    """

    def __init__(self, clock: Clock, *, failures: int = 5, pause_seconds: float = 10.0) -> None:
        self._clock = clock
        self._failures = failures
        self._pause_seconds = pause_seconds
        self._troubles: dict[str, _Trouble] = {}

    def is_open(self, model: str) -> bool:
        """Whether a request to ``model`` would be refused now."""
        trouble = self._troubles.get(model)
        if trouble is None or trouble.failures < self._failures:
            return False
        return trouble.is_probed or self._clock.monotonic() < trouble.paused_until

    @contextmanager
    def attempt(self, model: str) -> Iterator[None]:
        """Wrap one request to ``model`` and learn from how it ends.

        Raises:
            ModelPaused: the model is left alone now; the request must not be made.
        """
        if self.is_open(model):
            raise ModelPaused(f"Model {model!r} failed too often and is left alone for a moment.")
        trouble = self._troubles.get(model)
        is_probe = trouble is not None and trouble.failures >= self._failures
        if trouble is not None and is_probe:
            trouble.is_probed = True
        try:
            yield
        except ModelRejected:
            raise
        except ModelError:
            self._note_failure(model)
            raise
        else:
            self._troubles.pop(model, None)
        finally:
            # Whatever happened, cancellation included: the next probe must be possible.
            if trouble is not None and is_probe:
                trouble.is_probed = False

    def _note_failure(self, model: str) -> None:
        if model not in self._troubles and len(self._troubles) >= _MOST_MODELS:
            self._troubles.pop(next(iter(self._troubles)))
        trouble = self._troubles.setdefault(model, _Trouble())
        trouble.failures += 1
        if trouble.failures >= self._failures:
            trouble.paused_until = self._clock.monotonic() + self._pause_seconds
