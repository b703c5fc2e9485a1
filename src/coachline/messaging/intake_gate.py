"""The gate in front of intake: no tenant's deliveries wait behind another's."""

from __future__ import annotations

from coachline.foundation.clock import Clock
from coachline.foundation.fair_gate import FairGate
from coachline.messaging.errors import IntakeCrowded

# A platform gives up after three seconds at the soonest, and one that was told "later" comes back.
_PATIENCE_SECONDS = 2.0
_MOST_WAITING = 256
# Of the connections to the database: for who comes next, and for what is asked beside.
_SPARE = 2
# Some ten times as long as a delivery takes on a machine that is not busy.
_GIVES_WAY_SECONDS = 0.25


class IntakeGate(FairGate):
    """Lets proven deliveries to the database: tenants take turns, and none has all of it.

    As many are stored at once as the process has connections to the database. A tenant alone
    leaves two free, several divide them; one that used much more lately than another has one, and
    its delivery stands still between its steps, a quarter of a second at most, while one of a
    tenant that used much less is stored. Deliveries wait two seconds, 256 of all tenants together;
    beyond that the newest of the tenant with the most is turned away.

    Args:
        connections: that the process has to the database.
    """

    def __init__(self, clock: Clock, *, connections: int) -> None:
        super().__init__(
            clock,
            slots=connections,
            spare=min(_SPARE, connections - 1),
            gives_way_seconds=_GIVES_WAY_SECONDS,
            limit=_MOST_WAITING,
            patience_seconds=_PATIENCE_SECONDS,
            refuse=_refuse,
        )


def _refuse(estimate_seconds: float) -> IntakeCrowded:
    return IntakeCrowded(
        "Too many deliveries wait to be stored; deliver again.",
        retry_after_seconds=estimate_seconds,
    )
