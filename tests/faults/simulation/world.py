"""A whole simulated installation: processes that live and die, platforms that deliver, a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any

from channel_kit import EventKind, InboundEvent, Sender
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.engine import RetryLater
from coachline.foundation.errors import Conflict
from coachline.foundation.faults import Point
from coachline.foundation.ids import ConnectionId, TenantId
from coachline.messaging import LiveConnection
from faults.simulation.bells import Bells
from faults.simulation.ground import Ground, PlatformWire
from faults.simulation.loop import Process, SimulatedLoop
from faults.simulation.node import Makers, Node, Shared
from faults.simulation.platforms import Platform, make_channel
from faults.simulation.schedules import Fault, Message, Outage, Schedule
from faults.simulation.store import Job, Store

_SWEEP_SECONDS = 10.0
_DATABASE_RETRY_SECONDS = 2.0
_ACKNOWLEDGE_SECONDS = 10.0


class Killed(BaseException):
    """Unwinds what a killed process was doing; it does nothing more of it."""


class World:
    """One schedule, acted out. ``problems`` are errors that nobody should ever see."""

    def __init__(
        self,
        loop: SimulatedLoop,
        random: Random,
        schedule: Schedule,
        shared: Shared,
        makers: Makers,
    ) -> None:
        self.schedule = schedule
        self.ground = Ground(loop, random, schedule.rates)
        self.store = Store(self.ground)
        self.problems: list[str] = []
        self.acknowledged: set[tuple[int, str]] = set()
        self.blows: dict[str, int] = {}
        self.struck: dict[str, int] = {}
        self.points: dict[str, int] = {}
        self.tenants: list[TenantId] = []
        self.connections: list[ConnectionId] = []
        self.platforms = [Platform() for _ in schedule.kinds]
        self.nodes: dict[int, Node] = {}
        self._shared = shared
        self._makers = makers
        self._faults = list(schedule.faults)
        self._tasks: set[asyncio.Task[None]] = set()
        self._bells = Bells(self.ground, self.store, self._choose_awake, self._carry)

    def begin(self) -> None:
        """Start everything; what follows happens by itself."""
        for _ in self.schedule.kinds:
            tenant_id = self.ground.uuid7()
            self.tenants.append(TenantId(tenant_id))
            self.connections.append(ConnectionId(self.ground.uuid7()))
            self.store.tables["tenant"][tenant_id] = {"tenant_id": None, "id": tenant_id}
        for number in range(self.schedule.processes):
            self._start(number, incarnation=0)
        for message in self.schedule.messages:
            self.ground.later(message.at, partial(self._deliver, message))
        for outage in self.schedule.outages:
            self.ground.later(outage.at, partial(self._restart, outage))
        self.ground.later(_SWEEP_SECONDS, self._sweep)

    def is_at_rest(self) -> bool:
        """Whether everything was delivered and nothing is left to do."""
        tables = self.store.tables
        asked = {(message.tenant, message.external_id) for message in self.schedule.messages}
        return (
            self.ground.is_calm
            and self.acknowledged == asked
            and not self.store.jobs
            and not self.store.open
            and all(row["state"] == "idle" for row in tables["conversation"].values())
            and all(row["state"] != "new" for row in tables["inbox_event"].values())
            and all(
                row["state"] not in ("pending", "sending")
                for row in tables["outbox_reply"].values()
            )
        )

    def digest(self) -> str:
        """A fingerprint of the course that everything took."""
        tables = sorted(repr(row) for table in self.store.tables.values() for row in table.values())
        said = [repr(message) for platform in self.platforms for message in platform.messages]
        course = [str(self.ground.loop.steps), str(self.ground.loop.time()), *tables, *said]
        return sha256("\n".join(course).encode()).hexdigest()

    # Processes

    def _start(self, number: int, incarnation: int) -> None:
        process = Process(f"p{number}", incarnation)
        wire = PlatformWire(self.ground, process)
        live = {
            connection_id: LiveConnection(
                connection_id, tenant_id, "active", make_channel(kind, platform, wire)
            )
            for connection_id, tenant_id, kind, platform in zip(
                self.connections, self.tenants, self.schedule.kinds, self.platforms, strict=True
            )
        }
        node = Node(
            self.ground,
            self.store,
            process,
            live,
            self._shared,
            self._makers,
            max_turns=self.schedule.max_turns,
        )
        process.on_step = self._on_step
        self.nodes[number] = node

    def _choose(self) -> Process | None:
        """A process that is there; one that stands still takes requests too, and does nothing."""
        alive = [node.process for node in self.nodes.values() if not node.process.is_dead]
        return self.ground.random.choice(alive) if alive else None

    def _choose_awake(self) -> Process | None:
        """A process that looks for work at this moment."""
        now = self.ground.loop.time()
        awake = [
            node.process
            for node in self.nodes.values()
            if not node.process.is_dead and node.process.frozen_until <= now
        ]
        return self.ground.random.choice(awake) if awake else None

    def _node(self, process: Process) -> Node:
        return self.nodes[int(process.name[1:])]

    def _spawn(self, process: Process, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def start() -> None:
            if self.ground.is_over:
                return
            task = self.ground.loop.create_task(work())
            self._tasks.add(task)
            task.add_done_callback(self._note)

        self.ground.loop.call_soon(start, context=process.context())

    def _note(self, task: asyncio.Task[None]) -> None:
        """Whatever a door, a worker or a sweep raises beside what it may raise is a defect."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.note("a process", error)

    def note(self, where: str, error: BaseException) -> None:
        """Remember an error that nobody should see."""
        if not self.ground.is_over and not isinstance(error, Killed):
            self.problems.append(f"{where} raised {type(error).__name__}: {error}")

    # Faults

    def on_point(self, process: Process, point: Point) -> None:
        """A process passes a point: the place where many schedules strike.

        Raises:
            Killed: this was the end of it.
        """
        self.points[point] = self.points.get(point, 0) + 1
        for fault in self._faults:
            if fault.point == point and fault.count == self.points[point]:
                self._strike(process, fault)
                return

    def _on_step(self, process: Process) -> None:
        for fault in self._faults:
            is_here = fault.point is None and process.name == f"p{fault.process}"
            if is_here and fault.count == process.steps:
                try:
                    self._strike(process, fault)
                except Killed:
                    # It was between two steps: there is nothing to unwind.
                    return

    def _strike(self, process: Process, fault: Fault) -> None:
        if self.ground.is_calm or self.ground.is_over or process.is_dead:
            return
        self._faults.remove(fault)
        self.blows[fault.blow] = self.blows.get(fault.blow, 0) + 1
        if fault.point is not None:
            self.struck[fault.point] = self.struck.get(fault.point, 0) + 1
        if fault.blow == "freeze":
            process.frozen_until = self.ground.loop.time() + fault.seconds
            self._bells.on_silence(process)
            return
        process.is_dead = True
        self._bells.on_silence(process)
        delay = self.ground.random.uniform(0, 0.05)
        self.ground.later(delay, lambda: self.store.disconnect(process))
        number, incarnation = int(process.name[1:]), process.incarnation + 1
        pause = self.ground.random.uniform(0.5, 8)
        self.ground.later(pause, lambda: self._start(number, incarnation))
        raise Killed

    def _restart(self, outage: Outage) -> None:
        self.blows["restart"] = self.blows.get("restart", 0) + 1
        self.ground.restarts += 1
        self.store.restart(outage.away_seconds)

    # Bells and sweeps

    def _carry(self, process: Process, job: Job) -> None:
        self._spawn(process, lambda: self._ring(process, job))

    async def _ring(self, process: Process, job: Job) -> None:
        try:
            await self._node(process).worker.on_bell(job.payload)
        except RetryLater as later:
            self._bells.retry(process, job, later.seconds)
        except DatabaseUnavailable:
            self._bells.retry(process, job, _DATABASE_RETRY_SECONDS)
        else:
            self._bells.finish(process, job)

    def _sweep(self) -> None:
        process = self._choose_awake()
        if process is not None:
            self._spawn(process, lambda: self._sweep_in(process))
        self.ground.later(_SWEEP_SECONDS, self._sweep)

    async def _sweep_in(self, process: Process) -> None:
        with suppress(DatabaseUnavailable):
            await self._node(process).queue.sweep()

    # Deliveries of the platforms

    def _deliver(self, message: Message) -> None:
        """Give a message to a process, and again until one says that it has it."""
        if (message.tenant, message.external_id) in self.acknowledged:
            return
        self._knock(message)
        if self.ground.happens("delivery doubled", self.ground.rates.redelivery):
            self.ground.later(self.ground.draw_delay(), lambda: self._knock(message))
        self.ground.later(_ACKNOWLEDGE_SECONDS, lambda: self._deliver(message))

    def _knock(self, message: Message) -> None:
        process = self._choose()
        if process is not None:
            self._spawn(process, lambda: self._accept(process, message))

    async def _accept(self, process: Process, message: Message) -> None:
        node = self._node(process)
        event = InboundEvent(
            external_id=message.external_id,
            kind=EventKind.MESSAGE if message.edits is None else EventKind.EDIT,
            sender=Sender(id=f"s{message.sender}"),
            thread=f"t{message.sender}",
            text=f"words of {message.external_id}",
            reply_to=message.edits,
            occurred_at=self.ground.now(),
        )
        live = node.connections[self.connections[message.tenant]]
        try:
            await node.intake.accept(live, [event])
        except (DatabaseUnavailable, Conflict):
            return
        if not self.ground.happens("acknowledgement lost", self.ground.rates.redelivery):
            key = message.tenant, message.external_id
            self.ground.later(self.ground.draw_delay(), lambda: self.acknowledged.add(key))

    async def take_down(self) -> None:
        """End every task, when everything was judged: nothing of it has an effect any more."""
        self.ground.is_over = True
        self.ground.loop.revive()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=60)
