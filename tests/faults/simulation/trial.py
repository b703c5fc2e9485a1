"""One seed, acted out from its first step to its verdict."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

from coachline.foundation.faults import EVENT
from coachline.foundation.metrics import Metrics
from faults.simulation.judging import EpochWatch, judge
from faults.simulation.loop import RUNNING, GoesRoundInCircles, SimulatedLoop
from faults.simulation.node import Makers, Shared
from faults.simulation.schedules import Schedule, draw_schedule
from faults.simulation.world import World
from fixtures.seals import make_seal

# Long enough for every pause that the product may make after it is calm.
_LONGEST_SECONDS = 4 * 3600.0
_LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What one seed came to. ``digest`` differs as soon as anything went another way.

    ``blows`` counts what fell on processes and the server, ``struck`` at which points, and
    ``troubles`` everything else that went wrong.
    """

    seed: int
    problems: tuple[str, ...]
    messages: int
    steps: int
    digest: str
    blows: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)


class Listener:
    """The process's one audit hook: tells the world whose simulation runs what is passed."""

    def __init__(self) -> None:
        self.world: World | None = None
        # There is no way to take a hook away, so this belongs into a program of its own.
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != EVENT or self.world is None:
            return
        process = RUNNING.get()
        if process is not None and not process.is_dead:
            self.world.on_point(process, arguments[0])  # type: ignore[arg-type]  # a point, by `hit`


class Simulator:
    """Acts out seeds, one after the other. One of them in a program."""

    def __init__(self) -> None:
        self._listener = Listener()
        self._shared = Shared(Metrics(), make_seal())

    def act(self, seed: int, makers: Makers | None = None) -> Trial:
        """Act out a seed; the same one, on the same tree, ends the same way."""
        schedule = draw_schedule(seed)
        random = Random(f"course {seed}")
        with asyncio.Runner(loop_factory=lambda: SimulatedLoop(random)) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, SimulatedLoop)
            world = World(loop, random, schedule, self._shared, makers or Makers())
            loop.set_exception_handler(partial(_hear, world))
            self._listener.world = world
            try:
                with patch("coachline.foundation.ids.uuid7", world.ground.uuid7):
                    return runner.run(_act(world, schedule))
            except GoesRoundInCircles as error:
                loop.steps = 0
                runner.run(world.take_down())
                return Trial(seed, (str(error),), len(schedule.messages), loop.steps, "")
            finally:
                self._listener.world = None


def _hear(world: World, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that nobody waited for; the dead and the taken down may leave some."""
    if isinstance(error := context.get("exception"), BaseException):
        world.note(context["message"], error)


async def _act(world: World, schedule: Schedule) -> Trial:
    watch = EpochWatch(world)
    world.begin()
    problems: list[str] = []
    try:
        await _rest(world)
    except TimeoutError:
        problems.append("it never came to rest")
    problems += watch.problems + judge(world)
    steps, digest = world.ground.loop.steps, world.digest()
    await world.take_down()
    return Trial(
        schedule.seed,
        tuple(problems),
        len(schedule.messages),
        steps,
        digest,
        world.blows,
        world.ground.troubles,
        world.struck,
    )


async def _rest(world: World) -> None:
    while not world.is_at_rest():
        if world.ground.loop.time() > _LONGEST_SECONDS:
            raise TimeoutError
        await asyncio.sleep(_LOOK_SECONDS)


__all__ = ["GoesRoundInCircles", "Simulator", "Trial"]
