"""Listens to the connections that fetch their events, shared among all worker processes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from channel_kit import Polling
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.foundation.metrics import Metrics
from coachline.messaging.connections import Connections
from coachline.messaging.hearing import Hearing, ListeningRules
from coachline.messaging.intake import Intake
from coachline.messaging.repository import ConnectionRouteRepository

# So that workers that start together share what there is.
_MOST_AT_ONCE = 20
# A connection that cannot be opened is not looked at again for so long.
_REST_SECONDS = 60.0

log = structlog.get_logger()


@dataclass(slots=True)
class _Held:
    hearing: Hearing
    task: asyncio.Task[None]


class Listener:
    """Holds connections and hears each in a task of its own, whose end touches no other."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        intake: Intake,
        clock: Clock,
        metrics: Metrics,
        rules: ListeningRules | None = None,
    ) -> None:
        self._database = database
        self._connections = connections
        self._intake = intake
        self._clock = clock
        self._metrics = metrics
        self._rules = rules or ListeningRules()
        self._routes = ConnectionRouteRepository()
        self._holder = new_id()
        self._held: dict[ConnectionId, _Held] = {}
        self._resting: dict[ConnectionId, float] = {}
        self._renewed = float("-inf")
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Let :meth:`run` come to its end: others take over at once."""
        self._stop.set()

    async def run(self) -> None:
        """Listen until :meth:`stop`."""
        try:
            while not self._stop.is_set():
                try:
                    await self._look()
                except DatabaseUnavailable:
                    await self._let_lapse()
                except Exception:
                    # One look that fails must not end listening for good.
                    log.exception("listener.look_failed")
                await self._pause()
        finally:
            await self._end()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._rules.look_seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._renewed >= self._rules.renew_seconds:
            await self._renew(now)
        await self._let_go([held for held in self._held if not await self._is_current(held)])
        self._resting = {found: until for found, until in self._resting.items() if until > now}
        async with self._database.system() as system:
            found = await self._routes.hold(
                system,
                self._holder,
                lease_seconds=self._rules.lease_seconds,
                most=_MOST_AT_ONCE,
                except_ids=[*self._resting],
            )
        for connection_id, tenant_id in found:
            await self._listen(tenant_id, connection_id)

    async def _renew(self, now: float) -> None:
        async with self._database.system() as system:
            kept = await self._routes.renew(
                system, self._holder, lease_seconds=self._rules.lease_seconds
            )
        self._renewed = now
        # What is no longer ours to hear, and what is ours without being heard: an outage may have
        # left it so.
        await self._let_go([*(self._held.keys() ^ kept)])

    async def _is_current(self, connection_id: ConnectionId) -> bool:
        """Whether it is open, configured as when it was begun, and still at work."""
        held = self._held[connection_id]
        if held.task.done():
            return False
        try:
            live = await self._connections.live(held.hearing.live.tenant_id, connection_id)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("connection.unusable", connection_id=str(connection_id))
            return False
        return live.state == "active" and live.channel is held.hearing.live.channel

    async def _listen(self, tenant_id: TenantId, connection_id: ConnectionId) -> None:
        try:
            live = await self._connections.live(tenant_id, connection_id)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("connection.unusable", connection_id=str(connection_id))
            self._resting[connection_id] = self._clock.monotonic() + _REST_SECONDS
            return
        if live.state != "active" or not isinstance(live.channel, Polling):
            # Being connected or disabled at this moment.
            await self._let_go([connection_id])
            return
        hearing = Hearing(
            live, self._connections, self._intake, self._clock, self._metrics, self._rules
        )
        task = asyncio.create_task(hearing.run())
        self._held[connection_id] = _Held(hearing, task)
        log.info("connection.listening", connection_id=str(connection_id))

    async def _let_go(self, connections: list[ConnectionId]) -> None:
        """Stop hearing, then let others; never both at once."""
        if not connections:
            return
        await self._drop(connections)
        async with self._database.system() as system:
            await self._routes.let_go(system, self._holder, connections)

    async def _drop(self, connections: list[ConnectionId]) -> None:
        tasks = [self._held.pop(found).task for found in connections if found in self._held]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("connection.hearing_failed", exc_info=error)

    async def _let_lapse(self) -> None:
        """Without the database nobody may hear for longer than the lease that was told to all."""
        if self._clock.monotonic() - self._renewed >= self._rules.lease_seconds:
            await self._drop([*self._held])

    async def _end(self) -> None:
        held = [*self._held]
        await self._drop(held)
        try:
            async with self._database.system() as system:
                await self._routes.let_go(system, self._holder, held)
        except DatabaseUnavailable:
            log.warning("listener.leases_left")
