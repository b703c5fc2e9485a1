"""What happens to a simulated gateway, drawn from a seed: who writes, what breaks, and when."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal, TypeAlias, get_args

from coachline.foundation.faults import Point

Kind: TypeAlias = Literal["idempotent", "placeholder", "reconciling", "drafting", "blind"]
"""What a platform can do about doubt: see `platforms`."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
Blow: TypeAlias = Literal["kill", "freeze"]

LEASE_SECONDS: Final = 30.0
CALM_SECONDS: Final = 150.0
"""From then on nothing breaks any more: everything must come to its end."""

_POINTS: Final[tuple[Point, ...]] = tuple(
    point for point in get_args(Point) if not point.startswith("poll:")
)
# Where somebody else may go on with what a process believes to have.
_WORST_POINTS: Final[tuple[Point, ...]] = ("draft:kept", "turn:saved", "reply:marked", "reply:kept")
_TALK_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One blow to a process.

    It falls where any process passes ``point`` for the ``count``-th time, or, without a point, at
    the ``count``-th step of process ``process``. A freeze lasts ``seconds``.
    """

    blow: Blow
    count: int
    point: Point | None = None
    process: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a learner, sent ``at`` seconds; an edit when it names what it edits."""

    at: float
    tenant: int
    sender: int
    external_id: str
    edits: str | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """How often things go wrong, of one try, until it is calm.

    ``cut``: a connection to the server, before or after it did what was asked. ``platform``: a
    call of a platform. ``bell``: lost, doubled or late. ``redelivery``: an acknowledgement that is
    lost, or a delivery that is doubled. ``model``: a turn that raises.
    """

    cut: float
    platform: float
    bell: float
    redelivery: float
    model: float


@dataclass(frozen=True, slots=True)
class Outage:
    """The server restarts and is away for a while."""

    at: float
    away_seconds: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that is decided before the first step. ``kinds`` are the tenants' platforms."""

    seed: int
    processes: int
    max_turns: int
    kinds: tuple[Kind, ...]
    messages: tuple[Message, ...]
    faults: tuple[Fault, ...]
    outages: tuple[Outage, ...]
    rates: Rates

    def describe(self) -> str:
        """The schedule in lines for people."""
        kinds = ", ".join(self.kinds)
        lines = [
            f"seed {self.seed}: {self.processes} processes on {kinds}",
            f"{self.max_turns} turns of a tenant at once",
            str(self.rates),
        ]
        lines += [str(message) for message in self.messages]
        lines += [str(fault) for fault in self.faults]
        lines += [str(outage) for outage in self.outages]
        return "\n".join(lines)


def draw_schedule(seed: int) -> Schedule:
    """The schedule of a seed: the same one for ever."""
    random = Random(f"schedule {seed}")
    return Schedule(
        seed=seed,
        processes=random.randint(2, 3),
        max_turns=random.choice((1, 2, 8)),
        kinds=(random.choice(KINDS), random.choice(KINDS)),
        messages=tuple(_draw_messages(random)),
        faults=tuple(_draw_fault(random) for _ in range(random.randint(0, 6))),
        outages=tuple(
            Outage(random.uniform(1, _TALK_SECONDS), random.uniform(0.1, 20))
            for _ in range(random.choice((0, 0, 0, 1, 2)))
        ),
        rates=Rates(
            cut=random.choice((0.0, 0.0, 0.01, 0.03)),
            platform=random.choice((0.0, 0.1, 0.3)),
            bell=random.choice((0.0, 0.05, 0.3)),
            redelivery=random.choice((0.0, 0.1, 0.3)),
            model=random.choice((0.0, 0.0, 0.15)),
        ),
    )


def _draw_messages(random: Random) -> list[Message]:
    messages: list[Message] = []
    for tenant in range(2):
        # Both tenants have the same ids of their platforms: nothing may be mistaken for it.
        for number in range(random.randint(1, 4)):
            name, sender = f"m{number}", random.randint(0, 1)
            at = random.uniform(0, _TALK_SECONDS if random.random() < 0.5 else 6)
            messages.append(Message(at, tenant, sender, name))
            if random.random() < 0.15:
                later = at + random.uniform(0.1, 8)
                messages.append(Message(later, tenant, sender, f"{name}e", edits=name))
    return messages


def _draw_fault(random: Random) -> Fault:
    blow: Blow = random.choice(("kill", "freeze"))
    # Some freezes end before anybody noticed, most long after the lease.
    share = random.uniform(0.02, 1) if random.random() < 0.3 else random.uniform(1.2, 3)
    seconds = share * LEASE_SECONDS if blow == "freeze" else 0.0
    if random.random() < 0.75:
        count = random.choice((1, 1, 1, 2, 2, 3, 4))
        points = _POINTS if random.random() < 0.7 else _WORST_POINTS
        return Fault(blow, count, point=random.choice(points), seconds=seconds)
    process, count = random.randint(0, 2), random.randint(1, 250)
    return Fault(blow, count, process=process, seconds=seconds)
