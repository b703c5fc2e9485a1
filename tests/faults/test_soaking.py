"""A soak sees what grows, and lets pass what only goes up and down."""

from __future__ import annotations

import asyncio
import math
import random
import sys

import pytest

from faults.soaking import Diary, fit

_LEAK = """
import sys
kept, files = [], []
for _ in sys.stdin:
    kept.append(bytearray(b"x" * 400_000))
    files.append(open("/dev/null"))
    print(len(kept), flush=True)
"""
_STEPS = 24


def test_growth_is_told_in_percent_of_the_level_an_hour() -> None:
    seconds = [float(at) for at in range(0, 3600, 10)]
    trend = fit(seconds, [100 + at / 360 for at in seconds])
    assert trend.percent_an_hour == pytest.approx(10 * 100 / trend.level)
    assert trend.error == pytest.approx(0, abs=1e-9)
    assert trend.exceeds(5)
    assert not trend.exceeds(11)


def test_noise_and_a_saw_of_vacuums_are_no_growth() -> None:
    dice = random.Random(1)
    seconds = [float(at) for at in range(0, 3600, 10)]
    noise = fit(seconds, [100 + dice.gauss(0, 3) for _ in seconds])
    saw = fit(seconds, [1000 + at % 60 * 10 for at in seconds])
    flat = fit(seconds, [7.0 for _ in seconds])
    assert not noise.exceeds(5)
    assert not saw.exceeds(5)
    assert not flat.exceeds(0)
    assert not math.isnan(fit(seconds, [0.0 for _ in seconds]).percent_an_hour)


def test_two_values_are_no_trend() -> None:
    with pytest.raises(ValueError, match="three"):
        fit([0.0, 1.0], [1.0, 2.0])


@pytest.mark.parametrize("leaks", [True, False])
async def test_a_process_that_leaks_is_found_and_one_that_does_not_is_not(leaks: bool) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _LEAK),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    diary = Diary({"leak": process.pid})
    try:
        for step in range(_STEPS):
            if leaks or not step:
                process.stdin.write(b"on\n")
                await process.stdout.readline()
            # As if a minute had passed between two looks.
            await diary.note(60.0 * step, None)
    finally:
        process.stdin.close()
        await process.wait()
    trends = diary.trends()
    assert trends["leak_rss_mb"].exceeds(5) is leaks
    assert trends["leak_files"].exceeds(5) is leaks
