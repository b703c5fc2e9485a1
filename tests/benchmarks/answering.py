"""What a whole turn costs beside its model: queue, history, prompt, ledger, delivery."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from benchmarks import processes
from benchmarks.load import percentiles
from benchmarks.report import Aim, Report
from benchmarks.stand import Stand
from channel_webhook import WebhookChannel
from fixtures.waiting import until

SETTLE_SECONDS = WebhookChannel.capabilities.settle_seconds
_WORKER_MB = 150
_TURNS = """
select turn.id, (turn.trace->'timings'->>'model')::float as model, turn.created_at as begun,
  max(event.created_at) as last, reply.id as reply
from turn join inbox_event event on event.turn_id = turn.id
join outbox_reply reply on reply.turn_id = turn.id and reply.part = 1
where turn.created_at >= $1 and turn.outcome = 'answered'
group by turn.id, turn.trace, turn.created_at, reply.id, turn.conversation_id
having $2::text = '' or exists (select 1 from conversation where id = turn.conversation_id
  and thread like $2)
"""
_IS_DONE = """
select not exists (select from inbox_event where state = 'new')
  and not exists (select from outbox_reply where state in ('pending', 'sending'))
  and not exists (select from conversation where state <> 'idle')
"""


@dataclass(frozen=True)
class Turn:
    """Milliseconds of one answered turn, counted from when its settle window ended."""

    until_begun: float
    until_received: float
    model: float

    @property
    def overhead(self) -> float:
        """What was not the model."""
        return self.until_received - self.model


async def measure(stand: Stand, report: Report, *, quick: bool) -> None:
    """Turns at leisure, then as fast as one worker can."""
    report.begin("Whole turns, one worker, instant model")
    await stand.settle()
    worker = await stand.gateway.work()
    idle = processes.resident_mb(worker.process.pid)
    # A new process answers its first turns slower: statements are compiled, connections opened.
    await answer(stand, rate=8.0, seconds=2.0 if quick else 5.0, prefix="warm")
    turns = await answer(stand, rate=3.0, seconds=5.0 if quick else 20.0, prefix="calm")
    report_turns(report, turns)
    await worker.stop()
    backlog = 60 if quick else 600
    await stand.settle()
    since = await _now(stand)
    await stand.load(prefix="pile", count=backlog, senders=10**6, sender_prefix="pile")
    worker = await stand.gateway.work()
    await _wait_sent(stand)
    report.add(f"turns drained of a backlog of {backlog}", "turns/s", await _pace(stand, since))
    report.begin("Memory")
    report.add("coachline work, idle", "MB RSS", idle, aim=Aim("≤", _WORKER_MB))
    busiest = processes.resident_mb(worker.process.pid, peak=True)
    report.add(
        "coachline work, at its most under load", "MB RSS", busiest, aim=Aim("≤", _WORKER_MB)
    )
    server = stand.gateway.running[0].process.pid
    busiest = processes.resident_mb(server, peak=True)
    report.add("coachline serve, at its most under load", "MB RSS", busiest)
    await worker.stop()


def report_turns(report: Report, turns: list[Turn]) -> None:
    """Add the figures of turns that were answered one by one."""
    overhead = percentiles([turn.overhead for turn in turns])
    report.add("settle window before a turn, by design", "ms", SETTLE_SECONDS * 1000)
    report.add("turns measured", "turns", len(turns))
    for share in ("p50", "p95"):
        report.add(
            f"overhead a turn, due until callback received, without the model, {share}",
            "ms",
            overhead[share],
            aim=Aim("≤", 15) if share == "p50" else None,
        )
    for what, values in (
        ("of that: due until begun (queue and claim)", [turn.until_begun for turn in turns]),
        ("beside that: the model's step, client included", [turn.model for turn in turns]),
    ):
        for share in ("p50", "p95"):
            report.add(f"{what}, {share}", "ms", percentiles(values)[share])


async def answer(
    stand: Stand,
    *,
    rate: float,
    seconds: float,
    prefix: str,
    senders: int = 10**6,
    sender_prefix: str = "",
    targets: list[list[str]] | None = None,
) -> list[Turn]:
    """Offer messages at a calm rate to a running worker and wait for all of them."""
    since = await _now(stand)
    job = {"targets": targets} if targets else {}
    await stand.load(
        prefix=f"{prefix}-{uuid.uuid4().hex[:8]}",
        rate=rate,
        seconds=seconds,
        senders=senders,
        sender_prefix=sender_prefix or prefix,
        connections=8,
        **job,
    )
    await _wait_sent(stand)
    return await read_turns(stand, since, f"{sender_prefix or prefix}-%")


async def read_turns(stand: Stand, since: datetime, threads: str = "") -> list[Turn]:
    """The answered turns since then, in conversations whose thread is like ``threads``."""
    arrivals = await stand.arrivals()
    return [
        Turn(
            until_begun=(row["begun"].timestamp() - due) * 1000,
            until_received=(arrivals[str(row["reply"])] - due) * 1000,
            model=row["model"] * 1000,
        )
        for row in await stand.admin.fetch(_TURNS, since, threads)
        if (due := row["last"].timestamp() + SETTLE_SECONDS)
    ]


async def _now(stand: Stand) -> datetime:
    now: datetime = await stand.admin.fetchval("select clock_timestamp()")
    return now


async def _wait_sent(stand: Stand) -> None:
    """Wait until nothing is left to do, asked so that the answer costs PostgreSQL nothing."""

    async def is_done() -> bool:
        return bool(await stand.admin.fetchval(_IS_DONE))

    await until(is_done, seconds=120)


async def _pace(stand: Stand, since: datetime) -> float:
    """Turns a second between the first and the last tenth of a backlog."""
    sent = await stand.admin.fetch(
        "select sent_at from outbox_reply where created_at >= $1 order by sent_at", since
    )
    times = [row["sent_at"].timestamp() for row in sent]
    low, high = len(times) // 10, len(times) * 9 // 10
    seconds: float = times[high] - times[low]
    return (high - low) / seconds
