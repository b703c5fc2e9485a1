"""Row 28: processes whose clocks are wrong by minutes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from faults.findings import Finding, Run, Scale
from faults.premises import open_premises
from faults.wrong_clock import LIBRARY, live_with_wrong_clocks

_NAME: Final = "wrong-clocks"
_ROUNDS: Final[dict[Scale, int]] = {"pull-request": 2, "nightly": 20, "release": 60}


async def check_clocks(run: Run) -> Finding:
    """Talk to a gateway of which one process is ten minutes ahead and one ten behind."""
    if LIBRARY is None:
        return Finding(28, _NAME, {}, is_met=False, problem="libfaketime is not installed")
    async with open_premises(run.folder) as premises:
        found = await live_with_wrong_clocks(premises, premises.receiver, rounds=_ROUNDS[run.scale])
    run.say(f"{found.messages} messages")
    wrong = {
        name: value
        for name, value in asdict(found).items()
        if name not in ("messages", "answered") and value
    }
    is_met = not wrong and found.answered == found.messages
    return Finding(28, _NAME, asdict(found), is_met, "" if is_met else f"wrong: {wrong or found}")
