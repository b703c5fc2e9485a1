"""Row 10: a platform that asks everybody to wait, and then breaks, for minutes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from coachline_lab import Asked, Faults, Ledger, Mode, Verdict
from coachline_lab.slack import FakeSlack
from coachline_lab.telegram import FakeTelegram
from coachline_lab.twilio import FakeTwilio
from faults.findings import Figures, Finding, Run, Scale
from faults.premises import open_servers
from fixtures.house import MANY, Ground
from fixtures.lab_house import LabHouse, open_lab_house

_OUTAGE_SECONDS: Final[dict[Scale, float]] = {
    "pull-request": 4.0,
    "nightly": 60.0,
    "release": 600.0,
}
_PAUSE_SECONDS: Final[dict[Scale, float]] = {"pull-request": 0.5, "nightly": 1.0, "release": 2.0}
"""Between two questions on one platform of one tenant."""
_RETRY_AFTER_SECONDS: Final[dict[Scale, int]] = {"pull-request": 2, "nightly": 5, "release": 30}
_MOST_DRAIN: Final = 2.0
"""Times the outage, until everything of it is answered."""
_MOST_SLOWER: Final = 1.5
_PATIENCE_SECONDS: Final = 120.0
_PACE: Final[dict[str, Any]] = {"segments_per_second": 1000.0, "burst_segments": 1000.0}

Say = Callable[[str, int], Awaitable[Asked]]
"""Has a person, by number, say a marker."""


@dataclass
class _Line:
    """One tenant on one platform of its own."""

    faults: Faults
    ledger: Ledger
    say: Say
    asked: list[Asked] = field(default_factory=list)
    waits: list[asyncio.Task[float]] = field(default_factory=list)

    async def ask(self, number: int) -> None:
        """Ask a question, and begin to wait for its answer."""
        asked = await self.say(f"question-{number}", number)
        self.asked.append(asked)
        self.waits.append(asyncio.create_task(self._wait(asked, time.monotonic())))

    async def _wait(self, asked: Asked, since: float) -> float:
        marker = f"re: {asked.marker}"
        await self.ledger.wait_for_answer(
            asked.thread,
            seconds=3 * _OUTAGE_SECONDS["release"],
            accept=lambda message: marker in message.text.splitlines(),
        )
        return time.monotonic() - since

    async def settle(self, seconds: float) -> None:
        """Wait until everything is answered, at most so long: the ledger tells what is not."""
        with suppress(TimeoutError):
            await self.ledger.wait_until(
                lambda: self.ledger.judge(self.asked).is_perfect, seconds=seconds
            )
        for wait in self.waits:
            wait.cancel()
        await asyncio.gather(*self.waits, return_exceptions=True)

    @property
    def refused(self) -> int:
        """Calls that met a fault."""
        return sum(call.fault != "none" for call in self.ledger.calls())

    async def wait_struck(self, count: int) -> None:
        """Wait until more than ``count`` calls met a fault: a busy machine takes its time.

        Raises:
            TimeoutError: none did; whoever asked for a storm would wait in vain.
        """
        await self.ledger.wait_until(lambda: self.refused > count, seconds=_PATIENCE_SECONDS)

    @property
    def seconds(self) -> list[float]:
        """How long the answered questions waited, by the order of the questions."""
        done = (wait for wait in self.waits if wait.done() and not wait.cancelled())
        return [wait.result() for wait in done if wait.exception() is None]


@asynccontextmanager
async def _open_lines(lab: LabHouse, word: str, place: int) -> AsyncIterator[list[_Line]]:
    """A tenant with a Telegram, a Slack and a Twilio of its own."""
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(FakeTelegram())
        slack = await stack.enter_async_context(FakeSlack())
        twilio = await stack.enter_async_context(FakeTwilio(pause_seconds=0.1))
        tenant = await lab.add_tenant(word)
        # Equal accounts of two platforms on one host would be one account of two tenants.
        bot = [telegram.add_bot() for _ in range(place)][-1]
        await lab.connect_telegram(tenant, telegram, bot)
        app = [slack.install() for _ in range(place)][-1]
        await lab.connect_slack(tenant, slack, app)
        number = f"+1555100000{place}"
        account = twilio.add_account(numbers=[number])
        await lab.connect_sms(tenant, twilio, account, **_PACE)

        async def say_telegram(marker: str, person: int) -> Asked:
            said = await telegram.say(marker, user=1000 + person, bot=bot)
            return Asked(said.thread, marker)

        async def say_slack(marker: str, person: int) -> Asked:
            said = await slack.say(marker, user=f"U{person:06}", app=app)
            return Asked(said.thread, marker)

        async def say_twilio(marker: str, person: int) -> Asked:
            learner = f"+1555{person:07}"
            await twilio.say(marker, person=learner, to=number, account=account)
            return Asked(learner, marker)

        yield [
            _Line(telegram.faults, telegram.ledger, say_telegram),
            _Line(slack.faults, slack.ledger, say_slack),
            _Line(twilio.faults, twilio.ledger, say_twilio),
        ]
        # They are asked to forget the gateway while they are still there.
        await lab.let_go()


@dataclass
class _Course:
    """What was measured. Seconds throughout."""

    outage: float
    drain: float
    calm: list[float]
    meanwhile: list[float]


async def check_platform_storms(run: Run) -> Finding:
    """One tenant's platforms ask to wait, then break; the other tenant's go on."""
    async with open_servers(run.folder) as servers:
        return await storm_on(servers.ground, run)


async def storm_on(ground: Ground, run: Run) -> Finding:
    """The same on a database that is there, and that no other house uses."""
    async with (
        open_lab_house(ground, messages_per_day=MANY, lease_seconds=30.0) as lab,
        _open_lines(lab, "calm", 1) as calm,
        _open_lines(lab, "stormy", 2) as stormy,
    ):
        course = await _run_course(stormy, calm, run)
        return _find(stormy, calm, course, run)


async def _run_course(stormy: Sequence[_Line], calm: Sequence[_Line], run: Run) -> _Course:
    outage, pause = _OUTAGE_SECONDS[run.scale], _PAUSE_SECONDS[run.scale]
    run.say("storm: how fast it is without one")
    before = await _ask_for(calm, outage / 4, pause, 0)
    run.say(f"storm: {outage:.0f} s of 429 and 5xx")
    for line in stormy:
        line.faults.share(
            Mode.RATE_LIMITED, 1.0, run.seed, retry_after=_RETRY_AFTER_SECONDS[run.scale]
        )
    begun = time.monotonic()
    number = await _ask_for([*stormy, *calm], outage / 2, pause, before)
    await asyncio.gather(*(line.wait_struck(0) for line in stormy))
    struck = [line.refused for line in stormy]
    for line in stormy:
        line.faults.clear()
        line.faults.share(Mode.SERVER_ERROR, 0.5, run.seed, status=503)
        line.faults.share(Mode.HTML_ERROR, 0.5, run.seed + 1)
        line.faults.share(Mode.CUT_BEFORE_ACCEPT, 1.0, run.seed + 2)
    await _ask_for([*stormy, *calm], outage / 2, pause, number)
    await asyncio.gather(
        *(line.wait_struck(count) for line, count in zip(stormy, struck, strict=True))
    )
    for line in stormy:
        line.faults.clear()
    ended = time.monotonic()
    run.say("storm: over; waiting for what it held up")
    limit = max(_PATIENCE_SECONDS, 2 * _MOST_DRAIN * outage)
    await asyncio.gather(*(line.settle(limit) for line in stormy))
    drain = time.monotonic() - ended
    await asyncio.gather(*(line.settle(_PATIENCE_SECONDS) for line in calm))
    return _Course(
        ended - begun,
        drain,
        calm=[one for line in calm for one in line.seconds[:before]],
        meanwhile=[one for line in calm for one in line.seconds[before:]],
    )


async def _ask_for(lines: Sequence[_Line], seconds: float, pause: float, number: int) -> int:
    """Ask on all lines for a while; the number of the next question."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.gather(*(line.ask(number) for line in lines))
        number += 1
        await asyncio.sleep(pause)
    return number


