"""The victims as the supervisor sees them: born, ready, struck by a fault, thawed, ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from faults.plans import Action, Plan, Role
from fixtures.gateway import inherited

_TESTS: Final = Path(__file__).resolve().parents[1]
_IMPORT_SECONDS: Final = 120.0


@dataclass
class Life:
    """One gateway process. ``pid`` is 0 until it is born."""

    number: int
    plan: Plan
    pid: int = 0
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    is_frozen: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None
    """As ``waitpid`` says it, when it ended."""
    refusal: str = ""
    """The code of the error with which it ended itself."""

    @property
    def is_crashed(self) -> bool:
        """Whether it ended by no signal of ours, and not by saying why: a defect."""
        return self.status not in (None, 0, signal.SIGKILL) and not self.refusal

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it is still there."""
        if self.pid and not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Herd:
    """All lives of one run, and the zygote that they are forked from."""

    def __init__(
        self, zygote: asyncio.subprocess.Process, on_fault: Callable[[Life, str, Action], None]
    ) -> None:
        self.lives: list[Life] = []
        self._zygote = zygote
        self._on_fault = on_fault
        self.imported = asyncio.Event()

    def start(self, plan: Plan) -> Life:
        """Begin a life."""
        life = Life(len(self.lives), plan)
        self.lives.append(life)
        order = {
            "life": life.number,
            "role": plan.role,
            "armed": plan.armed,
            "action": plan.action,
        }
        if self._zygote.stdin is not None:
            self._zygote.stdin.write(json.dumps(order).encode() + b"\n")
        return life

    def running(self, role: Role) -> int:
        """How many lives of a role there are."""
        return sum(not one.ended.is_set() and one.plan.role == role for one in self.lives)

    async def listen(self) -> None:
        """Take in what the zygote and the lives say, until the zygote ends."""
        if self._zygote.stdout is None:
            raise RuntimeError("the zygote has no output")
        async for line in self._zygote.stdout:
            self._hear(json.loads(line))

    def _hear(self, told: dict[str, Any]) -> None:
        if told["event"] == "imported":
            self.imported.set()
            return
        life = self.lives[told["life"]]
        match told["event"]:
            case "born":
                life.pid = told["pid"]
            case "ready":
                life.is_ready.set()
            case "fault":
                self._on_fault(life, told["point"], told["action"])
                if told["action"] == "freeze":
                    life.is_frozen.set()
            case "refused":
                life.refusal = told["code"]
            case "ended":
                life.status = told["status"]
                life.ended.set()


@asynccontextmanager
async def open_herd(
    settings: Mapping[str, Any],
    listener: socket.socket,
    *,
    log: Path,
    on_fault: Callable[[Life, str, Action], None],
) -> AsyncIterator[Herd]:
    """Start the zygote; at the end it ends with every life.

    Args:
        settings: of every gateway process, as text.
        listener: the socket that all lives that serve share.
        log: takes what they say on standard error.
        on_fault: is told every fault when it strikes.
    """
    first = {"settings": settings, "listener": listener.fileno()}
    with log.open("ab") as output:
        zygote = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "faults.victim", json.dumps(first)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            env={**inherited(), "PYTHONPATH": str(_TESTS)},
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    herd = Herd(zygote, on_fault)
    listening = asyncio.create_task(herd.listen())
    try:
        async with asyncio.timeout(_IMPORT_SECONDS):
            imported = asyncio.create_task(herd.imported.wait())
            await asyncio.wait({imported, listening}, return_when=asyncio.FIRST_COMPLETED)
            if not imported.done():
                imported.cancel()
                raise RuntimeError(f"the victims' zygote ended at once; see {log}")
        yield herd
    finally:
        if zygote.stdin is not None:
            zygote.stdin.close()
        for life in herd.lives:
            life.send(signal.SIGKILL)
        await zygote.wait()
        await asyncio.gather(listening, return_exceptions=True)
