"""Wires what watches: the feed, who is told of it, and every delivery to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from coachline.bootstrap.needs import need
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.metrics import Metrics
from coachline.foundation.outgoing import Outgoing
from coachline.foundation.redis import Redis
from coachline.foundation.seal import Seal
from coachline.foundation.settings import Settings
from coachline.learners import Learners
from coachline.messaging import Connections
from coachline.monitoring import (
    Attempts,
    Consumer,
    Deliveries,
    Dispatcher,
    Endpoints,
    Feed,
    LiveFeed,
    Planner,
    Retention,
    Rounds,
    Usage,
)
from coachline.tenancy import AuditLog, Tenants


@dataclass(frozen=True, slots=True)
class Footing:
    """What the room stands on."""

    database: Database
    engine: Engine
    redis: Redis
    http: Outgoing
    seal: Seal
    tenants: Tenants
    learners: Learners
    connections: Connections
    audit: AuditLog
    clock: Clock
    metrics: Metrics


class MonitorWiring:
    """The room's services as properties, made when they are asked for first."""

    def __init__(self, settings: Settings, footing: Footing) -> None:
        self._settings = settings
        self._on = footing

    @cached_property
    def _planner(self) -> Planner:
        return Planner(self._on.engine, self._on.clock)

    @cached_property
    def feed(self) -> Feed:
        """What happened."""
        return Feed(self._on.database)

    @cached_property
    def live_feed(self) -> LiveFeed:
        """What happens."""
        return LiveFeed(self.feed, self._on.redis, self._on.clock)

    @property
    def _consumers(self) -> tuple[Consumer, ...]:
        return (self._planner, self.usage)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """Gives events their positions."""
        on = self._on
        return Dispatcher(
            on.database,
            on.redis,
            on.tenants,
            self._consumers,
            on.metrics,
            listen_url=need(self._settings.worker_database_url, "worker_database_url"),
        )

    @cached_property
    def usage(self) -> Usage:
        """What it adds up to."""
        on = self._on
        return Usage(on.database, on.tenants, on.connections, on.clock)

    @cached_property
    def endpoints(self) -> Endpoints:
        """Who is told."""
        on = self._on
        return Endpoints(
            on.database,
            on.seal,
            on.learners,
            self._planner,
            on.audit,
            on.clock,
            allows_plain=bool(self._settings.outgoing_allow),
        )

    @cached_property
    def deliveries(self) -> Deliveries:
        """What they were told."""
        on = self._on
        return Deliveries(on.database, self._planner, on.audit, on.clock)

    @cached_property
    def rounds(self) -> Rounds:
        """Tells them."""
        on = self._on
        attempts = Attempts(on.database, on.http, on.seal, self._planner, on.clock, on.metrics)
        return Rounds(on.database, on.tenants, attempts, self._planner, on.clock)

    @cached_property
    def retention(self) -> Retention:
        """Removes what is too old."""
        on = self._on
        return Retention(on.database, on.tenants, on.clock, days=self._settings.feed_days)
