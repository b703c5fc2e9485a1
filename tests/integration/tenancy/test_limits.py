"""Rates and quotas: exact with Redis, small but open without it, kept apart by tenant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from limits import RateLimitItem, WindowStats

from coachline.foundation.errors import SettingsInvalid, TooManyRequests
from coachline.foundation.ids import LearnerId, TenantId, new_id
from coachline.foundation.redis import Redis, open_redis
from coachline.local import ValkeyServer
from coachline.tenancy import Allowed, Limits, Rates, Refused
from fixtures.time import FakeClock

RATES = Rates(
    api_requests_per_minute=8,
    learner_messages_per_minute=5,
    failed_auth_per_minute=4,
    messages_per_day=12,
)


@pytest.fixture
def pair() -> tuple[TenantId, TenantId]:
    """Two tenants that nobody counted yet; the limits do not ask whether they exist."""
    return TenantId(new_id()), TenantId(new_id())


@pytest.fixture
def limits(redis: Redis, clock: FakeClock) -> Limits:
    return Limits(redis, clock, RATES)


@pytest.fixture
async def private_valkey(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    """A server that a test may stop."""
    server = ValkeyServer(tmp_path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def silent_redis(tmp_path: Path) -> AsyncIterator[str]:
    """The address of something that takes connections and never answers."""
    release = asyncio.Event()

    async def swallow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_unix_server(swallow, tmp_path / "silent.sock")
    yield f"unix://{tmp_path / 'silent.sock'}"
    release.set()
    server.close()
    await server.wait_closed()


async def count_requests(limits: Limits, tenant_id: TenantId, tries: int) -> int:
    """How many of ``tries`` requests are allowed."""
    allowed = 0
    for _ in range(tries):
        try:
            await limits.take_request(tenant_id)
        except TooManyRequests:
            continue
        allowed += 1
    return allowed


async def count_messages(limits: Limits, tenant_id: TenantId, tries: int, **quota: int) -> int:
    """How many of ``tries`` messages of as many learners are allowed."""
    taken = [
        await limits.take_message(tenant_id, LearnerId(new_id()), **quota) for _ in range(tries)
    ]
    return taken.count(Allowed())


async def test_requests_are_counted_per_tenant(
    limits: Limits, pair: tuple[TenantId, TenantId]
) -> None:
    assert await count_requests(limits, pair[0], 20) == 8
    assert await count_requests(limits, pair[1], 7) == 7
    with pytest.raises(TooManyRequests) as caught:
        await limits.take_request(pair[0])
    assert caught.value.retry_after_seconds is not None
    assert 1 <= caught.value.retry_after_seconds <= 60


async def test_two_processes_share_one_count(
    redis: Redis, clock: FakeClock, pair: tuple[TenantId, TenantId]
) -> None:
    one, other = Limits(redis, clock, RATES), Limits(redis, clock, RATES)
    counted = await asyncio.gather(
        count_requests(one, pair[0], 20), count_requests(other, pair[0], 20)
    )
    assert sum(counted) == 8


async def test_a_learner_has_a_rate_that_leaves_others_alone(
    limits: Limits, pair: tuple[TenantId, TenantId]
) -> None:
    learner = LearnerId(new_id())
    results = [await limits.take_message(pair[0], learner) for _ in range(6)]
    assert results[:5] == [Allowed()] * 5
    refused = results[5]
    assert isinstance(refused, Refused)
    assert refused.reason == "learner_rate"
    assert 1 <= refused.retry_after_seconds <= 60
    assert await limits.take_message(pair[0], LearnerId(new_id())) == Allowed()
    assert await limits.take_message(pair[1], learner) == Allowed()


async def test_the_daily_quota_ends_at_midnight_utc(
    limits: Limits, clock: FakeClock, pair: tuple[TenantId, TenantId]
) -> None:
    assert await count_messages(limits, pair[0], 20) == 12
    refused = await limits.take_message(pair[0], LearnerId(new_id()))
    assert refused == Refused("tenant_quota", 15 * 3600.0)
    assert await count_messages(limits, pair[1], 1) == 1
    clock.advance(15 * 3600)
    assert await count_messages(limits, pair[0], 20) == 12


async def test_a_quota_changed_at_noon_keeps_what_was_counted(
    limits: Limits, pair: tuple[TenantId, TenantId]
) -> None:
    assert await count_messages(limits, pair[0], 3) == 3
    assert await count_messages(limits, pair[0], 5, messages_per_day=4) == 1
    assert await count_messages(limits, pair[0], 1, messages_per_day=100) == 1


async def test_failures_of_an_address_shut_it_out_and_no_other(limits: Limits) -> None:
    other = "192.0.2.7"
    guesser = f"2001:db8:{new_id().hex[-4:]}:1::5"
    for _ in range(4):
        await limits.check_failures(guesser)
        await limits.note_failure(guesser)
    with pytest.raises(TooManyRequests):
        await limits.check_failures(guesser)
    # The same client under the next address of its /64.
    with pytest.raises(TooManyRequests):
        await limits.check_failures(guesser.replace("::5", "::6"))
    await limits.check_failures(other)
    # The neighbour's /64 begins one bit beside it.
    await limits.check_failures(guesser.replace(":1::", ":0::"))


@pytest.mark.parametrize("address", ["unknown", "", "fe80::1%eth0", "a\x00b:c"])
async def test_an_address_of_any_form_can_be_counted(limits: Limits, address: str) -> None:
    for _ in range(RATES.failed_auth_per_minute):
        await limits.note_failure(address)
    with pytest.raises(TooManyRequests):
        await limits.check_failures(address)


async def test_checking_failures_counts_nothing(limits: Limits) -> None:
    for _ in range(20):
        await limits.check_failures("198.51.100.1")


async def test_every_key_begins_with_its_tenant_and_has_an_end(
    limits: Limits, redis: Redis, pair: tuple[TenantId, TenantId]
) -> None:
    before = {str(key) async for key in redis.scan_iter()}
    await limits.take_request(pair[0])
    await limits.take_message(pair[0], LearnerId(new_id()))
    await limits.note_failure(f"::ffff:10.9.{new_id().bytes[-1]}.{new_id().bytes[-2]}")
    new = {str(key) async for key in redis.scan_iter()} - before
    assert len(new) == 4
    assert {key for key in new if not key.startswith(f"t:{pair[0]}:")} == {
        key for key in new if key.startswith("t:-:auth:10.9.")
    }
    lives = [await redis.ttl(key) for key in new]
    assert min(lives) > 0
    # A day's quota is kept for a day longer, so that midnight may be another one there.
    assert 86_400 < max(lives) <= 2 * 86_400


async def test_five_guesses_in_ten_minutes_are_let_through(
    limits: Limits, pair: tuple[TenantId, TenantId]
) -> None:
    assert [await limits.take_guess(pair[0], "ann") for _ in range(7)] == [True] * 5 + [False] * 2
    assert await limits.take_guess(pair[0], "bob")
    assert await limits.take_guess(pair[1], "ann")


async def test_guesses_are_counted_for_ten_minutes_without_redis_too(
    tmp_path: Path, clock: FakeClock, pair: tuple[TenantId, TenantId]
) -> None:
    gone = open_redis(f"unix://{tmp_path / 'nothing.sock'}")
    limits = Limits(gone, clock, RATES)
    taken = []
    for seconds in (0, 0, 590, 10):
        clock.advance(seconds)
        taken.append(await limits.take_guess(pair[0], "ann"))
    assert taken == [True, False, False, True]
    await gone.aclose()


@pytest.mark.parametrize(
    ("ends_in_seconds", "told"), [(20.0, 20.0), (500.0, 60.0), (-5.0, 1.0), (None, 1.0)]
)
async def test_who_is_refused_is_told_a_second_to_a_minute(
    limits: Limits,
    pair: tuple[TenantId, TenantId],
    monkeypatch: pytest.MonkeyPatch,
    ends_in_seconds: float | None,
    told: float,
) -> None:
    async def tell(_item: RateLimitItem) -> WindowStats:
        if ends_in_seconds is None:
            raise ConnectionError("away")
        return WindowStats(time.time() + ends_in_seconds, 0)

    await count_requests(limits, pair[0], 8)
    monkeypatch.setattr(limits._windows, "get_window_stats", tell)
    with pytest.raises(TooManyRequests) as caught:
        await limits.take_request(pair[0])
    # A clock stands between the two readings: never more than was told, seldom less.
    assert caught.value.retry_after_seconds is not None
    assert told - 15 < caught.value.retry_after_seconds <= told
    assert caught.value.retry_after_seconds >= 1


async def test_one_call_alone_tries_a_redis_that_was_away(limits: Limits, clock: FakeClock) -> None:
    asked = 0

    async def ask(*, is_there: bool) -> bool:
        nonlocal asked
        asked += 1
        if not is_there:
            raise ConnectionError("away")
        await asyncio.sleep(0)
        return True

    async def ask_five(*, is_there: bool) -> list[bool | None]:
        clock.advance(2)
        calls = (limits._ask(ask(is_there=is_there)) for _ in range(5))
        return list(await asyncio.gather(*calls))

    await limits._ask(ask(is_there=False))
    assert await ask_five(is_there=False) == [None] * 5
    assert asked == 2
    # It is there again: one finds that out while the others do not wait, then all ask.
    assert sorted(map(bool, await ask_five(is_there=True))) == [False] * 4 + [True]
    assert await ask_five(is_there=True) == [True] * 5


async def test_lost_counters_are_begun_anew(
    limits: Limits, redis: Redis, pair: tuple[TenantId, TenantId]
) -> None:
    assert await count_requests(limits, pair[0], 20) == 8
    async for key in redis.scan_iter(f"t:{pair[0]}:*"):
        await redis.delete(key)
    # A restarted server has forgotten the scripts too.
    await redis.script_flush()
    assert await count_requests(limits, pair[0], 20) == 8


async def test_without_redis_a_quarter_is_allowed_neither_all_nor_nothing(
    tmp_path: Path, clock: FakeClock, pair: tuple[TenantId, TenantId]
) -> None:
    gone = open_redis(f"unix://{tmp_path / 'nothing.sock'}")
    limits = Limits(gone, clock, RATES)
    assert await count_requests(limits, pair[0], 20) == 2
    assert await count_requests(limits, pair[1], 20) == 2
    # After the pause Redis is tried once and is still gone.
    clock.advance(2)
    assert await count_messages(limits, pair[0], 20) == 3
    learner = LearnerId(new_id())
    assert await limits.take_message(pair[1], learner) == Allowed()
    refused = await limits.take_message(pair[1], learner)
    assert isinstance(refused, Refused)
    assert refused.reason == "learner_rate"
    await limits.check_failures("192.0.2.1")
    await limits.note_failure("192.0.2.1")
    with pytest.raises(TooManyRequests):
        await limits.check_failures("192.0.2.1")
    await gone.aclose()


async def test_the_smallest_limit_without_redis_is_one(
    tmp_path: Path, clock: FakeClock, pair: tuple[TenantId, TenantId]
) -> None:
    gone = open_redis(f"unix://{tmp_path / 'nothing.sock'}")
    limits = Limits(gone, clock, Rates(1, 1, 1, 1))
    assert await count_requests(limits, pair[0], 5) == 1
    await gone.aclose()


async def test_a_silent_redis_costs_one_short_wait_and_then_nothing(
    silent_redis: str, clock: FakeClock
) -> None:
    client = open_redis(silent_redis)
    limits = Limits(client, clock, Rates(1000, 1000, 1000, 1000))
    waits = []
    for _ in range(50):
        began = time.perf_counter()
        await limits.take_request(TenantId(new_id()))
        waits.append(time.perf_counter() - began)
    assert max(waits) < 0.5  # 50 ms, and room for a busy machine
    assert sorted(waits)[25] < 0.04
    await client.aclose()


async def test_a_redis_that_returns_is_used_again_by_itself(
    private_valkey: ValkeyServer, clock: FakeClock, pair: tuple[TenantId, TenantId]
) -> None:
    client = open_redis(private_valkey.url)
    limits = Limits(client, clock, RATES)
    assert await count_requests(limits, pair[0], 20) == 8
    await private_valkey.stop()
    clock.advance(60)
    assert await count_requests(limits, pair[0], 20) == 2
    await private_valkey.start()
    # Not before the pause is over: a Redis that comes and goes must not be asked at every call.
    assert await count_requests(limits, pair[0], 20) == 0
    clock.advance(1)
    assert await count_requests(limits, pair[0], 20) == 8
    await client.aclose()


async def test_calls_that_are_cancelled_leave_counting_intact(
    limits: Limits, pair: tuple[TenantId, TenantId]
) -> None:
    for round_ in range(40):
        task = asyncio.create_task(count_requests(limits, pair[0], 3))
        for _ in range(round_ % 7):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await count_requests(limits, pair[1], 20) == 8


@pytest.mark.parametrize("url", ["", "http://localhost", "localhost:6379", "redis://h:port"])
def test_a_wrong_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="COACHLINE_REDIS_URL") as caught:
        open_redis(url)
    assert not url or url not in caught.value.message


async def test_a_machine_whose_clock_is_wrong_shuts_nobody_out_and_lets_nobody_in(
    limits: Limits, pair: tuple[TenantId, TenantId], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hits of a machine that is an hour ahead are no hits in the future for the others."""
    true_time = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: true_time() + 3600)
        assert await count_requests(limits, pair[0], 4) == 4
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: true_time() - 3600)
        assert await count_requests(limits, pair[0], 20) == 4
    with pytest.raises(TooManyRequests) as refused:
        await limits.take_request(pair[0])
    assert refused.value.retry_after_seconds is not None
    assert 0 < refused.value.retry_after_seconds <= 60
