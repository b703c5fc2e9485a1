"""Counting without Redis: windows that end, and a memory that does not grow."""

from __future__ import annotations

from coachline.tenancy import local_counters
from coachline.tenancy.local_counters import LocalCounters
from fixtures.time import FakeClock


def test_hits_are_taken_up_to_the_amount_and_again_in_the_next_window() -> None:
    clock = FakeClock()
    counters = LocalCounters(clock)
    assert [counters.take("k", 2, 60) for _ in range(3)] == [0.0, 0.0, 60.0]
    clock.advance(45)
    assert counters.take("k", 2, 60) == 15.0
    clock.advance(15)
    assert counters.take("k", 2, 60) == 0.0


def test_asking_counts_nothing_and_keys_do_not_share() -> None:
    counters = LocalCounters(FakeClock())
    assert [counters.wait("k", 1) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert counters.take("k", 1, 60) == 0.0
    assert counters.wait("k", 1) == 60.0
    assert counters.take("other", 1, 60) == 0.0


def test_windows_that_ended_are_forgotten() -> None:
    clock = FakeClock()
    counters = LocalCounters(clock)
    for number in range(local_counters._SWEEP_KEYS):
        counters.take(f"k{number}", 1, 60)
    clock.advance(61)
    counters.take("one more", 1, 60)
    assert list(counters._windows) == ["one more"]
