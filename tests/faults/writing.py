"""Learners of several tenants who write one message after another, and what became of them."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import aiohttp

from channel_kit.signing import parse_secret, sign
from fixtures.gateway import Connected
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver

_LEARNERS: Final = 6
_PAUSE_SECONDS: Final = 0.15
_MOST_UNANSWERED: Final = 60
"""Nobody writes more while so many wait: faults are tried, not how fast the machine is."""
_WAIT_SECONDS: Final = 90.0


@dataclass
class Writing:
    """Learners who write one message after another, and never try one again.

    Args:
        to: the tenants that they write to, in turn.
        receiver: takes the answers.
        seed: of their pauses.
    """

    to: Sequence[Connected]
    receiver: CallbackReceiver
    seed: int
    asked: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    statuses: Counter[str] = field(default_factory=Counter)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _answered: int = 0
    _seen: int = 0

    @property
    def posted(self) -> int:
        """Messages that were sent, whatever became of them."""
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """Messages that were not taken."""
        return self.posted - self.statuses["200"]

    @property
    def unanswered(self) -> int:
        """Messages that were taken and are not answered yet."""
        for reply in self.receiver.accepted[self._seen :]:
            self._answered += len(reply.body["in_reply_to"])
            self._seen += 1
        return self.statuses["200"] - self._answered

    async def run(self) -> None:
        """Write until told to stop."""
        # Some keep their connection, as most platforms do, and some open one for each message.
        kept = aiohttp.TCPConnector(limit=0)
        fresh = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=kept) as first,
            aiohttp.ClientSession(connector=fresh) as second,
            asyncio.TaskGroup() as group,
        ):
            for number in range(_LEARNERS):
                http = (first, second)[number // len(self.to) % 2]
                group.create_task(self._write(http, self.to[number % len(self.to)], number))

    def stop(self) -> None:
        """Let everybody finish."""
        self._stop.set()

    async def judge(self) -> Counter[str]:
        """Wait until all that was taken is answered; count what is wrong with the answers."""

        def is_answered() -> bool:
            return not any(
                self.receiver.judge(asked, path=path).lost for path, asked in self.asked.items()
            )

        # What is lost stays lost; the verdict tells it better than a time-out would.
        with suppress(TimeoutError):
            await until(is_answered, seconds=_WAIT_SECONDS)
        wrong: Counter[str] = Counter()
        for path, asked in self.asked.items():
            verdict = self.receiver.judge(asked, path=path)
            wrong["lost"] += len(verdict.lost)
            wrong["duplicate"] += len(verdict.duplicated) + len(verdict.changed)
            wrong["out_of_order"] += len(verdict.disordered)
            wrong["foreign"] += len(verdict.foreign)
        return wrong

    def problems(self, wrong: Counter[str]) -> list[str]:
        """What of all that is not as it has to be, in words; ``wrong`` is what ``judge`` found."""
        told = [f"{count} {kind}" for kind, count in wrong.items() if count]
        if self.failed:
            told.insert(
                0, f"requests failed: {dict(self.statuses - Counter({'200': self.posted}))}"
            )
        return told

    async def _write(self, http: aiohttp.ClientSession, to: Connected, learner: int) -> None:
        dice, sender, number = random.Random(self.seed + learner), f"learner-{learner}", 0
        while not self._stop.is_set():
            if self.unanswered > _MOST_UNANSWERED:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            message_id, number = f"{sender}-{number}", number + 1
            status = await _post(http, to, message_id, sender)
            self.statuses[status] += 1
            if status == "200":
                self.asked[to.path][sender].append(message_id)
            await asyncio.sleep(dice.uniform(0, 2 * _PAUSE_SECONDS))


async def _post(http: aiohttp.ClientSession, to: Connected, message_id: str, sender: str) -> str:
    """Post one message, once; its status or what went wrong."""
    body = json.dumps(
        {"type": "message", "id": message_id, "sender": {"id": sender}, "text": "Hello"}
    ).encode()
    secret = parse_secret(to.secret)
    headers = sign([secret], message_id=message_id, timestamp=datetime.now(UTC), body=body)
    try:
        async with http.post(to.inbound_url, data=body, headers=headers) as answer:
            return str(answer.status)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return type(error).__name__
