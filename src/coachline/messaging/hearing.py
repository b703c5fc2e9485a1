"""One connection that fetches its events: kept going, and watched for silence."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from channel_kit import (
    ChannelError,
    CredentialsRejected,
    InboundEvent,
    Polling,
    RateLimited,
)
from coachline.foundation.clock import Clock
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.faults import hit
from coachline.foundation.metrics import Metrics
from coachline.messaging.accounts import one_line
from coachline.messaging.connections import Connections, LiveConnection
from coachline.messaging.errors import ConnectionNotFound
from coachline.messaging.intake import Intake
from coachline.messaging.tables import ConnectionHealth

_PROBE_SECONDS = 15.0
_CANCEL_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 900.0
_LONGEST_PROBLEM = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ListeningRules:
    """How connections that fetch their events are shared and watched.

    A listener that is silent for ``lease_seconds`` loses its connections; it renews its leases
    every ``renew_seconds`` and looks around every ``look_seconds``. A connection without contact
    for ``deaf_seconds`` is examined. Its health is written at most every ``note_seconds``, and at
    once when it changes. After a lost contact fetching begins again after ``first_pause_seconds``,
    then twice as long, up to ``last_pause_seconds``.
    """

    lease_seconds: float = 30.0
    renew_seconds: float = 10.0
    look_seconds: float = 2.0
    deaf_seconds: float = 90.0
    note_seconds: float = 15.0
    first_pause_seconds: float = 1.0
    last_pause_seconds: float = 60.0


class Hearing:
    """Fetches the events of one connection until cancelled; ends by itself on wrong credentials."""

    def __init__(
        self,
        live: LiveConnection,
        connections: Connections,
        intake: Intake,
        clock: Clock,
        metrics: Metrics,
        rules: ListeningRules,
    ) -> None:
        if not isinstance(live.channel, Polling):
            raise TypeError(f"{live.channel.name} fetches nothing")
        self._live = live
        self._channel = live.channel
        self._connections = connections
        self._intake = intake
        self._clock = clock
        self._metrics = metrics
        self._rules = rules
        self._random = random.Random()  # noqa: S311 - jitter, no secret
        self._health: ConnectionHealth = "unknown"
        self._problem: str | None = None
        self._heard_at: datetime | None = None
        self._begun_at = self._silent_since = clock.monotonic()
        self._noted: tuple[ConnectionHealth, str | None, float] | None = None
        self._failures = 0
        self._pause_seconds = 0.0

    @property
    def live(self) -> LiveConnection:
        """The connection, as it was when this began."""
        return self._live

    async def run(self) -> None:
        """Fetch, begin again after every failure, notice silence, and keep the health known."""
        name = self._live.channel.name
        self._metrics.listening.labels(name, self._health).inc()
        fetching = self._begin()
        try:
            while True:
                await asyncio.wait({fetching}, timeout=self._rules.look_seconds)
                if fetching.done():
                    fetching.result()
                    return
                if await self._is_deaf():
                    self._metrics.listening_restarts.labels(name, "deaf").inc()
                    await _cancel(fetching)
                    fetching = self._begin()
                await self._note()
        finally:
            await _cancel(fetching)
            self._metrics.listening.labels(name, self._health).dec()

    def _begin(self) -> asyncio.Task[None]:
        self._silent_since = self._clock.monotonic()
        return asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        while True:
            pause = self._pause_seconds = self._backoff()
            self._begun_at = self._clock.monotonic()
            try:
                await self._channel.poll(self._deliver, self._on_contact)
                problem, words = "ended", "fetching ended by itself"
            except CredentialsRejected as error:
                await self._disable(error)
                return
            except RateLimited as error:
                problem, words = "RateLimited", str(error)
                pause = min(max(pause, error.retry_after), _LONGEST_WAIT_SECONDS)
            except ChannelError as error:
                problem, words = type(error).__name__, str(error)
            except DatabaseUnavailable as error:
                problem, words = type(error).__name__, "the database is away"
            except Exception as error:
                # A broken channel keeps breaking; the others go on, and it is tried again. Its
                # words may hold anything.
                log.exception("channel.poll_broken", channel=self._live.channel.name)
                problem, words = type(error).__name__, f"the channel raised {type(error).__name__}"
            self._failures += 1
            self._set_health("lost", words or problem)
            self._metrics.listening_restarts.labels(self._live.channel.name, "failed").inc()
            log.warning(
                "connection.contact_lost",
                connection_id=str(self._live.id),
                problem=problem,
                pause_seconds=round(pause, 2),
            )
            await asyncio.sleep(pause)

    def _backoff(self) -> float:
        longest = self._rules.last_pause_seconds
        pause = min(longest, self._rules.first_pause_seconds * 2.0 ** min(self._failures, 20))
        return pause * self._random.uniform(0.5, 1.0)

    async def _deliver(self, events: Sequence[InboundEvent]) -> None:
        hit("poll:fetched")
        accepted = await self._intake.accept(self._live, events)
        hit("poll:stored")
        counted = self._metrics.inbound_events
        name = self._live.channel.name
        counted.labels(name, "stored").inc(len(accepted.events))
        counted.labels(name, "duplicate").inc(accepted.duplicates)
        counted.labels(name, "dropped").inc(accepted.dropped)

    def _on_contact(self) -> None:
        self._silent_since = self._clock.monotonic()
        self._heard_at = self._clock.now()
        # What is lost again right after it was made, as beside another program that fetches too,
        # is not made again at once.
        if self._silent_since - self._begun_at >= self._pause_seconds:
            self._failures = 0
        self._set_health("hearing")

    def _set_health(self, health: ConnectionHealth, problem: str | None = None) -> None:
        self._problem = problem and one_line(problem, _LONGEST_PROBLEM)
        if health != self._health:
            name = self._live.channel.name
            self._metrics.listening.labels(name, self._health).dec()
            self._metrics.listening.labels(name, health).inc()
            self._health = health

    async def _is_deaf(self) -> bool:
        """Whether nothing was heard for long although the platform can be."""
        if self._clock.monotonic() - self._silent_since < self._rules.deaf_seconds:
            return False
        # The next look comes after as long a silence again, whatever the probe says.
        self._silent_since = since = self._clock.monotonic()
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._channel.probe()
        except (ChannelError, TimeoutError) as error:
            self._set_health("lost", str(error) or "the platform does not answer")
            return False
        except Exception:
            log.exception("channel.probe_broken", channel=self._live.channel.name)
            return False
        if self._silent_since > since:
            return False  # heard while it was asked
        self._set_health("deaf", "nothing was heard, although the platform answers")
        log.warning("connection.deaf", connection_id=str(self._live.id))
        return True

    async def _note(self) -> None:
        """Keep the health where everybody sees it."""
        now = self._clock.monotonic()
        if self._noted is not None:
            *noted, at = self._noted
            is_fresh = now - at < self._rules.note_seconds
            if noted == [self._health, self._problem] and (is_fresh or self._health != "hearing"):
                return
        health, problem = self._health, self._problem
        try:
            await self._connections.note_health(
                self._live.tenant_id, self._live.id, health, self._heard_at, problem
            )
        except DatabaseUnavailable:
            return
        self._noted = (health, problem, now)

    async def _disable(self, error: CredentialsRejected) -> None:
        with suppress(ConnectionNotFound):
            await self._connections.refuse(self._live, str(error))


async def _cancel(task: asyncio.Task[None]) -> None:
    """End a task; one that does not listen is left behind, and said so."""
    task.cancel()
    _, stuck = await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
    if stuck:
        log.error("channel.not_cancelled")
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("channel.ended_badly", error=type(error).__name__)
