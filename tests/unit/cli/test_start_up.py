"""A command that has nothing to do yet has loaded nothing yet."""

from __future__ import annotations

import json
import subprocess
import sys

# What the gateway is made of: more than a second to import, on a machine with nothing else to do.
HEAVY = {"aiohttp", "alembic", "chromadb", "fastapi", "ollama", "pgqueuer", "redis", "sqlalchemy"}


def test_the_command_line_loads_no_part_of_the_gateway_before_a_command_runs() -> None:
    code = "import json, sys, coachline.cli; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(  # noqa: S603 (the program is this Python)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not HEAVY & set(json.loads(done.stdout))
