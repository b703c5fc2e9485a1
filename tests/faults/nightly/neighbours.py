"""Row 26: one tenant sends a hundred times as much as the other, who must hardly notice.

Three places where one could wait for the other, each with its own bottleneck: the acknowledgement,
the model's slots, and a platform that is slow. Quiet and loud rounds alternate, so that what the
machine does beside meets both.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final

from benchmarks.load import percentiles
from benchmarks.stand import Stand, Target, open_stand
from channel_kit.signing import generate_secret
from faults.findings import Figures, Finding, Run, Scale
from fixtures.waiting import until
from lab.callback_receiver import Answer, CallbackReceiver

_ROUNDS: Final[dict[Scale, int]] = {"pull-request": 1, "nightly": 4, "release": 12}
_ROUND_SECONDS: Final[dict[Scale, float]] = {"pull-request": 2.0, "nightly": 6.0, "release": 20.0}
_SHARE: Final = 100
"""How much more the loud one sends."""
_MOST_SLOWER: Final = 1.5
_QUIET_RATE: Final = 2.0
"""Messages a second of the quiet tenant; the loud one's are `_SHARE` times as many."""
_SLOTS: Final = 2
_TOKEN_SECONDS: Final = "0.03"
_SLOW_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 90.0
_ANSWERS: Final = """
select event.id, event.created_at as asked, reply.id as reply, reply.sent_at as sent
from inbox_event event join turn on turn.id = event.turn_id
join outbox_reply reply on reply.turn_id = turn.id and reply.part = 1
where event.tenant_id = $1 and event.created_at >= $2
"""
_OPEN: Final = """
select count(*) from inbox_event event where event.tenant_id = $1 and event.created_at >= $2
and (event.state = 'new' or exists (select from outbox_reply reply
  where reply.tenant_id = event.tenant_id and reply.turn_id = event.turn_id
  and reply.state in ('pending', 'sending')))
"""

_FORGET: Final = """
update outbox_reply set state = 'dead' where state in ('pending', 'sending')
"""

Measure = Callable[[], Awaitable[list[float]]]
"""One round of the quiet tenant: the milliseconds of each of its messages."""


@dataclass(frozen=True)
class _Sides:
    """The quiet tenant's p95 of every round, in milliseconds."""

    quiet: list[float]
    loud: list[float]

    @property
    def ratio(self) -> float:
        """How much slower the median loud round was than the median quiet one."""
        return median(self.loud) / median(self.quiet)

    def figures(self, name: str) -> Figures:
        """With the spread over the rounds."""
        return {
            f"{name}_quiet_p95_ms": round(median(self.quiet), 1),
            f"{name}_quiet_p95_least_ms": round(min(self.quiet), 1),
            f"{name}_quiet_p95_most_ms": round(max(self.quiet), 1),
            f"{name}_loud_p95_ms": round(median(self.loud), 1),
            f"{name}_loud_p95_least_ms": round(min(self.loud), 1),
            f"{name}_loud_p95_most_ms": round(max(self.loud), 1),
            f"{name}_ratio": round(self.ratio, 2),
        }


