"""Gateway processes that end or freeze at a named point, and the zygote that forks them.

Starting an interpreter and importing the gateway takes seconds of processor time, which would leave
room for some forty kills a minute. So this program imports everything once, and each life is a fork
of it: it opens its own services, like any ``coachline serve`` or ``coachline work``, and works
until its fault. What it does from then on is the gateway's own code, but for the pauses named in
:func:`_hasten`.

Orders come on standard input, one JSON object a line; what becomes of the lives goes to standard
output in the same form.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import uvloop

from channel_slack import SlackChannel
from channel_sms import SmsChannel
from channel_telegram import TelegramChannel
from channel_webhook import WebhookChannel
from coachline.app import HttpServer, create_app
from coachline.bootstrap import open_services
from coachline.foundation import job_runner
from coachline.foundation.errors import CoachlineError
from coachline.foundation.faults import EVENT
from coachline.foundation.logs import configure_logs
from coachline.foundation.settings import Settings
from coachline.messaging import Listener, ListeningRules
from coachline.worker import build_runner

_KILLED_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG
REFUSED: Final = 1
CRASHED: Final = 70
"""Exit codes: of whoever says why it cannot go on, and of a defect."""
_AT_ONCE: Final = 4
_SETTLE_SECONDS: Final = 0.2
_RECONCILE_SECONDS: Final = 1.0
_LISTENING: Final = ListeningRules(
    lease_seconds=2.5,
    renew_seconds=0.4,
    look_seconds=0.1,
    deaf_seconds=30.0,
    note_seconds=1.0,
    first_pause_seconds=0.05,
    last_pause_seconds=0.5,
)


def _hasten() -> None:
    """Shorten the pauses for people and for platforms, none of which a fake needs.

    How long a turn waits for more to be said, how long before a platform is asked what it took,
    how long a poller's lease lasts.
    """
    for channel in (SlackChannel, SmsChannel, TelegramChannel, WebhookChannel):
        quick = channel.capabilities.model_copy(update={"settle_seconds": _SETTLE_SECONDS})
        channel.capabilities = quick
    # So that one kill strikes a few conversations, and there is time for many kills.
    job_runner._BATCH = _AT_ONCE // 2
    for asked in (SlackChannel, SmsChannel):
        asked.reconcile_seconds = _RECONCILE_SECONDS


def _tell(**told: Any) -> None:
    # One write of less than a pipe's buffer: lines of several processes never mix.
    os.write(sys.stdout.fileno(), json.dumps(told).encode() + b"\n")


class _Fate:
    """Listens to every audit event, and ends or freezes the process when its time has come."""

    def __init__(self, life: int, armed: dict[str, int], action: str) -> None:
        self._life = life
        self._armed = armed
        self._action = action
        self._hits: Counter[str] = Counter()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event != EVENT:
            return
        point = str(args[0])
        self._hits[point] += 1
        if self._hits[point] != self._armed.get(point):
            return
        self._armed = {}
        _tell(life=self._life, event="fault", point=point, action=self._action)
        os.kill(os.getpid(), signal.SIGKILL if self._action == "kill" else signal.SIGSTOP)


async def _serve(settings: Settings, listener: socket.socket, life: int) -> None:
    async with open_services(settings) as services:
        server = HttpServer(
            create_app(services),
            listener,
            drain_seconds=1,
            close_streams=services.monitors.live_feed.close,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
        await server.run(lambda: _tell(life=life, event="ready"))


async def _work(settings: Settings, life: int) -> None:
    url = settings.worker_database_url
    async with open_services(settings) as services:
        listener = Listener(
            services.database,
            services.connections,
            services.intake,
            services.clock,
            services.metrics,
            _LISTENING,
        )
        services = replace(services, listener=listener)
        runner = build_runner(services, settings, url.get_secret_value() if url else "")
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, runner.stop)
        _tell(life=life, event="ready")
        await runner.run(drain_seconds=2)


async def _rehearse(settings: Settings) -> None:
    """Open what a life opens, once: much of the gateway is imported and built at its first use."""
    async with open_services(settings) as services:
        create_app(services)
        build_runner(services, settings, "")


def _live(order: dict[str, Any], settings: Settings, listener: socket.socket) -> None:
    """Be one gateway process from its start to its end. Never returns."""
    status = CRASHED
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        ctypes.CDLL(None).prctl(_KILLED_WITH_PARENT, signal.SIGKILL)
        if order["armed"]:
            sys.addaudithook(_Fate(order["life"], order["armed"], order["action"]))
        if order["role"] == "serve":
            uvloop.run(_serve(settings, listener, order["life"]))
        else:
            uvloop.run(_work(settings, order["life"]))
        status = 0
    except CoachlineError as error:
        # As `coachline serve` and `coachline work` end, for example without their database.
        _tell(life=order["life"], event="refused", code=error.code)
        status = REFUSED
    except BaseException:  # noqa: BLE001 (the process ends here, whatever it was)
        traceback.print_exc()
    finally:
        os._exit(status)


def _orders(
    listening: selectors.BaseSelector, children: dict[int, int]
) -> Iterator[dict[str, Any]]:
    """Every order, and in between what became of lives that ended."""
    held = b""
    while True:
        for key, _ in listening.select():
            data = os.read(key.fd, 65_536)
            if key.data == "ended":
                _tell_ended(children)
                continue
            if not data:
                return
            *lines, held = (held + data).split(b"\n")
            yield from map(json.loads, lines)


def _tell_ended(children: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            _tell(life=children.pop(found[0]), event="ended", status=found[1])


def main() -> None:
    """Fork lives as ordered until the input ends, then end them all."""
    first = json.loads(sys.argv[1])
    # A copy is not validated: fewer at once than a gateway may be told.
    settings = Settings.model_validate(first["settings"])
    settings = settings.model_copy(update={"worker_concurrency": _AT_ONCE})
    listener = socket.socket(fileno=first["listener"])
    configure_logs("warning", "json")
    _hasten()
    asyncio.run(_rehearse(settings))
    if threading.active_count() > 1:
        raise RuntimeError("a process with threads cannot be forked")
    # What was imported never changes: not touching it keeps it shared between all lives.
    gc.collect()
    gc.freeze()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing)
    listening = selectors.DefaultSelector()
    listening.register(sys.stdin.fileno(), selectors.EVENT_READ, "order")
    listening.register(reading, selectors.EVENT_READ, "ended")
    children: dict[int, int] = {}
    _tell(event="imported")
    for order in _orders(listening, children):
        pid = os.fork()
        if not pid:
            _live(order, settings, listener)
        children[pid] = order["life"]
        _tell(life=order["life"], event="born", pid=pid)
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
