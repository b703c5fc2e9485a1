"""Settles the outbox of a conversation, in order, under its lease.

``sending`` is committed before the platform is called, so a crash leaves a trace of the call. The
attempt's number fences its outcome. What may have been accepted is never blindly sent again: it is
shown once by the platform's own means, asked about, or ``unknown`` and a person decides.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog

from channel_kit import Reconciling
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, DatabaseUnavailable, TenantSession
from coachline.foundation.errors import LeaseLost
from coachline.foundation.faults import hit
from coachline.foundation.ids import ConnectionId, ConversationId, LearnerId, ReplyId
from coachline.foundation.metrics import Metrics
from coachline.foundation.tasks import finish
from coachline.learners import Consent
from coachline.messaging.attempts import Attempt, Way, choose_way, make_attempt
from coachline.messaging.connections import Connections
from coachline.messaging.courier import Courier
from coachline.messaging.leftovers import LeftOver, discard
from coachline.messaging.live import LiveConnection
from coachline.messaging.pace import Pace
from coachline.messaging.repository import ConversationRepository, OutboxRepository
from coachline.messaging.tables import ConversationRow, ReplyRow
from coachline.messaging.turns import Lease, SendOutcome

_DISABLED_RETRY_SECONDS = 60.0
_RECORD_PAUSE_SECONDS = 0.2
_UNSETTLED = ("pending", "sending")

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


class Delivery:
    """Sends pending replies."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        consent: Consent,
        pace: Pace,
        clock: Clock,
        metrics: Metrics,
        rules: DeliveryRules,
    ) -> None:
        self._database = database
        self._connections = connections
        self._consent = consent
        self._clock = clock
        self._metrics = metrics
        self._rules = rules
        self._courier = Courier(database, pace, clock, metrics, margin_seconds=rules.margin_seconds)
        self._conversations = ConversationRepository()
        self._outbox = OutboxRepository()

    async def settle(self, lease: Lease) -> bool:
        """Send what is due, oldest first, until the outbox is settled or must wait.

        Returns:
            Whether a turn may begin: everything is settled, but for what nobody asked for and
            whose time has not come. If not, a later bell goes on.

        Raises:
            LeaseLost: somebody else has the conversation.
        """
        left_over: list[LeftOver] = []
        try:
            return await self._settle(lease, left_over)
        finally:
            for message in left_over:
                live = await self._connections.live(lease.tenant_id, lease.connection_id)
                await discard(live.channel, message.handle, message.thread)

    async def _settle(self, lease: Lease, left_over: list[LeftOver]) -> bool:
        while True:
            live = await self._connections.live(lease.tenant_id, lease.connection_id)
            # Not committed, they are not given up: an answer may be written into their message.
            given_up: list[LeftOver] = []
            attempt = await self._begin(lease, live, given_up)
            left_over += given_up
            if not isinstance(attempt, Attempt):
                return attempt
            outcome = await self._courier.carry(attempt, lease, live)
            self._metrics.replies.labels(live.channel.name, outcome.state).inc()
            is_settled = await finish(self._record(lease, attempt, outcome))
            if outcome.is_refused:
                await self._connections.refuse(live, outcome.problem or "")
            if is_settled:
                return True
            if outcome.state in _UNSETTLED and outcome.wait_seconds > 0:
                return attempt.lane == "broadcast"

    async def _record(self, lease: Lease, attempt: Attempt, outcome: SendOutcome) -> bool:
        """Keep what became of an attempt; what is not kept is unclear for ever.

        Returns:
            Whether no reply is left.

        Raises:
            LeaseLost: another process decided this reply.
            DatabaseUnavailable: PostgreSQL stayed away for as long as the lease could last.
        """
        while True:
            try:
                async with self._database.tenant(lease.tenant_id) as session:
                    if not await self._outbox.decide(session, attempt.id, attempt.number, outcome):
                        raise LeaseLost("Another process decided this reply.")
                    if outcome.is_unreachable:
                        await self._withdraw(session, lease, attempt, outcome)
                    head = await self._outbox.find_head(session, lease.conversation_id)
                    hit("reply:recording")
                hit("reply:recorded")
                return head is None
            except DatabaseUnavailable:
                if self._clock.monotonic() + _RECORD_PAUSE_SECONDS >= lease.deadline:
                    raise
                await asyncio.sleep(_RECORD_PAUSE_SECONDS)

    async def _withdraw(
        self, session: TenantSession, lease: Lease, attempt: Attempt, outcome: SendOutcome
    ) -> None:
        await self._consent.record(
            session,
            attempt.learner_id,
            lease.connection_id,
            "withdrawn",
            source="platform",
            reason=outcome.problem,
        )

    async def _begin(
        self, lease: Lease, live: LiveConnection, left_over: list[LeftOver]
    ) -> Attempt | bool:
        """Commit ``sending`` for the next reply; True: a turn may begin, False: not yet due."""
        before = self._clock.monotonic()
        async with self._database.tenant(lease.tenant_id) as session:
            row = await self._conversations.lock(session, lease.conversation_id)
            if row is None or row.epoch != lease.epoch or row.state != "running":
                raise LeaseLost("Another process has this conversation.")
            found = await self._find_open(session, row, live, left_over)
            if found is None:
                return True
            head, now = found
            if head.not_before is not None and head.not_before > now:
                return head.lane == "broadcast"
            way, since = _choose_way(head, live), head.sending_at or now
            if way is None or await self._must_wait(session, head, way, live):
                return head.lane == "broadcast"
            number = await self._outbox.mark_sending(
                session, ReplyId(head.id), is_question=way is Way.FIND
            )
            if number is None:
                return False
            await self._conversations.renew(
                session, lease.conversation_id, lease.epoch, self._rules.lease_seconds
            )
            hit("reply:marking")
        hit("reply:marked")
        lease.deadline = before + self._rules.lease_seconds
        return make_attempt(row, head, number, way, since=since, now=now)

    async def _must_wait(
        self, session: TenantSession, head: ReplyRow, way: Way, live: LiveConnection
    ) -> bool:
        """Put off what cannot be called for now, without touching what is in doubt about it."""
        channel = live.channel
        if way is Way.FIND and head.not_before is None and isinstance(channel, Reconciling):
            seconds, problem = channel.reconcile_seconds, "the process ended during the call"
        elif live.state != "active":
            seconds, problem = _DISABLED_RETRY_SECONDS, "disabled connection"
        else:
            return False
        await self._outbox.postpone(
            session,
            ReplyId(head.id),
            seconds=seconds,
            problem=problem,
            is_failure=live.state != "active",
        )
        return True

    async def _find_open(
        self,
        session: TenantSession,
        row: ConversationRow,
        live: LiveConnection,
        left_over: list[LeftOver],
    ) -> tuple[ReplyRow, datetime] | None:
        """The oldest reply that may be sent, and the time of this look.

        Those that may not be sent are settled on the way; what shows only the beginning of one is
        ``left_over``.
        """
        while (head := await self._outbox.find_head(session, ConversationId(row.id))) is not None:
            now = await self._conversations.now(session)
            verdict = await self._find_verdict(session, row, head, live, now)
            if verdict is None:
                return head, now
            state, problem = verdict
            if state not in ("suppressed", "dropped"):
                log.error("reply.settled_unsent", reply_id=str(head.id), state=state)
            self._metrics.replies.labels(live.channel.name, state).inc()
            if state == "dropped" and head.handle is not None:
                left_over.append(LeftOver(head.handle, row.thread))
            await self._outbox.give_up(session, ReplyId(head.id), state=state, problem=problem)
        return None

    async def _find_verdict(
        self,
        session: TenantSession,
        row: ConversationRow,
        head: ReplyRow,
        live: LiveConnection,
        now: datetime,
    ) -> tuple[str, str] | None:
        """The state, and why, of a reply that is not sent any more; None for all others."""
        if head.state == "pending" and is_fenced_out(row, head):
            return "dropped", "a coach took over" if row.takeover_id else "the bot is held"
        way, reason = _choose_way(head, live), head.problem or "no reason kept"
        if way is None:
            return "unknown", "the process ended during the call"
        age_seconds = (now - head.created_at).total_seconds()
        has_failed = head.failures >= self._rules.max_failures
        if has_failed and age_seconds >= self._rules.max_age_seconds:
            is_doubtful = way is Way.FIND
            return ("unknown", reason) if is_doubtful else ("dead", f"given up: {reason}")
        if head.lane == "broadcast" and head.state == "pending":
            # Asked when it could go, not when it was written: they may have changed their mind.
            standing = await self._consent.standing(
                session, LearnerId(row.learner_id), ConnectionId(row.connection_id)
            )
            if not standing.is_allowed:
                return "suppressed", standing.reason or "the learner does not want it"
        return None


def is_fenced_out(row: ConversationRow, head: ReplyRow) -> bool:
    """Whether a reply is an answer of the bot's own, in a conversation where it may say nothing.

    What a person wrote or approved, what the gateway says itself and what was planned may go.
    """
    is_answer = head.author == "bot" and head.actor is None and not head.is_notice
    is_held = row.takeover_id is not None or row.is_bot_held
    return is_held and is_answer and head.lane == "conversation"


def _choose_way(head: ReplyRow, live: LiveConnection) -> Way | None:
    return choose_way(live.channel, head.handle, is_doubtful=head.state == "sending")
