"""``make bench``: measure the gateway in one run and write ``docs/reference/benchmarks.md``.

``--quick`` takes less of everything and writes no page; ``--only`` names the parts to measure.
"""

from __future__ import annotations

import argparse
import time

import uvloop

from benchmarks import acknowledging, answering, console, growth, memory, platforms
from benchmarks.report import Report
from benchmarks.stand import open_stand

PARTS = ("ack", "turns", "growth", "client", "up", "channels", "console")


async def measure(parts: set[str], *, quick: bool) -> Report:
    """Measure ``parts`` one after another, so that none disturbs another."""
    report = Report()
    if "channels" in parts:
        await platforms.measure(report, quick=quick)
    if parts == {"channels"}:
        return report
    async with open_stand() as stand:
        if "ack" in parts:
            await acknowledging.measure(stand, report, quick=quick)
        if "turns" in parts:
            await answering.measure(stand, report, quick=quick)
        if "console" in parts:
            await console.measure(stand, report, quick=quick)
        if "growth" in parts:
            await growth.measure(stand, report)
        if "client" in parts:
            await memory.measure_client(stand, report, calls=50 if quick else 500)
        if "up" in parts:
            await memory.measure_up(stand, report)
    return report


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of minutes")
    parser.add_argument("--only", choices=PARTS, nargs="+", help="these parts, and no page")
    given = parser.parse_args()
    quick_parts = [part for part in PARTS if part not in ("growth", "up")]
    parts = set(given.only or (quick_parts if given.quick else PARTS))
    begun = time.monotonic()
    report = uvloop.run(measure(parts, quick=given.quick))
    if parts == set(PARTS) and not given.quick:
        report.write("make bench", time.monotonic() - begun)


if __name__ == "__main__":
    main()
