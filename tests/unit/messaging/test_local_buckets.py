"""Buckets of one process: half of each rate, all tolls or none, and never no limit."""

from __future__ import annotations

import pytest

from channel_kit import Toll
from coachline.messaging.buckets import LocalBuckets
from fixtures.time import FakeClock

CHAT = Toll("chat", per_second=1.0, burst=4)
BOT = Toll("bot", per_second=10.0, burst=40)


def draw(buckets: LocalBuckets, *tolls: Toll, lane: str = "conversation") -> float:
    names = [toll.bucket for toll in tolls]
    return buckets.draw(names, tolls, lane="broadcast" if lane == "broadcast" else "conversation")


def test_half_of_the_burst_goes_at_once_and_half_of_the_rate_after_it() -> None:
    clock = FakeClock()
    buckets = LocalBuckets(clock)
    assert [draw(buckets, CHAT) for _ in range(3)] == [0.0, 0.0, pytest.approx(2.0)]
    clock.advance(1.9)
    assert draw(buckets, CHAT) == pytest.approx(0.1)
    clock.advance(0.2)
    assert draw(buckets, CHAT) == 0.0
    clock.advance(1_000)
    assert [draw(buckets, CHAT) > 0 for _ in range(3)] == [False, False, True]


def test_one_toll_that_cannot_be_paid_leaves_the_others_undrawn() -> None:
    buckets = LocalBuckets(FakeClock())
    for _ in range(19):
        assert draw(buckets, BOT) == 0.0
    for _ in range(2):
        assert draw(buckets, CHAT) == 0.0
    assert draw(buckets, BOT, CHAT) > 1
    assert draw(buckets, BOT) == 0.0
    assert draw(buckets, BOT) > 0


def test_a_toll_larger_than_its_bucket_is_drawn_when_that_is_full() -> None:
    clock = FakeClock()
    buckets = LocalBuckets(clock)
    long = Toll("chat", per_second=1.0, burst=4, amount=10)
    assert draw(buckets, long) == 0.0
    assert draw(buckets, CHAT) == pytest.approx(18.0)
    clock.advance(20)
    assert draw(buckets, long) == 0.0


def test_a_broadcast_leaves_half_of_the_burst_to_conversations() -> None:
    buckets = LocalBuckets(FakeClock())
    broadcasts = [draw(buckets, BOT, lane="broadcast") for _ in range(20)]
    assert 10 <= broadcasts.count(0.0) <= 11
    assert draw(buckets, BOT) == 0.0


def test_what_the_platform_refused_is_held_for_as_long_as_it_said() -> None:
    clock = FakeClock()
    buckets = LocalBuckets(clock)
    buckets.hold(["chat", "bot"], [CHAT, BOT], seconds=30)
    assert draw(buckets, CHAT) == pytest.approx(30)
    clock.advance(1)
    assert draw(buckets, BOT) == 0.0
    clock.advance(29)
    assert draw(buckets, CHAT) == 0.0


def test_full_buckets_are_forgotten() -> None:
    clock = FakeClock()
    buckets = LocalBuckets(clock)
    for number in range(10_000):
        draw(buckets, Toll(f"chat{number}", per_second=1, burst=1))
    clock.advance(1_000)
    assert draw(buckets, CHAT) == 0.0
    assert len(buckets._buckets) == 1
