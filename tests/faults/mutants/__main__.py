"""``python -m faults.mutants [TARGET …]``: the score of each target, and who survived."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from faults.mutants.trial import try_all


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Try what is named; 1 when a mutant survived."""
    with tempfile.TemporaryDirectory(prefix="cl-mutants-") as folder:
        found = asyncio.run(try_all(Path(folder), say, tuple(sys.argv[1:])))
    left = [
        f"{target.path}: {mutant} ({end})"
        for target, ends in found.items()
        for mutant, end in ends.items()
        if end.startswith("survived")
    ]
    for line in left:
        say(line)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
