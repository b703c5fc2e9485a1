"""One time for all processes: the database's, whatever the clock of a machine says or does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from coachline.foundation.clock import Offset, SystemClock, measure_offset
from coachline.foundation.errors import Unavailable
from coachline.foundation.shared_clock import SharedClock
from fixtures.time import FakeClock

TRUE = datetime(2026, 3, 29, 0, 59, 50, tzinfo=UTC)
SetMachine = Callable[[datetime, float], None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SetMachine:
    """Sets the machine's wall clock and its monotonic seconds."""

    def put(now: datetime, monotonic: float) -> None:
        monkeypatch.setattr(SystemClock, "now", lambda _: now)
        monkeypatch.setattr(SystemClock, "monotonic", lambda _: monotonic)

    return put


async def true_time() -> datetime:
    return TRUE


async def test_until_the_first_look_it_is_the_machines_own(machine: SetMachine) -> None:
    wrong = TRUE - timedelta(hours=1)
    machine(wrong, 5.0)
    assert SharedClock().now() == wrong


@pytest.mark.parametrize("minutes", [-10, 10, 0])
async def test_a_clock_that_is_wrong_or_jumps_changes_nothing(
    machine: SetMachine, minutes: int
) -> None:
    wrong = timedelta(minutes=minutes)
    machine(TRUE + wrong, 100.0)
    clock = SharedClock()
    await clock.look(true_time)
    assert clock.now() == TRUE
    # Ten seconds later the machine's clock was set back by an hour.
    machine(TRUE + wrong - timedelta(hours=1), 110.0)
    assert clock.now() == TRUE + timedelta(seconds=10)


async def test_the_hour_that_daylight_saving_skips_or_repeats_is_an_hour_like_any_other(
    machine: SetMachine,
) -> None:
    machine(TRUE, 0.0)
    clock = SharedClock()

    async def in_local_time() -> datetime:
        return TRUE.astimezone(timezone(timedelta(hours=1)))

    await clock.look(in_local_time)
    machine(TRUE, 20.0)
    assert clock.now() == TRUE + timedelta(seconds=20)
    assert clock.now().tzinfo is UTC


async def test_an_answer_that_took_long_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([0.0, 3.0])
    monkeypatch.setattr(SystemClock, "monotonic", lambda _: next(readings))
    monkeypatch.setattr(SystemClock, "now", lambda _: TRUE)
    clock = SharedClock()

    async def late() -> datetime:
        return TRUE + timedelta(hours=9)

    await clock.look(late)
    assert clock.now() == TRUE


async def test_it_goes_on_alone_while_nobody_answers_and_looks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("coachline.foundation.shared_clock._FIRST_LOOK_SECONDS", 0.0)
    looked = asyncio.Event()
    away = 2

    async def read() -> datetime:
        nonlocal away
        if away:
            away -= 1
            raise Unavailable("away")
        looked.set()
        return datetime.now(UTC) + timedelta(days=1)

    clock = SharedClock()
    keeping = asyncio.create_task(clock.keep(read))
    await asyncio.wait_for(looked.wait(), 30)
    await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert clock.now() > datetime.now(UTC) + timedelta(hours=23)


async def test_an_offset_is_as_exact_as_the_question_was_quick() -> None:
    ours = FakeClock()

    async def read() -> datetime:
        ours.advance(2.0)
        return ours.now() + timedelta(seconds=9)

    found = await measure_offset(ours, read)
    assert found == Offset(seconds=10.0, error_seconds=1.0)
    assert found.is_beyond(8.9)
    assert not found.is_beyond(9.1)
    assert Offset(-10.0, 0.5).is_beyond(9.0)
