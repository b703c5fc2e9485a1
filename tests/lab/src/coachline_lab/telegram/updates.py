"""How updates get to a bot: one queue per chat to its webhook, or a long poll."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from coachline_lab.delivery import Delivered, InboundFaults, Outbound, retry_after_of
from coachline_lab.telegram.refusals import conflict
from coachline_lab.telegram.world import Bot, Pending, Webhook

LONG_POLL_SECONDS: Final = 50
MOST_UPDATES: Final = 100
LIFE_SECONDS: Final = 24 * 3600
GONE_SECONDS: Final = 23 * 3600
MOST_RETRY_AFTER: Final = 3600.0

Execute = Callable[[Bot, dict[str, Any]], Awaitable[None]]
"""Does what a method in a webhook's answer says."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver an update. ``at`` is the loop's clock; ``status`` 0: no answer."""

    account: str
    update_id: int
    number: int
    status: int
    at: float


class Updates:
    """Keeps every bot's updates until they are confirmed.

    Args:
        time_scale: what the platform's waits between attempts are multiplied with.
        execute: does what a method in a webhook's answer says.
    """

    def __init__(self, outbound: Outbound, time_scale: float, execute: Execute) -> None:
        self.faults = InboundFaults()
        self.attempts: list[Attempt] = []
        self.time_scale = time_scale
        self._outbound = outbound
        self._execute = execute
        self._lanes: dict[tuple[int, str], deque[Pending]] = {}
        self._slots: dict[int, asyncio.Semaphore] = {}
        self._random = random.Random(0)

    def emit(self, bot: Bot, kind: str, payload: dict[str, Any], *, lane: str) -> int | None:
        """Make an update and let it go its way; its id, or None where the bot wants none."""
        if not bot.takes(kind):
            return None
        number = bot.next_update
        bot.next_update += 1
        pending = Pending({"update_id": number, kind: payload}, lane, time.monotonic())
        bot.pending[number] = pending
        self._queue(bot, pending)
        bot.more.set()
        return number

    def redeliver(self, bot: Bot, count: int) -> None:
        """Deliver the last ``count`` updates that were taken once more, as they were."""
        for pending in list(bot.recent)[-count:]:
            bot.pending[pending.id] = pending
            if bot.webhook is not None:
                self._outbound.spawn(self._deliver(bot, bot.webhook, pending))
        bot.pending = dict(sorted(bot.pending.items()))
        bot.more.set()

    def set_webhook(self, bot: Bot, webhook: Webhook | None) -> None:
        """Send updates to this address, those that wait too; None keeps them for polls."""
        self._terminate_poll(bot)
        bot.webhook = webhook
        bot.gone_since = None
        if webhook is None:
            return
        self._slots[bot.id] = asyncio.Semaphore(webhook.max_connections)
        # Queues to the address before end by themselves; their updates begin anew here.
        self._lanes = {lane: queue for lane, queue in self._lanes.items() if lane[0] != bot.id}
        for pending in bot.pending.values():
            self._queue(bot, pending)

    async def poll(self, bot: Bot, offset: int, limit: int, seconds: int) -> list[dict[str, Any]]:
        """Confirm what is below ``offset`` and return what there is, or what comes in time.

        Raises:
            Refusal: a webhook is set, or another poll of this bot began.
        """
        self._refuse_beside_webhook(bot)
        self._terminate_poll(bot)
        turn = bot.poller
        _confirm(bot, offset)
        deadline = time.monotonic() + min(max(seconds, 0), LONG_POLL_SECONDS)
        while not bot.pending and (left := deadline - time.monotonic()) > 0:
            bot.more.clear()
            try:
                async with asyncio.timeout(left):
                    await bot.more.wait()
            except TimeoutError:
                break
            if turn != bot.poller:
                raise conflict(
                    "terminated by setWebhook request"
                    if bot.webhook
                    else "terminated by other getUpdates request; "
                    "make sure that only one bot instance is running"
                )
        return self._batch(bot, limit)

    def _batch(self, bot: Bot, limit: int) -> list[dict[str, Any]]:
        wanted = min(max(limit, 1), MOST_UPDATES)
        found: list[dict[str, Any]] = []
        for pending in bot.pending.values():
            if len(found) >= wanted:
                break
            found.append(pending.update)
        return found

    def _terminate_poll(self, bot: Bot) -> None:
        bot.poller += 1
        bot.more.set()

    def _refuse_beside_webhook(self, bot: Bot) -> None:
        if bot.webhook is not None:
            raise conflict(
                "can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first"
            )

    # --- to the webhook

    def _queue(self, bot: Bot, pending: Pending) -> None:
        if bot.webhook is None:
            return
        held = self.faults.held_seconds()
        if held:
            self._outbound.spawn(self._deliver_late(bot, bot.webhook, pending, held))
            return
        lane = (bot.id, pending.lane)
        waiting = self._lanes.get(lane)
        if waiting is not None:
            waiting.append(pending)
            return
        self._lanes[lane] = deque([pending])
        self._outbound.spawn(self._drain(bot, bot.webhook, lane))

    async def _drain(self, bot: Bot, webhook: Webhook, lane: tuple[int, str]) -> None:
        """Deliver one chat's updates in order, one in flight, until none is left."""
        waiting = self._lanes[lane]
        try:
            while waiting and bot.webhook is webhook:
                await self._deliver(bot, webhook, waiting[0])
                waiting.popleft()
        finally:
            if self._lanes.get(lane) is waiting:
                del self._lanes[lane]

    async def _deliver_late(
        self, bot: Bot, webhook: Webhook, pending: Pending, held: float
    ) -> None:
        await asyncio.sleep(held)
        await self._deliver(bot, webhook, pending)

    async def _deliver(self, bot: Bot, webhook: Webhook, pending: Pending) -> None:
        """Try until it is taken, too old, or the webhook is another one."""
        number = 0
        while bot.webhook is webhook:
            number += 1
            answer = await self._attempt(bot, webhook, pending, number)
            if answer.is_taken:
                await self._taken(bot, webhook, pending, answer)
                return
            self._note_failure(bot, answer)
            wait = self._wait_seconds(number, answer)
            if self._age(pending) + wait > LIFE_SECONDS or bot.webhook is None:
                break
            await asyncio.sleep(wait * self.time_scale)
        if bot.webhook is webhook:
            bot.pending.pop(pending.id, None)

    async def _attempt(
        self, bot: Bot, webhook: Webhook, pending: Pending, number: int
    ) -> Delivered:
        if number == 1 and self.faults.is_lost():
            answer = Delivered(0, problem="Connection reset by peer")
        else:
            async with self._slots[bot.id]:
                answer = await self._post(webhook, pending)
        at = asyncio.get_running_loop().time()
        self.attempts.append(Attempt(bot.account, pending.id, number, answer.status, at))
        return answer

    async def _post(self, webhook: Webhook, pending: Pending) -> Delivered:
        headers = {"Content-Type": "application/json"}
        if webhook.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook.secret
        body = json.dumps(pending.update, separators=(",", ":")).encode()
        return await self._outbound.post(webhook.url, body, headers)

    async def _taken(self, bot: Bot, webhook: Webhook, pending: Pending, answer: Delivered) -> None:
        bot.gone_since = None
        bot.recent.append(pending)
        bot.pending.pop(pending.id, None)
        call = _method_in(answer.body)
        if call is not None:
            await self._execute(bot, call)
        if self.faults.is_doubled():
            await self._post(webhook, pending)

    def _note_failure(self, bot: Bot, answer: Delivered) -> None:
        problem = answer.problem or f"Wrong response from the webhook: {answer.status}"
        bot.last_error = (int(time.time()), problem)
        if answer.status != 410:
            bot.gone_since = None
        elif bot.gone_since is None:
            bot.gone_since = time.monotonic()
        elif self._platform_seconds(bot.gone_since) > GONE_SECONDS:
            bot.webhook = None

    def _wait_seconds(self, failures: int, answer: Delivered) -> float:
        told = retry_after_of(answer.headers, MOST_RETRY_AFTER)
        if told is not None:
            return told
        if failures == 1:
            return 0.0
        return min(2.0 ** (failures - 1), self._random.uniform(60, 120))

    def _age(self, pending: Pending) -> float:
        return self._platform_seconds(pending.since)

    def _platform_seconds(self, since: float) -> float:
        """How long ago ``since`` is in the platform's own, unscaled time."""
        return (time.monotonic() - since) / max(self.time_scale, 1e-9)


def _confirm(bot: Bot, offset: int) -> None:
    """Forget what is below ``offset``; a negative one keeps only that many of the last."""
    if offset < 0:
        kept = list(bot.pending)[offset:]
        offset = kept[0] if kept else bot.next_update
    while bot.pending:
        first = next(iter(bot.pending))
        if first >= offset:
            return
        bot.recent.append(bot.pending.pop(first))


def _method_in(body: bytes) -> dict[str, Any] | None:
    """The call that a webhook's answer asks for; whatever else it says means nothing."""
    try:
        said = json.loads(body) if body.startswith(b"{") else None
    except ValueError:
        return None
    return said if isinstance(said, dict) and "method" in said else None