@dataclass
class _Street:
    """Where the quiet one lives, and what is measured there."""

    stand: Stand
    quiet: Target
    seconds: float

    async def send(self, to: Target, rate: float) -> dict[str, float]:
        """Have messages posted for a round; percentiles of the milliseconds to the 200."""
        found = await self.stand.load(
            targets=[[to.inbound_url, to.secret]],
            prefix=uuid.uuid4().hex,
            sender_prefix=uuid.uuid4().hex,
            senders=10**6,
            rate=rate,
            seconds=self.seconds,
            connections=32,
        )
        milliseconds: dict[str, float] = found["milliseconds"]
        return milliseconds

    async def acknowledge(self) -> list[float]:
        """A round at intake: what the 200s took."""
        found = await self.send(self.quiet, _QUIET_RATE * 5)
        return [found["p95"]]

    async def answer(self) -> list[float]:
        """A round of whole turns: from stored to sent."""
        tenant, since = uuid.UUID(self.quiet.tenant_id), await self._now()
        await self.send(self.quiet, _QUIET_RATE)

        async def is_done() -> bool:
            return not await self.stand.admin.fetchval(_OPEN, tenant, since)

        await until(is_done, seconds=_GRACE_SECONDS)
        rows = await self.stand.admin.fetch(_ANSWERS, tenant, since)
        return [(row["sent"] - row["asked"]).total_seconds() * 1000 for row in rows if row["sent"]]

    async def _now(self) -> datetime:
        now: datetime = await self.stand.admin.fetchval("select clock_timestamp()")
        return now

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker that has answered once: its first turns are slower."""
        process = await self.stand.gateway.work()
        await self.answer()
        try:
            yield
        finally:
            process.kill()
            await process.process.wait()

    @asynccontextmanager
    async def noise(self, to: Target, share: float) -> AsyncIterator[None]:
        """The loud one sends meanwhile, without a pause between rounds."""

        async def shout() -> None:
            while True:
                await self.send(to, share)

        shouting = asyncio.create_task(shout())
        try:
            yield
        finally:
            shouting.cancel()
            await asyncio.gather(shouting, return_exceptions=True)


async def check_neighbours(run: Run) -> Finding:
    """At intake, at the model and at the outbox, one after the other."""
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(CallbackReceiver(slow_seconds=_SLOW_SECONDS))
        slow.share({Answer.SLOW: 1.0})
        stand = await stack.enter_async_context(
            open_stand(
                2,
                model=("--delay-seconds", _TOKEN_SECONDS),
                model_concurrency=str(_SLOTS),
                api_requests_per_minute="1000000",
            )
        )
        quiet, shouter = stand.targets
        street = _Street(stand, quiet, _ROUND_SECONDS[run.scale])
        slow_one = await _connect_slow(stand, slow)
        loud = _QUIET_RATE * _SHARE
        rounds = _ROUNDS[run.scale]
        run.say("neighbours: at intake")
        sides = {"intake": await _compare(street, street.acknowledge, shouter, loud * 5, rounds)}
        for name, to in (("model", shouter), ("outbox", slow_one)):
            run.say(f"neighbours: at the {name}")
            sides[name] = await _compare(street, street.answer, to, loud, rounds)
    return _find(sides, run)


async def _connect_slow(stand: Stand, receiver: CallbackReceiver) -> Target:
    """A third tenant, who sends to a platform that takes seconds for each message."""
    secret = generate_secret()
    receiver.trust(secret, path="/slow")
    made = await stand.gateway.ask("tenant", "create", f"slow-{uuid.uuid4().hex}")
    wanted = {
        "channel": "webhook",
        "name": "slow",
        "config": {"callback_url": f"{receiver.url}/slow", "secrets": [secret]},
    }
    headers = {"Authorization": f"Bearer {made['api_key']}"}
    address = f"{stand.gateway.url}/api/v1/connections"
    async with stand.gateway.http.post(address, json=wanted, headers=headers) as answer:
        answer.raise_for_status()
        found = await answer.json()
    return Target(
        *(made["name"], made["tenant_id"]),
        *(found["id"], found["inbound_url"], secret, made["api_key"]),
    )


async def _compare(
    street: _Street, measure: Measure, noise: Target, rate: float, rounds: int
) -> _Sides:
    sides = _Sides([], [])
    for _ in range(rounds):
        async with street.worker():
            sides.quiet.append(_p95(await measure()))
            async with street.noise(noise, rate):
                # The noise has to be there before anybody listens through it.
                await asyncio.sleep(1.0)
                sides.loud.append(_p95(await measure()))
        # What the loud one left is nobody's work in the next round.
        await street.stand.admin.execute(_FORGET)
        await street.stand.settle()
    return sides


def _p95(values: Sequence[float]) -> float:
    return percentiles(list(values))["p95"]


def _find(sides: dict[str, _Sides], run: Run) -> Finding:
    figures: Figures = {"share": _SHARE, "rounds": _ROUNDS[run.scale]}
    for name, side in sides.items():
        figures |= side.figures(name)
    # A round of two seconds says that this works, and nothing of speed.
    slower = {} if run.scale == "pull-request" else sides
    problems = [
        f"{name}: {side.ratio:.2f} times as slow"
        for name, side in slower.items()
        if side.ratio > _MOST_SLOWER
    ]
    return Finding(26, "neighbours", figures, not problems, "; ".join(problems))
