"""Runs the simulation as a program of its own: its audit hook can never be taken away again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).parents[2]


class SimulationBroke(Exception):
    """The program ended without a verdict; the message is what it said last."""


async def simulate(*arguments: str) -> dict[str, Any]:
    """What the program found, of its last line.

    Raises:
        SimulationBroke: it found nothing, not even that something fails.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "faults.simulation", *arguments),
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        found: dict[str, Any] = json.loads(said.decode().splitlines()[-1])
    except (IndexError, ValueError):
        raise SimulationBroke(complained.decode()[-2000:]) from None
    return found
