"""The tenant's side of the webhook channel: takes replies, keeps a ledger, fails on command.

In a test it is an async context manager. As a process (``python tests/lab/callback_receiver.py
--port 0``) it prints its address as one JSON line and is steered over HTTP: ``GET /ledger``,
``POST /control``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


class Answer(StrEnum):
    """What a request is answered with; whether the reply counts as accepted stands in ACCEPTING."""

    OK = "ok"
    SLOW = "slow"
    """Accepted at once, answered after ``slow_seconds``."""
    ERROR_AFTER_ACCEPT = "error_after_accept"
    CUT_AFTER_ACCEPT = "cut_after_accept"
    CUT_BEFORE_ACCEPT = "cut_before_accept"
    RATE_LIMITED = "rate_limited"
    """429 with ``Retry-After: retry_after_seconds``."""
    UNAVAILABLE = "unavailable"
    BAD_REQUEST = "bad_request"
    GONE = "gone"
    REDIRECT = "redirect"


ACCEPTING: Final = frozenset(
    {Answer.OK, Answer.SLOW, Answer.ERROR_AFTER_ACCEPT, Answer.CUT_AFTER_ACCEPT}
)

_STATUS: Final = {
    Answer.OK: 200,
    Answer.SLOW: 200,
    Answer.ERROR_AFTER_ACCEPT: 500,
    Answer.RATE_LIMITED: 429,
    Answer.UNAVAILABLE: 503,
    Answer.BAD_REQUEST: 400,
    Answer.GONE: 410,
    Answer.REDIRECT: 307,
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A reply that was taken, once per webhook id, in the order of first acceptance."""

    path: str
    webhook_id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One proven request; ``at`` is the loop's clock in seconds."""

    path: str
    webhook_id: str
    answer: Answer
    at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was delivered beside what should have been; everything empty is a perfect delivery.

    ``lost`` events have no reply; ``duplicated`` ones have two different replies for the same
    part; ``disordered`` ones were answered before an event that came earlier in their thread;
    ``foreign`` ones were never expected; ``changed`` webhook ids came back with another body.
    """

    lost: tuple[str, ...]
    duplicated: tuple[str, ...]
    disordered: tuple[str, ...]
    foreign: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def is_perfect(self) -> bool:
        """Whether nothing is wrong."""
        return not any(asdict(self).values())


@dataclass(slots=True)
class _Faults:
    planned: deque[Answer] = field(default_factory=deque)
    shares: dict[Answer, float] = field(default_factory=dict)


class CallbackReceiver:
    """An HTTP server on loopback that takes replies as a careful receiver would.

    Args:
        port: where to listen; 0 takes a free port.
        seed: decides which requests the shares of faults meet.
        retry_after_seconds: what a 429 asks for.
        slow_seconds: how long :attr:`Answer.SLOW` takes.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        retry_after_seconds: int = 1,
        slow_seconds: float = 0.5,
    ) -> None:
        self.accepted: list[Accepted] = []
        self.attempts: list[Attempt] = []
        self.refused: list[str] = []
        """Paths of requests without a valid signature."""
        self.changed: list[str] = []
        self.retry_after_seconds = retry_after_seconds
        self.slow_seconds = slow_seconds
        self._port = port
        self._random = random.Random(seed)  # repeatable on purpose
        self._faults = _Faults()
        self._secrets: dict[str, list[Webhook]] = {}
        self._bodies: dict[tuple[str, str], bytes] = {}
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The address of the server, without a path."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**20)
        app.router.add_get("/ledger", self._show_ledger)
        app.router.add_post("/control", self._control)
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def trust(self, secret: str, *, path: str = "/") -> str:
        """Accept what ``secret`` (``whsec_…``) signs at ``path``; return the callback URL.

        Call it again for the same path while secrets rotate.
        """
        self._secrets.setdefault(path, []).append(Webhook(secret))
        return self.url + path

    def plan(self, *answers: Answer) -> None:
        """Answer the next proven requests like this, one each; then by shares again."""
        self._faults.planned.extend(answers)

    def share(self, shares: Mapping[Answer, float]) -> None:
        """Answer this share (0 to 1) of requests like that, drawn by the seed; the rest is OK."""
        self._faults.shares = dict(shares)

    async def wait_for(self, count: int, seconds: float) -> list[Accepted]:
        """Return the accepted replies as soon as there are ``count``.

        Raises:
            TimeoutError: there were fewer after ``seconds``; the message says how many.
        """
        try:
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait_for(lambda: len(self.accepted) >= count)
        except TimeoutError:
            raise TimeoutError(
                f"{len(self.accepted)} of {count} replies in {seconds} s "
                f"({len(self.attempts)} attempts, {len(self.refused)} refused)"
            ) from None
        return list(self.accepted)

    def judge(self, expected: Mapping[str, Sequence[str]], *, path: str = "/") -> Verdict:
        """Compare what ``path`` accepted with ``expected``: thread → event ids, oldest first."""
        replies = [reply.body for reply in self.accepted if reply.path == path]
        return judge(replies, expected, changed=self.changed)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        data = await request.read()
        if not self._is_proven(request, data):
            self.refused.append(request.path)
            return web.Response(status=401)
        webhook_id = request.headers["webhook-id"]
        answer = self._next_answer()
        now = asyncio.get_running_loop().time()
        self.attempts.append(Attempt(request.path, webhook_id, answer, now))
        if answer in ACCEPTING:
            await self._accept(request.path, webhook_id, data)
        return await self._respond(request, answer)

    def _is_proven(self, request: web.Request, data: bytes) -> bool:
        for secret in self._secrets.get(request.path, ()):
            try:
                secret.verify(data, dict(request.headers), json_parse=False)
            except (WebhookVerificationError, ValueError):
                # The library lets malformed headers out as kinds of ValueError.
                continue
            return True
        return False

    def _next_answer(self) -> Answer:
        if self._faults.planned:
            return self._faults.planned.popleft()
        drawn = self._random.random()
        for answer, share in self._faults.shares.items():
            if drawn < share:
                return answer
            drawn -= share
        return Answer.OK

    async def _accept(self, path: str, webhook_id: str, data: bytes) -> None:
        known = self._bodies.setdefault((path, webhook_id), data)
        if known != data:
            self.changed.append(webhook_id)
        if known is not data:
            return
        async with self._arrived:
            self.accepted.append(Accepted(path, webhook_id, json.loads(data)))
            self._arrived.notify_all()

    async def _respond(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if answer in (Answer.CUT_AFTER_ACCEPT, Answer.CUT_BEFORE_ACCEPT):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if answer is Answer.SLOW:
            await asyncio.sleep(self.slow_seconds)
        headers = {}
        if answer is Answer.RATE_LIMITED:
            headers["Retry-After"] = str(self.retry_after_seconds)
        if answer is Answer.REDIRECT:
            headers["Location"] = f"{self.url}/elsewhere"
        return web.Response(status=_STATUS[answer], headers=headers)

    async def _show_ledger(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "accepted": [asdict(reply) for reply in self.accepted],
                "attempts": [asdict(attempt) for attempt in self.attempts],
                "refused": self.refused,
                "changed": self.changed,
            }
        )

    async def _control(self, request: web.Request) -> web.Response:
        """Steer a process: ``{"trust": {path: secret}, "plan": […], "share": {answer: 0.1}}``."""
        orders = await request.json()
        for path, secret in orders.get("trust", {}).items():
            self.trust(secret, path=path)
        self.plan(*(Answer(name) for name in orders.get("plan", ())))
        if "share" in orders:
            self.share({Answer(name): float(part) for name, part in orders["share"].items()})
        return web.Response(status=204)


