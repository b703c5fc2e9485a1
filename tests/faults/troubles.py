"""Servers that are taken away in the middle of a run of kills, and come back."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Final

import redis.asyncio as redis

from coachline.foundation.tasks import finish
from faults.kills import Tally
from faults.stage import Stage
from fixtures.waiting import until

_POSTGRES_SECONDS: Final = 6.0
_VALKEY_SECONDS: Final = 5.0
_BEFORE_SECONDS: Final = 2.0
_AWAY_SECONDS: Final = 2.0
_RECOVERY_SECONDS: Final = 120.0


async def restart_postgres(stage: Stage, tally: Tally) -> None:
    """Stop PostgreSQL at once and start it, every 6 s; note how long until a reply arrives again.

    What stands in its memory alone is lost, as at a loss of power: only what was committed counts.
    """
    while True:
        await asyncio.sleep(_POSTGRES_SECONDS)
        await finish(_restart(stage))
        tally.restarts["postgres"] += 1
        begun = time.monotonic()
        await until(partial(_is_above, stage, _taken(stage)), seconds=_RECOVERY_SECONDS)
        tally.recoveries.append(time.monotonic() - begun)


async def _restart(stage: Stage) -> None:
    await stage.postgres.stop("immediate")
    await stage.postgres.start()


async def restart_valkey(stage: Stage, tally: Tally) -> None:
    """Empty Valkey; then stop it for 2 s and start it with nothing in it. Again and again."""
    while True:
        await asyncio.sleep(_VALKEY_SECONDS)
        async with redis.Redis.from_url(stage.valkey.url) as client:
            await client.flushall()
        tally.restarts["valkey_flushed"] += 1
        await asyncio.sleep(_VALKEY_SECONDS)
        await finish(_take_away(stage, _AWAY_SECONDS))
        tally.restarts["valkey"] += 1


async def _take_away(stage: Stage, seconds: float) -> None:
    await stage.valkey.stop()
    await asyncio.sleep(seconds)
    await stage.valkey.start()


async def lose_postgres(stage: Stage, tally: Tally, *, seconds: float) -> None:
    """Stop PostgreSQL once, for so long; note how long until a reply arrives again."""
    tally.coming.add("postgres")
    await asyncio.sleep(_BEFORE_SECONDS)
    await finish(_keep_away(stage, seconds))
    tally.restarts["postgres"] += 1
    begun = time.monotonic()
    await until(partial(_is_above, stage, _taken(stage)), seconds=_RECOVERY_SECONDS)
    tally.recoveries.append(time.monotonic() - begun)
    tally.coming.discard("postgres")


async def _keep_away(stage: Stage, seconds: float) -> None:
    await stage.postgres.stop()
    await asyncio.sleep(seconds)
    await stage.postgres.start()


async def lose_valkey(stage: Stage, tally: Tally, *, seconds: float) -> None:
    """Stop Valkey once, for so long; it comes back empty."""
    tally.coming.add("valkey")
    await asyncio.sleep(_BEFORE_SECONDS)
    await finish(_take_away(stage, seconds))
    tally.restarts["valkey"] += 1
    tally.coming.discard("valkey")


def _is_above(stage: Stage, taken: int) -> bool:
    return _taken(stage) > taken


def _taken(stage: Stage) -> int:
    """How many replies all platforms took so far."""
    ledgers = (stage.telegram.ledger, stage.slack.ledger, stage.twilio.ledger)
    return sum(len(ledger.accepted) for ledger in ledgers) + len(stage.receiver.accepted)
