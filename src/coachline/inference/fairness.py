"""The queue in front of the model server: bounded, and fair between tenants."""

from __future__ import annotations

from coachline.foundation.clock import Clock
from coachline.foundation.fair_gate import FairGate
from coachline.inference.errors import ModelBusy


class FairQueue(FairGate):
    """The gate of one model server, whose parties are tenants; one turned away is `ModelBusy`."""

    def __init__(self, clock: Clock, *, slots: int, limit: int) -> None:
        super().__init__(clock, slots=slots, limit=limit, refuse=_refuse)


def _refuse(estimate_seconds: float) -> ModelBusy:
    return ModelBusy(
        "The model server has too much to do now; try again shortly.",
        retry_after_seconds=estimate_seconds,
    )
