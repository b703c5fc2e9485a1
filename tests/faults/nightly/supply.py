"""Row 52: what is installed is locked with hashes and not known to be unsafe."""

from __future__ import annotations

from architecture.rules.source import ROOT
from architecture.rules.supply import (
    ADVISORIES,
    LOCK,
    idle_decisions,
    loose_packages,
    read_advisories,
    read_lock,
    unsafe_packages,
)
from faults.findings import Finding, Run


async def check_supply(run: Run) -> Finding:
    """Compare the lock with the advisories that we know."""
    packages = read_lock((ROOT / LOCK).read_text(encoding="utf-8"))
    advisories = read_advisories((ROOT / ADVISORIES).read_text(encoding="utf-8"))
    problems = [
        *loose_packages(packages),
        *unsafe_packages(packages, advisories.known),
        *idle_decisions(packages, advisories.known),
    ]
    run.say(f"{len(packages)} packages")
    figures: dict[str, float | int | str] = {
        "packages": len([package for package in packages if not package.is_ours]),
        "hashed_files": sum(len(package.files) for package in packages),
        "advisories": len(advisories.known),
        "accepted": len([known for known in advisories.known if known.decision]),
        "undecided": len(unsafe_packages(packages, advisories.known)),
        "reviewed": advisories.reviewed.isoformat(),
    }
    return Finding(52, "supply-chain", figures, not problems, "; ".join(problems))