def _find(stormy: Sequence[_Line], calm: Sequence[_Line], course: _Course, run: Run) -> Finding:
    verdicts = [line.ledger.judge(line.asked) for line in (*stormy, *calm)]
    wrong = {kind: _count(verdicts, kind) for kind in ("lost", "duplicate", "disordered")}
    early = [call for line in stormy for call in line.ledger.early_retries()]
    refused = sum(line.refused for line in stormy)
    quiet, loud = _p95(course.calm), _p95(course.meanwhile)
    drain = course.drain / course.outage
    problems = [f"{count} {kind}" for kind, count in wrong.items() if count]
    problems += [f"early retry of {call.method} in {call.thread}" for call in early]
    # A few seconds of storm tell nothing of times.
    if run.scale != "pull-request":
        if drain > _MOST_DRAIN:
            problems.append(f"drained in {drain:.1f} times the outage")
        if loud > _MOST_SLOWER * quiet:
            problems.append(f"the other tenant waited {loud:.1f} s instead of {quiet:.1f} s")
    figures: Figures = {
        "outage_seconds": round(course.outage, 1),
        "questions_meanwhile": sum(len(line.asked) for line in stormy),
        "calls_refused": refused,
        "early_retries": len(early),
        **wrong,
        "stray": _count(verdicts, "stray"),
        "drain_seconds": round(course.drain, 1),
        "drain_per_outage": round(drain, 2),
        "other_tenant_p95_quiet_seconds": round(quiet, 2),
        "other_tenant_p95_meanwhile_seconds": round(loud, 2),
    }
    return Finding(10, "platform-storms", figures, not problems, "; ".join(problems))


def _count(verdicts: Sequence[Verdict], kind: str) -> int:
    return sum(len(getattr(verdict, kind)) for verdict in verdicts)


def _p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[round((len(ordered) - 1) * 0.95)] if ordered else 0.0
