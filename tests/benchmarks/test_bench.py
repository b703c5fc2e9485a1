"""The benchmark itself works: no figure is judged here, a loaded machine would fail it."""

from __future__ import annotations

import asyncio
import sys

import pytest

from benchmarks.report import Aim, Figure, render
from benchmarks.stand import TESTS
from fixtures.gateway import inherited

pytestmark = pytest.mark.e2e


async def bench(part: str) -> str:
    """What a small run of one part tells."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", "--only", part),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited(), "PYTHONPATH": str(TESTS)},
    )
    out, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()[-2000:]
    return out.decode()


async def test_acknowledgements_are_measured_beside_the_bare_database() -> None:
    told = await bench("ack")
    for measured in ("asyncpg inserts", "known learners", "half load", "share of the bare"):
        assert measured in told


async def test_channels_are_measured_without_any_server() -> None:
    told = await bench("channels")
    for channel in ("slack", "sms", "telegram", "webhook"):
        assert f"{channel}: reading a delivery" in told
        assert f"{channel}: cutting an answer of 10,000" in told


async def test_pages_of_the_console_and_what_an_open_one_is_told_are_measured() -> None:
    told = await bench("console")
    pages = ("inbox", "inbox, a word that few say", "long conversation", "why", "overview, 90 days")
    for page in (*pages, "knowledge", "channels", "settings", "audit log"):
        assert f"  {page}, p95" in told
    assert "told by the stream, p95" in told


def test_the_page_shows_the_median_its_range_and_whether_the_aim_is_met() -> None:
    figures = [
        Figure("Turns", "overhead", "ms", (12.0, 16.5, 30.0), Aim("≤", 15)),
        Figure("Turns", "throughput", "turns/s", (120.0,), Aim("≥", 100)),
    ]
    page = render(figures, "make bench", 90.0)
    assert "| overhead | 16.5 ms | 12 – 30 | ≤ 15 ms | **not met** |" in page
    assert "| throughput | 120 turns/s |  | ≥ 100 turns/s | met |" in page
