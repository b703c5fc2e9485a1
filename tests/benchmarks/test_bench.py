"""The benchmark itself works: no figure is judged here, a loaded machine would fail it."""

from __future__ import annotations

import asyncio
import sys

import pytest

from benchmarks.report import Aim, Figure, render
from benchmarks.stand import TESTS
from fixtures.gateway import inherited

pytestmark = pytest.mark.e2e


async def test_acknowledgements_are_measured_beside_the_bare_database() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", "--only", "ack"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited(), "PYTHONPATH": str(TESTS)},
    )
    out, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()[-2000:]
    for measured in ("asyncpg inserts", "known learners", "half load", "share of the bare"):
        assert measured in out.decode()


async def test_channels_are_measured_without_any_server() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", "--only", "channels"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited(), "PYTHONPATH": str(TESTS)},
    )
    out, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()[-2000:]
    for channel in ("slack", "sms", "telegram", "webhook"):
        assert f"{channel}: reading a delivery" in out.decode()
        assert f"{channel}: cutting an answer of 10,000" in out.decode()


def test_the_page_shows_the_median_its_range_and_whether_the_aim_is_met() -> None:
    figures = [
        Figure("Turns", "overhead", "ms", (12.0, 16.5, 30.0), Aim("≤", 15)),
        Figure("Turns", "throughput", "turns/s", (120.0,), Aim("≥", 100)),
    ]
    page = render(figures, "make bench", 90.0)
    assert "| overhead | 16.5 ms | 12 – 30 | ≤ 15 ms | **not met** |" in page
    assert "| throughput | 120 turns/s |  | ≥ 100 turns/s | met |" in page
