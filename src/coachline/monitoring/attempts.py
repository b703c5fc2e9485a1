"""One attempt to deliver an event: claimed, made, and its outcome stored under its number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import structlog

from channel_kit.answers import retry_after_seconds
from channel_kit.signing import Secret, sign
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.ids import TenantId
from coachline.foundation.metrics import Metrics
from coachline.foundation.outgoing import CallFailed, Outgoing, post
from coachline.foundation.seal import Seal, SealBroken
from coachline.monitoring.bodies import Bodies, encode
from coachline.monitoring.planning import Planner
from coachline.monitoring.repository import DeliveryRepository, EndpointRepository
from coachline.monitoring.schedule import ATTEMPT_SECONDS, FAILING_FOR, pause_seconds
from coachline.monitoring.secrets import EndpointSecrets
from coachline.monitoring.tables import DeliveryRow, EndpointRow

MOST_AT_ONCE: Final = 8
"""Attempts at one endpoint at a time, in all processes together."""

# Longer than an attempt and storing what became of it: who is silent so long is gone.
_CLAIM: Final = timedelta(seconds=2 * ATTEMPT_SECONDS)
_KEPT_BYTES: Final = 1_024
_SHORTEST_ECHO: Final = 4

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that is needed to call an endpoint once; no secret, if none opens."""

    tenant_id: TenantId
    endpoint_id: UUID
    delivery_id: UUID
    learner_id: UUID | None
    message_id: str
    number: int
    tries: int
    url: str
    secrets: Sequence[Secret]
    body: bytes
    text: str


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What came of it. Without a ``status`` there was no answer, and ``problem`` says why."""

    at: datetime
    latency_ms: int
    status: int | None = None
    answer: str = ""
    problem: str | None = None
    retry_after: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the endpoint took the event: 2xx, and nothing else."""
        return (
            self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES
        )


