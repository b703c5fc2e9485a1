"""Settles the outbox of a conversation, in order, under its lease.

``sending`` is committed before the platform is called, so a crash leaves a trace of the call. The
attempt's number fences its outcome. What may have been accepted is never blindly sent again:
either the platform shows a repeated reply once, or the reply is ``unknown`` and a person decides.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import SystemRandom

import structlog

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    Citation,
    CredentialsRejected,
    RateLimited,
    RecipientUnreachable,
    Reply,
    ReplyRejected,
)
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, DatabaseUnavailable, TenantSession
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import ReplyId
from coachline.foundation.metrics import Metrics
from coachline.foundation.tasks import finish
from coachline.messaging.connections import Connections, LiveConnection
from coachline.messaging.repository import ConversationRepository, OutboxRepository
from coachline.messaging.tables import ConversationRow, ReplyRow
from coachline.messaging.turns import Lease, SendOutcome

_SEND_SECONDS = 20.0
_BACKOFF_CAP_SECONDS = 300.0
_DISABLED_RETRY_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 24 * 3600.0
_RECORD_PAUSE_SECONDS = 0.2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """When a reply is given up: only after this many failures *and* this age.

    ``lease_seconds`` is what marking a reply renews the lease by; ``margin_seconds`` of it must be
    left when the platform is called.
    """

    max_failures: int = 8
    max_age_seconds: float = 3600.0
    lease_seconds: float = 30.0
    margin_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    id: ReplyId
    number: int
    failures: int
    reply: Reply


class Delivery:
    """Sends pending replies."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        clock: Clock,
        metrics: Metrics,
        rules: DeliveryRules,
    ) -> None:
        self._database = database
        self._connections = connections
        self._clock = clock
        self._metrics = metrics
        self._rules = rules
        self._conversations = ConversationRepository()
        self._outbox = OutboxRepository()
        self._random = SystemRandom()

    async def settle(self, lease: Lease) -> bool:
        """Send what is due, oldest first, until the outbox is settled or must wait.

        Returns:
            Whether everything is settled; if not, a later bell goes on.

        Raises:
            LeaseLost: somebody else has the conversation.
        """
        while True:
            live = await self._connections.live(lease.tenant_id, lease.connection_id)
            attempt = await self._begin(lease, live)
            if not isinstance(attempt, _Attempt):
                return attempt
            outcome = await self._send(attempt, lease, live)
            self._metrics.replies.labels(live.channel.name, outcome.state).inc()
            await finish(self._record(lease, attempt, outcome))
            if outcome.state == "pending":
                return False

    async def _record(self, lease: Lease, attempt: _Attempt, outcome: SendOutcome) -> None:
        """Keep what became of an attempt; what is not kept is unclear for ever.

        Raises:
            LeaseLost: another process decided this reply.
            DatabaseUnavailable: PostgreSQL stayed away for as long as the lease could last.
        """
        while True:
            try:
                async with self._database.tenant(lease.tenant_id) as session:
                    if await self._outbox.decide(session, attempt.id, attempt.number, outcome):
                        return
                raise LeaseLost("Another process decided this reply.")
            except DatabaseUnavailable:
                if self._clock.monotonic() + _RECORD_PAUSE_SECONDS >= lease.deadline:
                    raise
                await asyncio.sleep(_RECORD_PAUSE_SECONDS)

    async def _begin(self, lease: Lease, live: LiveConnection) -> _Attempt | bool:
        """Commit ``sending`` for the next reply; True: nothing is left, False: not yet due."""
        before = self._clock.monotonic()
        async with self._database.tenant(lease.tenant_id) as session:
            row = await self._conversations.lock(session, lease.conversation_id)
            if row is None or row.epoch != lease.epoch or row.state != "running":
                raise LeaseLost("Another process has this conversation.")
            head = await self._find_open(session, lease, live)
            if head is None:
                return True
            now = await self._conversations.now(session)
            if head.not_before is not None and head.not_before > now:
                return False
            number = await self._outbox.mark_sending(session, ReplyId(head.id))
            if number is None:
                return False
            if live.state != "active":
                outcome = self._later(head.failures, "disabled connection", _DISABLED_RETRY_SECONDS)
                await self._outbox.decide(session, ReplyId(head.id), number, outcome)
                return False
            await self._conversations.renew(
                session, lease.conversation_id, lease.epoch, self._rules.lease_seconds
            )
        lease.deadline = before + self._rules.lease_seconds
        return _Attempt(ReplyId(head.id), number, head.failures, _render(row, head, number))

    async def _find_open(
        self, session: TenantSession, lease: Lease, live: LiveConnection
    ) -> ReplyRow | None:
        """The oldest reply that may be sent; those that may not be are settled on the way."""
        while (head := await self._outbox.find_head(session, lease.conversation_id)) is not None:
            now = await self._conversations.now(session)
            age_seconds = (now - head.created_at).total_seconds()
            if head.state == "sending" and not live.channel.capabilities.idempotent_send:
                state, problem = "unknown", "the process ended during the call"
            elif (
                head.failures >= self._rules.max_failures
                and age_seconds >= self._rules.max_age_seconds
            ):
                state, problem = "dead", f"given up: {head.problem or 'no reason kept'}"
            else:
                return head
            log.error("reply.settled_unsent", reply_id=str(head.id), state=state)
            self._metrics.replies.labels(live.channel.name, state).inc()
            await self._outbox.give_up(session, ReplyId(head.id), state=state, problem=problem)
        return None

    async def _send(self, attempt: _Attempt, lease: Lease, live: LiveConnection) -> SendOutcome:
        # The deadline was counted from before the lease was renewed: a process that was frozen
        # since then sees here that it is too late, and its call is never made.
        left = lease.deadline - self._clock.monotonic() - self._rules.margin_seconds
        if left <= 0:
            raise LeaseLost("The lease ended before the reply was sent.")
        try:
            async with asyncio.timeout(min(_SEND_SECONDS, left)):
                receipt = await live.channel.send(attempt.reply)
        except ChannelError as error:
            return await self._judge(attempt, lease, live, error)
        except TimeoutError:
            return self._ambiguous(attempt, live, "the platform did not answer in time")
        except Exception as error:
            # A channel that raises anything else is broken; what it did is not known.
            log.exception("channel.broken", channel=live.channel.name, reply_id=str(attempt.id))
            return self._ambiguous(attempt, live, f"the channel raised {type(error).__name__}")
        return SendOutcome("sent", attempt.failures, receipt=receipt)

    async def _judge(
        self, attempt: _Attempt, lease: Lease, live: LiveConnection, error: ChannelError
    ) -> SendOutcome:
        problem = str(error)
        match error:
            case RateLimited():
                # What a platform says may be anything, even no number.
                wait = error.retry_after if error.retry_after > 0 else self._backoff(attempt)
                wait = min(wait, _LONGEST_WAIT_SECONDS)
                return SendOutcome("pending", attempt.failures, problem, wait)
            case ChannelUnavailable():
                return self._later(attempt.failures, problem, self._backoff(attempt))
            case ReplyRejected() | RecipientUnreachable():
                return SendOutcome("dead", attempt.failures, problem)
            case CredentialsRejected():
                await self._connections.set_state(
                    lease.tenant_id, live.id, "disabled", actor="gateway", problem=problem[:500]
                )
                return self._later(attempt.failures, problem, _DISABLED_RETRY_SECONDS)
            case _:
                return self._ambiguous(attempt, live, problem or type(error).__name__)

    def _ambiguous(self, attempt: _Attempt, live: LiveConnection, problem: str) -> SendOutcome:
        if live.channel.capabilities.idempotent_send:
            return self._later(attempt.failures, problem, self._backoff(attempt))
        return SendOutcome("unknown", attempt.failures, problem)

    @staticmethod
    def _later(failures: int, problem: str, seconds: float) -> SendOutcome:
        return SendOutcome("pending", failures + 1, problem, seconds)

    def _backoff(self, attempt: _Attempt) -> float:
        return min(_BACKOFF_CAP_SECONDS, 2.0**attempt.failures) * self._random.uniform(0.5, 1.0)


def _render(row: ConversationRow, head: ReplyRow, attempt: int) -> Reply:
    return Reply(
        id=str(head.id),
        thread=row.thread,
        text=head.text,
        in_reply_to=tuple(head.in_reply_to),
        citations=tuple(Citation.model_validate(item) for item in head.citations),
        part=head.part,
        parts=head.parts,
        attempt=attempt,
    )
