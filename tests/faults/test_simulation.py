"""Thousands of small worlds, each decided by one number: what may never happen never happens."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from faults.findings import Run
from faults.nightly import simulation as nightly
from faults.simulation.program import SimulationBroke, simulate
from faults.simulation.schedules import draw_schedule

SEEDS = 150
# Far more than any takes: nothing here is judged by a clock.
PATIENCE_SECONDS = 280


@pytest.fixture(scope="module")
async def found() -> dict[str, Any]:
    """What the first seeds came to."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await simulate("--seeds", str(SEEDS))


@pytest.mark.timeout(300)
async def test_no_schedule_loses_doubles_or_disorders_anything(found: dict[str, Any]) -> None:
    assert found["failing"] == {}, "PYTHONPATH=tests python -m faults.simulation --seed N shows one"
    assert found["seeds"] == SEEDS
    # A simulation in which nothing goes wrong proves nothing.
    for fault in ("kill", "freeze", "restart", "connection cut", "platform", "bell lost"):
        assert found["faults"][fault] >= SEEDS / 10, fault
    assert len(found["struck"]) >= 18


@pytest.mark.timeout(300)
async def test_a_seed_takes_the_same_course_every_time(found: dict[str, Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        again = await simulate("--first", "2", "--seeds", "3")
    assert again["courses"] == found["courses"][2:5]
    assert len(set(found["courses"])) == len(found["courses"])


@pytest.mark.timeout(300)
async def test_planted_bugs_are_found() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        first = await simulate("--prove", "--seeds", "500")
    assert [name for name, seed in first.items() if seed is None] == []
    assert len(first) >= 6


async def test_a_program_that_breaks_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = shutil.which("false")
    assert nothing is not None
    monkeypatch.setattr(sys, "executable", nothing)
    with pytest.raises(SimulationBroke):
        await simulate("--seeds", "1")


def test_a_schedule_is_drawn_and_told_in_full() -> None:
    schedule = draw_schedule(3)
    assert schedule == draw_schedule(3) != draw_schedule(4)
    told = schedule.describe()
    assert "seed 3" in told
    for part in (*schedule.messages, *schedule.faults, *schedule.outages):
        assert str(part) in told


async def test_a_failing_seed_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pretend(*arguments: str) -> dict[str, object]:
        if "--prove" in arguments:
            return {"blind-resend": 3, "no-sweep": None}
        return {
            "seeds": 100,
            "messages": 500,
            "steps": 1000,
            "faults": {"kill": 5, "bell lost": 1},
            "failing": {"7000012": ["a reply is shown twice"]},
        }

    monkeypatch.setattr(nightly, "simulate", pretend)
    said: list[str] = []
    finding = await nightly.check_simulation(Run("pull-request", 7, tmp_path, said.append))
    assert not finding.is_met
    assert "faults.simulation --seed 7000012: a reply is shown twice" in finding.problem
    assert "not found: no-sweep" in finding.problem
    assert finding.figures["failing_seeds"] == 1
    assert (finding.figures["kill"], finding.figures["bell_lost"]) == (5, 1)
    assert finding.figures["planted_bugs_found"] == 1
    assert said == ["100 of 100 seeds"]