class Attempts:
    """Claims what is due, calls the endpoint, and decides what follows.

    Args:
        database: where deliveries are.
        http: the client for addresses that tenants chose.
        seal: opens what signs.
        planner: rings for the next attempt.
        clock: says what is due.
        metrics: counts outcomes.
    """

    def __init__(
        self,
        database: Database,
        http: Outgoing,
        seal: Seal,
        planner: Planner,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._http = http
        self._secrets = EndpointSecrets(seal)
        self._planner = planner
        self._clock = clock
        self._metrics = metrics
        self._bodies = Bodies()
        self._endpoints = EndpointRepository()
        self._deliveries = DeliveryRepository()

    async def claim(self, tenant_id: TenantId, endpoint_id: UUID, *, most: int) -> list[Attempt]:
        """The first due delivery of each lane, as attempts; at most eight of an endpoint at once.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        now = self._clock.now()
        async with self._database.tenant(tenant_id) as session:
            endpoint = await self._endpoints.find(session, endpoint_id, is_locked=True)
            if endpoint is None or endpoint.state != "active":
                return []
            busy = await self._deliveries.list_busy_lanes(session, endpoint_id, now=now)
            heads = await self._deliveries.list_heads(session, endpoint_id)
            due = [head for head, lane, next_at in heads if next_at <= now and lane not in busy][
                : max(0, min(most, MOST_AT_ONCE - len(busy)))
            ]
            if not due:
                return []
            rows = await self._deliveries.claim(session, due, until=now + _CLAIM)
            return [
                found
                for row in rows
                if (found := await self._prepare(session, endpoint, row)) is not None
            ]

    async def _prepare(
        self, session: TenantSession, endpoint: EndpointRow, row: DeliveryRow
    ) -> Attempt | None:
        body = await self._bodies.make(session, row, endpoint.redaction)
        if body is None:
            return None
        secrets: Sequence[Secret] = ()
        with suppress(SealBroken):
            secrets = self._secrets.open_signing(session.tenant_id, endpoint, now=self._clock.now())
        return Attempt(
            tenant_id=session.tenant_id,
            endpoint_id=endpoint.id,
            delivery_id=row.id,
            learner_id=row.learner_id,
            message_id=str(row.event_id or row.id),
            number=row.attempts,
            tries=row.tries,
            url=endpoint.url,
            secrets=secrets,
            body=encode(body),
            text=str(body["data"].get("text", "")),
        )

    async def make(self, attempt: Attempt) -> AttemptOutcome:
        """Call the endpoint. Whatever it does, it is an outcome."""
        at, begun = self._clock.now(), self._clock.monotonic()
        if not attempt.secrets:
            return AttemptOutcome(at, 0, problem="secret_broken")
        headers = {
            "Content-Type": "application/json",
            **sign(attempt.secrets, message_id=attempt.message_id, timestamp=at, body=attempt.body),
        }
        answer, problem = None, None
        try:
            answer = await post(
                self._http,
                attempt.url,
                body=attempt.body,
                headers=headers,
                seconds=ATTEMPT_SECONDS,
                most_bytes=_KEPT_BYTES,
            )
        except CallFailed as failure:
            problem = failure.problem
        seconds = self._clock.monotonic() - begun
        self._metrics.monitor_delivery_seconds.observe(seconds)
        latency_ms = round(seconds * 1000)
        if answer is None:
            return AttemptOutcome(at, latency_ms, problem=problem)
        return AttemptOutcome(
            at,
            latency_ms,
            status=answer.status,
            answer=_without(attempt.text, _readable(answer.beginning)),
            retry_after=retry_after_seconds(answer.headers.get("Retry-After"), now=at),
        )

    async def record(self, attempt: Attempt, outcome: AttemptOutcome) -> None:
        """Store the outcome, and what follows from it for the delivery and for its endpoint.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached; the claim lapses by itself.
        """
        now = self._clock.now()
        async with self._database.tenant(attempt.tenant_id) as session:
            # Before its delivery, as everybody does who needs both: none waits in a circle.
            await self._endpoints.find(session, attempt.endpoint_id, is_locked=True)
            if not await self._settle(session, attempt, outcome, now):
                # Somebody else makes attempts of it, because this one seemed to be dead.
                return
            forgotten = await self._bodies.is_forgotten(session, attempt.learner_id)
            await self._deliveries.add_attempt(
                session,
                attempt.delivery_id,
                number=attempt.number,
                at=outcome.at,
                status=outcome.status,
                latency_ms=outcome.latency_ms,
                answer="" if forgotten else outcome.answer,
                problem=outcome.problem,
            )
            if outcome.is_taken:
                await self._endpoints.note_success(session, attempt.endpoint_id)
            else:
                await self._judge(session, attempt, outcome, now)
        self._metrics.monitor_deliveries.labels("taken" if outcome.is_taken else "failed").inc()

    async def _settle(
        self, session: TenantSession, attempt: Attempt, outcome: AttemptOutcome, now: datetime
    ) -> bool:
        values: dict[str, Any] = {"state": "sent", "settled_at": now}
        wait = None
        if not outcome.is_taken:
            wait = pause_seconds(attempt.tries, asked=outcome.retry_after)
            values = {"state": "failed", "settled_at": now}
        if wait is not None:
            values = {"next_at": now + timedelta(seconds=wait)}
        if not await self._deliveries.settle(
            session, attempt.delivery_id, attempt.number, **values
        ):
            return False
        if wait is not None:
            await self._planner.ring(session, attempt.endpoint_id, after_seconds=wait)
        return True

    async def _judge(
        self, session: TenantSession, attempt: Attempt, outcome: AttemptOutcome, now: datetime
    ) -> None:
        """Tell an endpoint nothing more that is gone, or has taken nothing for days."""
        since = await self._endpoints.note_failure(session, attempt.endpoint_id, outcome.at)
        if outcome.status == HTTPStatus.GONE:
            reason = "gone"
        elif since is not None and now - since >= FAILING_FOR:
            reason = "failing"
        else:
            return
        if await self._endpoints.disable(session, attempt.endpoint_id, reason):
            await self._deliveries.fail_pending(session, attempt.endpoint_id, now)
            log.warning("endpoint.disabled", endpoint_id=str(attempt.endpoint_id), reason=reason)

    async def release(self, attempt: Attempt) -> None:
        """Let others make an attempt that was stopped; it counts for nothing.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached; the claim lapses by itself.
        """
        async with self._database.tenant(attempt.tenant_id) as session:
            await self._deliveries.settle(
                session, attempt.delivery_id, attempt.number, tries=attempt.tries - 1
            )
            await self._planner.ring(session, attempt.endpoint_id)


def _readable(answer: bytes) -> str:
    """An answer's beginning as text that can be stored and shown."""
    text = answer.decode("utf-8", "replace")
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _without(text: str, answer: str) -> str:
    """An answer that quotes what it was told, without the quotation: words are kept nowhere else.

    One that was cut within the quotation is found by the beginning of it.
    """
    for said in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        if len(said) < _SHORTEST_ECHO:
            continue
        answer = answer.replace(said, "…")
        if (start := answer.find(said[:_SHORTEST_ECHO])) >= 0 and said.startswith(answer[start:]):
            answer = answer[:start] + "…"
    return answer
