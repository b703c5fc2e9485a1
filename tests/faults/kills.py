"""Thousands of questions while every process that answers them is killed and frozen.

Processes live until the fault that was drawn for them and are replaced at once. When everything was
asked and every point of the path has had its faults, the processes live on until nothing is left to
do. Then the ledgers of the fake platforms judge.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from coachline_lab import Asked, Ledger
from faults.asked import WRONG, Judged, judge
from faults.findings import Figures, Finding, Run
from faults.herd import Life
from faults.plans import POINTS, Action, Deck, Plan, Role
from faults.stage import LEASE_SECONDS, Stage, open_stage
from faults.talks import Crowd
from fixtures.waiting import until

FROZEN_SECONDS: Final = 1.7 * LEASE_SECONDS
_LIVES: Final[dict[Role, int]] = {"serve": 2, "work": 3}
_THAWED_SECONDS: Final = 1.0
_SETTLE_SECONDS: Final = 180.0
_SAY_SECONDS: Final = 5.0
_LEAST_ROUNDS: Final = 2
_MOST_ROUNDS: Final = 8
_TOLD: Final = 10
_NAMES_A_MESSAGE: Final = ("ts", "message_id")

_UNSETTLED: Final = """
    select (select count(*) from inbox_event where state = 'new')
         + (select count(*) from outbox_reply where state in ('pending', 'sending'))
         + (select count(*) from conversation where state <> 'idle')
"""
_WHY: Final = """
    select e.external_id, e.state, e.attempts, c.state as conversation, c.epoch, c.failures,
           r.state as reply, r.attempts as sends, r.problem
    from inbox_event e
    join conversation c on c.tenant_id = e.tenant_id and c.id = e.conversation_id
    left join outbox_reply r on r.tenant_id = e.tenant_id and r.turn_id = e.turn_id
    where e.state not in ('answered', 'recorded') or r.state <> 'sent'
    order by e.created_at limit 20
"""
_BECAME: Final = """
    select e.text as asked, e.state as event, t.state as turn, t.handle as draft,
           r.state as reply, r.attempts as sends, r.handle, r.receipt ->> 'external_id' as shown_as,
           r.problem
    from inbox_event e
    left join turn t on t.tenant_id = e.tenant_id and t.id = e.turn_id
    left join outbox_reply r on r.tenant_id = e.tenant_id and r.turn_id = e.turn_id
    where e.text = any($1)
