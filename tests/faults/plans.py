"""Where, when and how a process of the fault suite ends or freezes, drawn by a seed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from coachline.foundation.faults import Point

Role: TypeAlias = Literal["serve", "work"]
Action: TypeAlias = Literal["kill", "freeze"]

POINTS: Final[tuple[Point, ...]] = get_args(Point)
_INTAKE: Final = tuple(point for point in POINTS if point.startswith("intake:"))
# A worker also takes in what it fetches, but those points are left to the processes that serve.
POINTS_OF: Final[dict[Role, tuple[Point, ...]]] = {
    "serve": _INTAKE,
    "work": tuple(point for point in POINTS if point not in _INTAKE),
}
_ARMED: Final[dict[Role, int]] = {"serve": 1, "work": 3}
_LATEST_HIT: Final = 8
# Not every message passes them, so few lives would pass them more than twice; and the first fault
# there comes at the first hit, or a short run might end without one.
_RARE: Final = frozenset[Point](("poll:fetched", "poll:stored", "draft:shown", "draft:kept"))
# Only who asks for what another left in doubt passes it: one message in some fifty.
_RAREST: Final[Point] = "reply:found"
_AHEAD: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """How one life ends: at the ``n``-th hit of any of ``armed``, whichever comes first.

    Nothing armed is a life without a fault.
    """

    role: Role
    armed: dict[Point, int]
    action: Action = "kill"


@dataclass
class Deck:
    """Draws plans so that every point gets its share of faults.

    Args:
        seed: of every draw.
        freezes: the share (0 to 1) of faults that freeze instead of killing.
    """

    seed: int
    freezes: float = 0.0
    faults: Counter[tuple[Point, Action]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, role: Role) -> Plan:
        """The plan of a new life: armed are the points that had the fewest faults so far.

        A rare point is so armed in every life until it has as many as the others, the rarest until
        it is one ahead of them, and no life waits for it alone.
        """
        points = list(POINTS_OF[role])
        self._random.shuffle(points)
        points.sort(key=lambda point: self.faults_at(point) - (point == _RAREST))
        wanted = _ARMED[role]
        armed = {point: self._random.randint(1, self._latest(point)) for point in points[:wanted]}
        is_freeze = self._random.random() < self.freezes
        return Plan(role, armed, "freeze" if is_freeze else "kill")

    def _latest(self, point: Point) -> int:
        if point == _RAREST or (point in _RARE and not self.faults_at(point)):
            return 1
        # A point that is far ahead of the rarest one comes late: more is done in between.
        ahead = max(0, self.faults_at(point) - self.fewest - _AHEAD)
        return (2 if point in _RARE else _LATEST_HIT) + ahead * _LATEST_HIT

    def note(self, point: Point, action: Action) -> None:
        """Count a fault that was injected."""
        self.faults[point, action] += 1

    def faults_at(self, point: Point) -> int:
        """How many faults the point had."""
        return self.faults[point, "kill"] + self.faults[point, "freeze"]

    def count(self, action: Action) -> int:
        """How many faults of a kind there were."""
        return sum(self.faults[point, action] for point in POINTS)

    @property
    def fewest(self) -> int:
        """The faults of the point that had the fewest."""
        return min(map(self.faults_at, POINTS))