def judge(
    replies: Sequence[Mapping[str, Any]],
    expected: Mapping[str, Sequence[str]],
    *,
    changed: Iterable[str] = (),
) -> Verdict:
    """Compare reply bodies, in the order of acceptance, with what every thread expects."""
    parts = Counter(
        (event, reply.get("part", 1)) for reply in replies for event in reply["in_reply_to"]
    )
    first_answered: dict[str, int] = {}
    threads: dict[str, str] = {}
    for position, reply in enumerate(replies):
        for event in reply["in_reply_to"]:
            first_answered.setdefault(event, position)
            threads.setdefault(event, reply["thread"])
    lost, disordered = [], []
    for events in expected.values():
        lost += [event for event in events if event not in first_answered]
        disordered += _too_early(
            [event for event in events if event in first_answered], first_answered
        )
    wanted = {event: thread for thread, events in expected.items() for event in events}
    return Verdict(
        lost=tuple(lost),
        duplicated=tuple(sorted({event for (event, _), count in parts.items() if count > 1})),
        disordered=tuple(disordered),
        foreign=tuple(event for event, thread in threads.items() if wanted.get(event) != thread),
        changed=tuple(changed),
    )


def _too_early(events: Sequence[str], answered: Mapping[str, int]) -> list[str]:
    early, latest = [], -1
    for event in events:
        if answered[event] < latest:
            early.append(event)
        latest = max(latest, answered[event])
    return early


async def _serve(port: int, seed: int) -> None:
    async with CallbackReceiver(port=port, seed=seed) as receiver:
        sys.stdout.write(json.dumps({"url": receiver.url}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Run the receiver until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        asyncio.run(_serve(given.port, given.seed))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
