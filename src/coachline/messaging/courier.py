"""Makes the platform's calls for one attempt and judges how they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from random import SystemRandom
from typing import TypeVar

import structlog

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    Filling,
    Paced,
    Placeholder,
    RateLimited,
    Receipt,
    RecipientUnreachable,
    Reconciling,
    Reply,
    ReplyRejected,
    ThreadMoved,
)
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.errors import LeaseLost
from coachline.foundation.exhaustion import is_exhausted
from coachline.foundation.faults import hit
from coachline.foundation.metrics import Metrics
from coachline.messaging.attempts import Attempt, Way, choose_way
from coachline.messaging.leftovers import discard
from coachline.messaging.live import LiveConnection
from coachline.messaging.pace import Pace
from coachline.messaging.repository import ConversationRepository, OutboxRepository
from coachline.messaging.turns import Lease, SendOutcome

_CALL_SECONDS = 20.0
_BACKOFF_CAP_SECONDS = 300.0
# Of a receiver that refuses everything and each time says "in a second".
_PATIENCE_CAP_SECONDS = 30.0
# Powers of two beyond this are only longer than every cap.
_MOST_DOUBLINGS = 10
_REFUSED_RETRY_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 24 * 3600.0
_KEEP_PAUSE_SECONDS = 0.2

_Result = TypeVar("_Result")

log = structlog.get_logger()


class Courier:
    """Carries out attempts, whatever the platform needs for it.

    Args:
        margin_seconds: of the lease, must be left when the platform is called.
    """

    def __init__(
        self,
        database: Database,
        pace: Pace,
        clock: Clock,
        metrics: Metrics,
        *,
        margin_seconds: float,
    ) -> None:
        self._database = database
        self._pace = pace
        self._clock = clock
        self._metrics = metrics
        self._margin_seconds = margin_seconds
        self._conversations = ConversationRepository()
        self._outbox = OutboxRepository()
        self._random = SystemRandom()

    async def carry(self, attempt: Attempt, lease: Lease, live: LiveConnection) -> SendOutcome:
        """Make the attempt.

        Raises:
            LeaseLost: the lease ended before a call, or another process has this reply.
            DatabaseUnavailable: PostgreSQL stayed away before the reply was shown.
        """
        if attempt.way is Way.FIND:
            return await self._find(attempt, lease, live)
        if wait := await self._wait_for_pace(attempt, live):
            return SendOutcome("pending", attempt.failures, "waits for the platform's pace", wait)
        try:
            receipt = await self._hand_over(attempt, lease, live)
            hit("reply:accepted")
        except (LeaseLost, DatabaseUnavailable):
            raise
        except ChannelError as error:
            return await self._judge(attempt, lease, live, error)
        except TimeoutError:
            return self._ambiguous(attempt, live, "the platform did not answer in time")
        except Exception as error:
            if is_exhausted(error):
                # As after a crash: a process that has something left finds out what became of it.
                raise
            # A channel that raises anything else is broken; what it did is not known.
            log.exception("channel.broken", channel=live.channel.name, reply_id=str(attempt.id))
            return self._ambiguous(attempt, live, f"the channel raised {type(error).__name__}")
        return SendOutcome("sent", attempt.failures, receipt=receipt)

    async def _wait_for_pace(self, attempt: Attempt, live: LiveConnection) -> float:
        if not isinstance(live.channel, Paced):
            return 0.0
        tolls = live.channel.tolls(attempt.reply)
        wait = await self._pace.draw(live.tenant_id, live.id, tolls, lane=attempt.lane)
        if wait:
            self._metrics.pace_waits.labels(live.channel.name).inc()
        return min(wait, _LONGEST_WAIT_SECONDS)

    async def _hand_over(self, attempt: Attempt, lease: Lease, live: LiveConnection) -> Receipt:
        try:
            return await self._show(attempt, attempt.reply, lease, live)
        except ThreadMoved as moved:
            # Surely not accepted, so the same attempt goes on at the new address.
            await self._move(attempt, lease, moved.thread)
            reply = attempt.reply.model_copy(update={"thread": moved.thread})
            return await self._show(attempt, reply, lease, live)

    async def _show(
        self, attempt: Attempt, reply: Reply, lease: Lease, live: LiveConnection
    ) -> Receipt:
        channel = live.channel
        is_fresh = False
        if attempt.handle is None and isinstance(channel, Placeholder):
            handle = await self._call(lease, channel.reserve(reply))
            hit("reply:reserved")
            await self._keep_handle(attempt, lease, handle)
            hit("reply:kept")
            is_fresh = True
        if attempt.handle is None or not isinstance(channel, Filling):
            return await self._call(lease, channel.send(reply))
        try:
            return await self._call(lease, channel.fill(attempt.handle, reply))
        except ReplyRejected:
            # Another process may have written the reply into it by now.
            self._left_seconds(lease)
            is_gone = await discard(channel, attempt.handle, reply.thread)
            # An older message may be one that can no longer be written into. It is left for a new
            # one only when it surely does not show the reply already.
            if is_fresh or not (is_gone or attempt.number == 1):
                raise
        await self._keep_handle(attempt, lease, None)
        return await self._show(attempt, reply, lease, live)

    async def _call(self, lease: Lease, call: Awaitable[_Result]) -> _Result:
        try:
            left = self._left_seconds(lease)
        except LeaseLost:
            if asyncio.iscoroutine(call):
                call.close()
            raise
        async with asyncio.timeout(min(_CALL_SECONDS, left)):
            return await call

    def _left_seconds(self, lease: Lease) -> float:
        """How long a call may take.

        The deadline was counted from before the lease was renewed: a process that was frozen since
        then sees here that it is too late, and its call is never made.

        Raises:
            LeaseLost: there is no time left.
        """
        left = lease.deadline - self._clock.monotonic() - self._margin_seconds
        if left <= 0:
            raise LeaseLost("The lease ended before the platform was called.")
        return left

    async def _keep_handle(self, attempt: Attempt, lease: Lease, handle: str | None) -> None:
        """Keep where the reply will be, before anything is written there.

        Raises:
            LeaseLost: another process has this reply.
            DatabaseUnavailable: PostgreSQL stayed away for as long as the lease could last.
        """
        while True:
            try:
                async with self._database.tenant(lease.tenant_id) as session:
                    kept = await self._outbox.keep_handle(
                        session, attempt.id, attempt.number, handle
                    )
                if not kept:
                    raise LeaseLost("Another process has this reply.")
                attempt.handle = handle
                return
            except DatabaseUnavailable:
                if self._clock.monotonic() + _KEEP_PAUSE_SECONDS >= lease.deadline:
                    raise
                await asyncio.sleep(_KEEP_PAUSE_SECONDS)

    async def _move(self, attempt: Attempt, lease: Lease, thread: str) -> None:
        # A message at the old address is of no use at the new one.
        if attempt.handle is not None:
            await self._keep_handle(attempt, lease, None)
        is_kept = False
        # Not kept, the next reply is told the same; given up here, this one would be in doubt.
        with suppress(DatabaseUnavailable):
            async with self._database.tenant(lease.tenant_id) as session:
                is_kept = await self._conversations.move(
                    session, lease.conversation_id, lease.epoch, thread
                )
        log.info("thread.moved", reply_id=str(attempt.id), is_kept=is_kept)

    async def _find(self, attempt: Attempt, lease: Lease, live: LiveConnection) -> SendOutcome:
        """Ask the platform whether it took the reply; what it cannot tell stays in doubt."""
        channel = live.channel
        if not isinstance(channel, Reconciling):
            raise TypeError(f"{channel.name} cannot be asked")
        label = self._metrics.reconciliations.labels
        try:
            receipt = await self._call(lease, channel.find(attempt.reply, since=attempt.since))
            hit("reply:found")
        except LeaseLost:
            raise
        except Exception as error:
            if is_exhausted(error):
                raise
            label(channel.name, "unclear").inc()
            if not isinstance(error, (ChannelError, TimeoutError)):
                log.exception("channel.broken", channel=channel.name, reply_id=str(attempt.id))
            return self._ask_later(attempt, error)
        if receipt is None:
            label(channel.name, "not taken").inc()
            return SendOutcome("pending", attempt.failures, "the platform did not take it")
        label(channel.name, "taken").inc()
        return SendOutcome("sent", attempt.failures, receipt=receipt)

    def _ask_later(self, attempt: Attempt, error: Exception) -> SendOutcome:
        problem = f"asked in vain: {type(error).__name__}"
        match error:
            case RateLimited():
                wait = self._told_seconds(error, attempt)
                return SendOutcome("sending", attempt.failures, problem, wait)
            case CredentialsRejected():
                wait, is_refused = _REFUSED_RETRY_SECONDS, True
            case _:
                wait, is_refused = self._backoff(attempt), False
        return SendOutcome("sending", attempt.failures + 1, problem, wait, is_refused=is_refused)

    async def _judge(
        self, attempt: Attempt, lease: Lease, live: LiveConnection, error: ChannelError
    ) -> SendOutcome:
        problem = str(error)
        match error:
            case RateLimited():
                wait = self._told_seconds(error, attempt)
                if isinstance(live.channel, Paced):
                    tolls = live.channel.tolls(attempt.reply)
                    await self._pace.hold(lease.tenant_id, live.id, tolls, seconds=wait)
                elif attempt.number > 1:
                    wait = max(wait, self._double(attempt.number - 1, _PATIENCE_CAP_SECONDS))
                return SendOutcome("pending", attempt.failures, problem, wait)
            case ChannelUnavailable() | ThreadMoved():
                return self._later(attempt, problem, self._backoff(attempt))
            case ReplyRejected():
                return SendOutcome("dead", attempt.failures, problem)
            case RecipientUnreachable():
                return SendOutcome("dead", attempt.failures, problem, is_unreachable=True)
            case CredentialsRejected():
                seconds = _REFUSED_RETRY_SECONDS
                failures = attempt.failures + 1
                return SendOutcome("pending", failures, problem, seconds, is_refused=True)
            case _:
                return self._ambiguous(attempt, live, problem or type(error).__name__)

    def _ambiguous(self, attempt: Attempt, live: LiveConnection, problem: str) -> SendOutcome:
        channel = live.channel
        match choose_way(channel, attempt.handle, is_doubtful=True):
            case Way.SEND | Way.FILL:
                return self._later(attempt, problem, self._backoff(attempt))
            case Way.FIND if isinstance(channel, Reconciling):
                wait = max(channel.reconcile_seconds, self._backoff(attempt))
                return SendOutcome("sending", attempt.failures + 1, problem, wait)
            case _:
                return SendOutcome("unknown", attempt.failures, problem)

    @staticmethod
    def _later(attempt: Attempt, problem: str, seconds: float) -> SendOutcome:
        return SendOutcome("pending", attempt.failures + 1, problem, seconds)

    def _told_seconds(self, error: RateLimited, attempt: Attempt) -> float:
        # What a platform says may be anything, even no number.
        wait = error.retry_after if error.retry_after > 0 else self._backoff(attempt)
        return min(wait, _LONGEST_WAIT_SECONDS)

    def _backoff(self, attempt: Attempt) -> float:
        return self._double(attempt.failures, _BACKOFF_CAP_SECONDS)

    def _double(self, times: int, cap_seconds: float) -> float:
        seconds = min(cap_seconds, 2.0 ** min(times, _MOST_DOUBLINGS))
        return seconds * self._random.uniform(0.5, 1.0)
