"""How fast messages are acknowledged: signed, proven, read, stored and committed, then 200."""

from __future__ import annotations

from typing import Any

from benchmarks import processes
from benchmarks.report import Aim, Report
from benchmarks.stand import Stand
from benchmarks.yardsticks import measure_claims, measure_inserts

DATABASE_CONNECTIONS = 10  # the default of `coachline serve`
CONNECTIONS = 32
_SWEEP = (8, 128)


async def measure(stand: Stand, report: Report, *, quick: bool) -> None:
    """Saturate, then offer half of that. No worker runs: every conversation waits for one."""
    seconds, rounds, known = (1.0, 1, 150) if quick else (3.0, 3, 2000)
    report.begin("Bare PostgreSQL, the yardstick")
    bare = report.add(
        f"asyncpg inserts under RLS, one a transaction, {DATABASE_CONNECTIONS} connections",
        "events/s",
        *[
            await measure_inserts(stand, connections=DATABASE_CONNECTIONS, seconds=seconds)
            for _ in range(rounds)
        ],
    )
    report.add(
        f"claim loop, SKIP LOCKED, {DATABASE_CONNECTIONS} connections",
        "jobs/s",
        await measure_claims(stand, connections=DATABASE_CONNECTIONS, seconds=seconds),
    )
    report.begin("Acknowledgements, no worker running")
    first = await stand.load(prefix="first", count=known, senders=known, connections=CONNECTIONS)
    report.add("first contact: learner, identity and conversation made", "events/s", _rate(first))
    peak = await _saturate(stand, report, bare, known=known, seconds=seconds, rounds=rounds)
    if not quick:
        for connections in _SWEEP:
            await stand.settle()
            found = await stand.load(
                prefix=f"sweep-{connections}",
                seconds=seconds,
                senders=known,
                connections=connections,
            )
            report.add(f"known learners, {connections} clients", "events/s", _rate(found))
    await stand.settle()
    found = await stand.load(prefix="hot", seconds=seconds, senders=1, connections=CONNECTIONS)
    report.add(f"one hot conversation a tenant, {CONNECTIONS} clients", "events/s", _rate(found))
    await _offer_half(stand, report, peak, known=known, seconds=seconds * 3)


async def _saturate(
    stand: Stand, report: Report, bare: float, *, known: int, seconds: float, rounds: int
) -> float:
    rates, costs, shares = [], [], []
    server = stand.gateway.running[0].process.pid
    database = stand.postgres.pid or 0
    for number in range(rounds):
        await stand.settle()
        before = processes.cpu_seconds(server), processes.cpu_seconds(database)
        found = await stand.load(
            prefix=f"known-{number}", seconds=seconds, senders=known, connections=CONNECTIONS
        )
        used = processes.cpu_seconds(server) - before[0]
        shares.append((used, processes.cpu_seconds(database) - before[1], found["seconds"]))
        rates.append(_rate(found))
        costs.append(used / found["accepted"] * 1000)
    peak = report.add(f"known learners, {CONNECTIONS} clients", "events/s", *rates)
    report.add("share of the bare insert rate", "%", peak / bare * 100, aim=Aim("≥", 60))
    report.add("processor time of serve an event", "ms", *costs)
    report.add("processors busy with serve", "of all", *[serve / each for serve, _, each in shares])
    report.add(
        "processors busy with PostgreSQL", "of all", *[base / each for _, base, each in shares]
    )
    return peak


async def _offer_half(
    stand: Stand, report: Report, peak: float, *, known: int, seconds: float
) -> None:
    await stand.settle()
    found = await stand.load(
        prefix="half", seconds=seconds, rate=peak / 2, senders=known, connections=CONNECTIONS
    )
    _rate(found)
    for share in ("p50", "p95", "p99"):
        report.add(
            f"latency at half load ({peak / 2:.0f} events/s, Poisson), {share}",
            "ms",
            found["milliseconds"][share],
            aim=Aim("≤", 25) if share == "p99" else None,
        )


def _rate(found: dict[str, Any]) -> float:
    if found["refused"]:
        raise RuntimeError(f"messages were refused: {found['refused']}")
    return float(found["rate"])