"""
_REPLIES: Final = "select state, count(*) as n from outbox_reply group by state"

Trouble = Callable[[Stage, "Tally"], Awaitable[None]]
"""Something that also goes wrong during the run, until it is cancelled."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is tried.

    Attributes:
        messages: at least; more are asked, up to eight times as many, until every point had its
            faults and every trouble came.
        talks: how many people ask.
        faults: at each point, at least; with 0 every process lives until the end.
        freezes: the share (0 to 1) of faults that freeze.
        ambiguous: the share of calls that platforms carry out and answer as if they had not.
    """

    messages: int
    talks: int
    faults: int = 20
    freezes: float = 0.05
    ambiguous: float = 0.02


@dataclass
class Tally:
    """What happened in a run.

    ``coming`` are the troubles that come once and did not yet; ``recoveries`` are seconds until a
    reply arrived again.
    """

    deck: Deck
    thaws: list[asyncio.Task[None]] = field(default_factory=list)
    coming: set[str] = field(default_factory=set)
    restarts: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def on_fault(self, life: Life, point: str, action: Action) -> None:
        """Count a fault; who is frozen is thawed when the lease is long over."""
        self.deck.note(next(one for one in POINTS if one == point), action)
        if action == "freeze":
            self.thaws.append(asyncio.create_task(_thaw(life)))


@dataclass(frozen=True)
class Outcome:
    """How the gateway's own rows stand at the end.

    ``waits`` are the seconds that learners waited for an answer. ``why`` tells of rows that never
    settled. ``refusals`` are the errors with which processes ended themselves, as without their
    database; ``crashes`` those that ended otherwise, as ``waitpid`` says it. ``became`` tells what
    the rows and the platforms say of what is wrong.
    """

    messages: int
    waits: Sequence[float]
    lives: int
    replies: dict[str, int]
    unsettled: int
    why: list[dict[str, object]]
    became: list[str]
    refusals: Counter[str]
    crashes: list[str]


async def _thaw(life: Life) -> None:
    await asyncio.sleep(FROZEN_SECONDS)
    life.send(signal.SIGCONT)
    # What it does first with an expired lease is what matters; then another takes its place.
    await asyncio.sleep(_THAWED_SECONDS)
    life.send(signal.SIGTERM)


async def run_kills(
    run: Run, size: Size, *, row: int, name: str, troubles: tuple[Trouble, ...] = ()
) -> Finding:
    """Play the whole run and judge it.

    Args:
        run: its seed and folder.
        size: how much is tried.
        row: of the table of faults that it is about.
        name: of the finding.
        troubles: what goes wrong beside the processes.
    """
    tally = Tally(Deck(run.seed, size.freezes))
    begun = time.monotonic()
    async with open_stage(run.folder, seed=run.seed, on_fault=tally.on_fault) as stage:
        messages = run.messages or size.messages
        crowd = Crowd(stage, min(size.talks, messages // _LEAST_ROUNDS), run.seed)
        each = -(-messages // crowd.count)
        stage.disturb(run.seed, ambiguous=size.ambiguous)
        saying = asyncio.create_task(_say(run, tally, crowd))
        try:
            async with (
                _living(stage, tally, is_dying=bool(size.faults)),
                _going_wrong(stage, tally, troubles),
            ):
                await crowd.talk(
                    each,
                    most=_MOST_ROUNDS * each,
                    is_enough=lambda: tally.deck.fewest >= size.faults and not tally.coming,
                )
            await _settle(stage)
        finally:
            saying.cancel()
            await asyncio.gather(saying, *tally.thaws, return_exceptions=True)
        tally.seconds = time.monotonic() - begun
        ledgers = (stage.telegram.ledger, stage.slack.ledger, stage.twilio.ledger)
        judged = judge(crowd.questions, ledgers, stage.receiver)
        outcome = await _look(stage, crowd, judged)
    problem = _problem(judged, tally, size, outcome)
    return Finding(row, name, _figures(judged, tally, outcome), not problem, problem)


async def _look(stage: Stage, crowd: Crowd, judged: Judged) -> Outcome:
    unsettled = await _count_unsettled(stage)
    return Outcome(
        messages=crowd.questions.count,
        waits=crowd.waits,
        lives=len(stage.herd.lives),
        replies={row["state"]: row["n"] for row in await stage.ask_database(_REPLIES)},
        unsettled=unsettled,
        why=[dict(row) for row in await stage.ask_database(_WHY)] if unsettled else [],
        became=await _explain(stage, crowd, judged),
        refusals=Counter(life.refusal for life in stage.herd.lives if life.refusal),
        crashes=[str(life.status) for life in stage.herd.lives if life.is_crashed],
    )


async def _explain(stage: Stage, crowd: Crowd, judged: Judged) -> list[str]:
    wrong = [said.rpartition(": ")[2] for kind in WRONG for said in judged.found[kind]][:_TOLD]
    if not wrong:
        return []
    rows = await stage.ask_database(_BECAME, wrong)
    told = [str(dict(row)) for row in rows]
    handles = {row["asked"]: row["handle"] or row["draft"] for row in rows}
    for ledger in (stage.telegram.ledger, stage.slack.ledger, stage.twilio.ledger):
        for lost in ledger.judge(crowd.questions.by_platform[ledger.platform]).lost[:_TOLD]:
            stands = [
                (message.message_id, message.text)
                for message in ledger.transcript(lost.thread, account=lost.account)
                if message.sender is None and "re: " not in message.text
            ]
            told.append(f"{lost.marker}: beside answers stand {stands}")
            if handle := handles.get(lost.marker):
                told.append(f"{lost.marker}: at {handle} {_calls_about(ledger, lost, handle)}")
    return told


def _calls_about(ledger: Ledger, lost: Asked, handle: str) -> list[str]:
    """What the platform was asked to do with the message of a handle, with the seconds."""
    names = set(handle.split(":"))
    return [
        f"{call.at:.2f} {call.method} {call.fault} {call.outcome} {call.args.get('text', '')!r:.60}"
        for call in ledger.calls()
        if call.account == lost.account
        and any(str(call.args.get(name)) in names for name in _NAMES_A_MESSAGE)
    ]


@asynccontextmanager
async def _living(stage: Stage, tally: Tally, *, is_dying: bool) -> AsyncIterator[None]:
    """Keep processes of both kinds alive, each with its fate if it ``is_dying``."""
    await _end_all(stage)
    keepers = [
        asyncio.create_task(_keep(stage, tally, role, is_dying=is_dying))
        for role, count in _LIVES.items()
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


async def _keep(stage: Stage, tally: Tally, role: Role, *, is_dying: bool) -> None:
    """One place for a process: the next one begins when the one before it has ended."""
    while True:
        life = stage.herd.start(tally.deck.draw(role) if is_dying else Plan(role, {}))
        await life.ended.wait()


@asynccontextmanager
async def _going_wrong(
    stage: Stage, tally: Tally, troubles: tuple[Trouble, ...]
) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(trouble(stage, tally)) for trouble in troubles]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _settle(stage: Stage) -> None:
    """Wait until nothing is left to do, or for long enough to say that it never will be."""
    await _end_all(stage)
    for role, count in _LIVES.items():
        for _ in range(count):
            stage.herd.start(Plan(role, {}))
    with suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE_SECONDS):
            await stage.telegram.idle(_SETTLE_SECONDS)
            await stage.slack.idle(_SETTLE_SECONDS)
            await until(partial(_is_settled, stage), seconds=_SETTLE_SECONDS)


async def _end_all(stage: Stage) -> None:
    """Kill whoever is still alive, wherever it is: no point was named for that."""
    for life in stage.herd.lives:
        life.send(signal.SIGKILL)
    for life in stage.herd.lives:
        await life.ended.wait()


async def _is_settled(stage: Stage) -> bool:
    return not await _count_unsettled(stage)


async def _count_unsettled(stage: Stage) -> int:
    (row,) = await stage.ask_database(_UNSETTLED)
    found: int = row[0]
    return found


async def _say(run: Run, tally: Tally, crowd: Crowd) -> None:
    while True:
        await asyncio.sleep(_SAY_SECONDS)
        deck = tally.deck
        rarest = min(POINTS, key=deck.faults_at)
        run.say(
            f"{crowd.questions.count} messages, {deck.count('kill')} kills, "
            f"{deck.count('freeze')} freezes, {tally.restarts.total()} restarts; "
            f"fewest at {rarest}: {deck.fewest}"
        )


def _figures(judged: Judged, tally: Tally, outcome: Outcome) -> Figures:
    deck = tally.deck
    return {
        "messages": outcome.messages,
        **(_faults(deck) if deck.faults else {}),
        **{f"restarts_of_{server}": count for server, count in tally.restarts.items()},
        **{kind: len(found) for kind, found in judged.found.items()},
        "unknown": outcome.replies.get("unknown", 0),
        "processes": outcome.lives,
        **{f"ended_by_{code}": count for code, count in outcome.refusals.items()},
        "replies": sum(outcome.replies.values()),
        **{f"recovery_{name}_seconds": at for name, at in _percentiles(tally.recoveries).items()},
        **{f"answer_{name}_seconds": at for name, at in _percentiles(outcome.waits).items()},
        "seconds": round(tally.seconds, 1),
        **{f"faults_at_{point}": deck.faults_at(point) for point in POINTS if deck.faults},
    }


def _faults(deck: Deck) -> Figures:
    return {
        "kills": deck.count("kill"),
        "freezes": deck.count("freeze"),
        "fewest_faults_at_a_point": deck.fewest,
    }


def _percentiles(seconds: Sequence[float]) -> Figures:
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {f"p{at}": round(ordered[round(last * at / 100)], 2) for at in (50, 95) if ordered}


def _problem(judged: Judged, tally: Tally, size: Size, outcome: Outcome) -> str:
    problems = [
        f"{kind}: {', '.join(judged.found[kind][:_TOLD])}" for kind in WRONG if judged.found[kind]
    ]
    if tally.deck.fewest < size.faults:
        rare = [point for point in POINTS if tally.deck.faults_at(point) < size.faults]
        problems.append(f"fewer than {size.faults} faults at {', '.join(rare)}")
    if outcome.unsettled:
        problems.append(f"{outcome.unsettled} rows were never settled: {outcome.why}")
    problems += outcome.became
    if outcome.crashes:
        problems.append(f"processes crashed: {sorted(outcome.crashes)}")
    return "; ".join(problems)
