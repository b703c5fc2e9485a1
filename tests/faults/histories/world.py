"""Three conversations of two tenants on the real database, and what they should look like.

The model is small on purpose: what was taken in, what was answered with which words, and the one
epoch of each conversation that may write. Everything else is asked of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from sqlalchemy import text

from channel_kit import (
    ChannelUnavailable,
    EventKind,
    OutcomeUnknown,
    RateLimited,
    Reply,
    ReplyRejected,
)
from coachline.foundation.clock import SystemClock
from coachline.foundation.engine import RetryLater
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import ConversationId, TakeoverId, TenantId, new_id
from coachline.messaging import DraftReply, Lease, LiveConnection, Takeovers, Turn, TurnOvertaken
from coachline.messaging.tables import ReplyState
from coachline.tenancy import AuditLog
from faults.histories.statements import DUE, NOT_YET, STANDING
from fixtures.desk import TRACE, Desk
from fixtures.scripted_channel import CutAfterAccept, Fault, event

FaultName = Literal[
    "none",
    "rate limited",
    "unavailable",
    "unknown",
    "cut after it was accepted",
    "rejected",
    "crash before it was accepted",
    "crash after it was accepted",
    "overtaken meanwhile",
    "taken by a coach meanwhile",
]
Kind = Literal["new", "duplicate", "edit"]
Step = Literal["take", "say", "hand back"]

# One that can be asked, one that forgets, one that knows a repeated reply; the first two of one
# tenant, whose credit is for one of them at a time.
CHANNELS: Final = (("fillable", 0), ("forgetful", 0), ("scripted", 1))
_KNOWN: Final = frozenset(get_args(ReplyState))
_UNSETTLED: Final = ("pending", "sending")


class Crash(BaseException):
    """The worker's process is gone: nothing of it goes on, not even an ``except Exception``."""


@dataclass(slots=True)
class Talk:
    """One conversation as it should be. ``events`` are ids in order, ``edits`` what they change.

    ``epoch`` is of the last claim; ``is_held`` says that it was not released since. A coach has it
    by ``takeover``; of the bot's replies only those ``under_way`` then may still come.
    """

    live: LiveConnection
    id: ConversationId
    events: list[str] = field(default_factory=list)
    edits: dict[str, str] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    replies: list[str] = field(default_factory=list)
    bells: list[Any] = field(default_factory=list)
    epoch: int = 0
    is_held: bool = False
    takeover: TakeoverId | None = None
    under_way: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)

    @property
    def open(self) -> list[str]:
        """Events without an answer, in order."""
        return [name for name in self.events if name not in self.answered]


@dataclass(slots=True)
class Hand:
    """What one worker holds, or believes it holds."""

    lease: Lease | None = None
    talk: Talk | None = None
    turn: Turn | None = None
    is_settled: bool = False

    def drop(self) -> None:
        """Hold nothing."""
        self.lease = self.talk = self.turn = None
        self.is_settled = False

    @property
    def is_mine(self) -> bool:
        """Whether what it writes should be accepted."""
        talk, lease = self.talk, self.lease
        return bool(talk and lease and talk.is_held and talk.epoch == lease.epoch)


class World:
    """The talks, three workers, and every move that can be made."""

    def __init__(self, desk: Desk, tenants: Sequence[TenantId]) -> None:
        self.desk = desk
        self.tenants = tenants
        self.talks: list[Talk] = []
        self.hands = [Hand() for _ in range(3)]
        self.takeovers = Takeovers(
            desk.database, desk.connections, desk.queue, AuditLog(SystemClock())
        )
        self._numbers = iter(range(1_000_000))

    async def open(self) -> None:
        """Connect the channels; one message in each."""
        for channel, tenant in CHANNELS:
            live = await self._connect(self.tenants[tenant], channel)
            await self.desk.intake.accept(live, [event("first", str(live.id), "hello")])
            row = await self.desk.row(live)
            talk = Talk(live, ConversationId(row["id"]), ["first"])  # type: ignore[arg-type]  # a UUID column
            talk.bells.append(row["bell"])
            self.talks.append(talk)

    async def _connect(self, tenant_id: TenantId, channel: str) -> LiveConnection:
        connections = self.desk.connections
        secret = {"secret": "s3cret"}
        name = f"{channel} {new_id()}"
        made = await connections.add(tenant_id, channel, name, secret, actor="test")
        return await connections.live(tenant_id, made.id)

    async def deliver(self, talk: Talk, kind: Kind) -> None:
        """The platform delivers something, perhaps again."""
        known = talk.events[-1]
        name = known if kind == "duplicate" else f"e{next(self._numbers)}"
        about = known if kind == "edit" else talk.edits.get(name)
        is_edit = about is not None
        accepted = await self.desk.intake.accept(
            talk.live,
            [
                event(
                    name,
                    str(talk.live.id),
                    f"words of {name}",
                    kind=EventKind.EDIT if is_edit else EventKind.MESSAGE,
                    reply_to=about,
                )
            ],
        )
        if kind == "duplicate":
            assert (accepted.events, accepted.duplicates) == ((), 1)
            return
        assert len(accepted.events) == 1
        talk.events.append(name)
        if about is not None:
            talk.edits[name] = about

    async def claim(self, hand: Hand, talk: Talk, bell: Any) -> bool:
        """Answer a bell, as the engine rings it: late, again, or for another process."""
        row = await self.desk.row(talk.live)
        is_busy = row["state"] == "running" and await self._is_leased(talk)
        try:
            lease = await self.desk.queue.claim(talk.live.tenant_id, talk.id, bell)
        except RetryLater:
            assert is_busy, "nobody has it, and yet it was put off"
            return False
        if lease is None:
            return False
        assert not is_busy, "a lease that is not over was taken"
        assert bell == row["bell"], "another bell than the row's was answered"
        assert lease.epoch == talk.epoch + 1
        talk.epoch, talk.is_held = lease.epoch, True
        hand.lease, hand.talk, hand.is_settled = lease, talk, lease.is_settled
        return True

    async def renew(self, hand: Hand) -> None:
        """Prolong a lease."""
        assert hand.lease
        is_mine = hand.is_mine
        try:
            await self.desk.queue.renew(hand.lease)
        except LeaseLost:
            assert not is_mine
            hand.drop()
        else:
            assert is_mine, "a lease was prolonged that somebody else has"

    async def begin(self, hand: Hand) -> None:
        """Begin a turn: with the oldest events, and what changes them."""
        assert hand.lease
        assert hand.talk
        try:
            turn = await self.desk.ledger.begin(hand.lease)
        except LeaseLost:
            assert not hand.is_mine
            hand.drop()
            return
        assert hand.is_mine, "a turn was begun by who does not hold the conversation"
        if turn is None:
            assert not hand.talk.open
            return
        names = [one.external_id for one in turn.events]
        oldest = hand.talk.open[: len(names)]
        late = [name for name in names if name not in oldest]
        assert names[0] == hand.talk.open[0]
        assert names[: len(names) - len(late)] == oldest[: len(names) - len(late)]
        assert all(hand.talk.edits[name] in names for name in late)
        hand.turn = turn

    async def save(self, hand: Hand, parts: int) -> None:
        """Save a turn with some replies."""
        assert hand.turn
        assert hand.talk
        names = {one.external_id for one in hand.turn.events}
        # Where a coach has it, the bot has nothing to say.
        said = 0 if hand.turn.is_held else parts
        words = [f"{hand.turn.id}/{number}" for number in range(said)]
        try:
            await self.desk.ledger.save(hand.turn, [DraftReply(word) for word in words], TRACE)
        except LeaseLost:
            assert not hand.is_mine
            hand.drop()
        except TurnOvertaken:
            asked = names - set(hand.talk.edits)
            open_edits = {name for name in hand.talk.open if hand.talk.edits.get(name) in asked}
            assert open_edits - names
        else:
            assert hand.is_mine, "a turn was saved by who does not hold the conversation"
            hand.talk.answered |= names
            hand.talk.replies += words
            hand.turn, hand.is_settled = None, False

    async def fail(self, hand: Hand) -> None:
        """A turn comes to nothing."""
        assert hand.turn
        await self.desk.ledger.fail(hand.turn, "a test")
        await self.release(hand, failed=True)

    async def abandon(self, hand: Hand) -> None:
        """A turn is stopped by ourselves."""
        assert hand.turn
        await self.desk.ledger.abandon(hand.turn)
        hand.turn = None

    async def release(self, hand: Hand, *, failed: bool = False) -> None:
        """Give a conversation back."""
        assert hand.lease
        assert hand.talk
        is_mine, talk = hand.is_mine, hand.talk
        await self.desk.queue.release(hand.lease, failed=failed)
        if is_mine:
            talk.is_held = False
        hand.drop()
        await self._stop_time(talk)

    async def settle(self, hand: Hand, fault: FaultName) -> None:
        """Send what is due; the first call may go wrong."""
        assert hand.lease
        assert hand.talk
        platform, was_mine, talk = self.desk.platform, hand.is_mine, hand.talk
        calls = len(platform.calls)
        platform.faults = self._faults(hand, fault)
        try:
            hand.is_settled = await self.desk.delivery.settle(hand.lease)
        except LeaseLost:
            assert not hand.is_mine
            hand.drop()
        except Crash:
            hand.drop()
        platform.faults = []
        await self._stop_time(talk)
        assert was_mine or len(platform.calls) == calls, "somebody without the lease called"

    def _faults(self, hand: Hand, name: FaultName) -> list[Fault]:
        match name:
            case "none":
                return []
            case "rate limited":
                return [RateLimited("slow down", retry_after=5)]
            case "unavailable":
                return [ChannelUnavailable("refused")]
            case "unknown":
                return [OutcomeUnknown("cut")]
            case "cut after it was accepted":
                return [CutAfterAccept()]
            case "rejected":
                return [ReplyRejected("never")]
            case _:
                return [self._happening(hand, name)]

    def _happening(self, hand: Hand, name: FaultName) -> Fault:
        async def happen(reply: Reply) -> None:
            platform = self.desk.platform
            if name == "overtaken meanwhile":
                await self._overtake(hand)
                return
            if name == "taken by a coach meanwhile":
                if hand.talk and hand.talk.takeover is None:
                    await self.coach(hand.talk, "take")
                return
            if name == "crash after it was accepted" and platform.names[-1] == "send":
                platform._accept(reply)
            raise Crash

        return happen

    async def _overtake(self, hand: Hand) -> None:
        free = [other for other in self.hands if other.lease is None]
        if free and hand.talk:
            await self.end_lease(hand.talk)
            row = await self.desk.row(hand.talk.live)
            await self.claim(free[0], hand.talk, row["bell"])

    async def coach(self, talk: Talk, step: Step) -> None:
        """A coach takes a conversation; who has it speaks in it, or hands it back."""
        tenant_id = talk.live.tenant_id
        if talk.takeover is None:
            before = await self._standing(talk)
            taken = await self.takeovers.take(tenant_id, talk.id, actor="staff:eva", name="Eva")
            talk.takeover, talk.under_way = taken.id, set(before["under_way"] or ())
            if before["state"] == "running" and before["turns"]:
                # Whoever was answering answers in vain.
                talk.epoch, talk.is_held = talk.epoch + 1, False
        elif step == "hand back":
            await self.takeovers.hand_back(tenant_id, talk.takeover, actor="staff:eva")
            talk.takeover = None
        else:
            words = f"Eva/{next(self._numbers)}"
            await self.takeovers.say(tenant_id, talk.takeover, words)
            talk.replies.append(words)

    async def let_coaches_lapse(self) -> None:
        """Time passes until no coach has anything any more."""
        for talk in self.talks:
            await self._change(
                talk,
                "update takeover set until = clock_timestamp() - interval '1 second'"
                " where conversation_id = :id and ended_at is null",
            )
            talk.takeover = None
        for tenant_id in self.tenants:
            await self.takeovers.sweep(tenant_id)

    async def _standing(self, talk: Talk) -> Mapping[Any, Any]:
        async with self.desk.database.tenant(talk.live.tenant_id) as session:
            found = await session.execute(text(STANDING), {"ids": [talk.id]})
            return found.mappings().one()

    async def end_lease(self, talk: Talk) -> None:
        """Time passes until a lease is over."""
        await self._change(
            talk,
            "update conversation set lease_until = clock_timestamp() - interval '1 second'"
            " where id = :id and state = 'running'",
        )

    async def hurry(self, talk: Talk) -> None:
        """Time passes until everything is due."""
        for statement in DUE:
            await self._change(talk, statement)

    async def _stop_time(self, talk: Talk) -> None:
        for statement in NOT_YET:
            await self._change(talk, statement)

    async def lose_bell(self, talk: Talk) -> None:
        """The engine forgets its job."""
        row = await self.desk.row(talk.live)
        async with self.desk.database.system() as session:
            await session.execute(
                text("delete from pgqueuer where dedupe_key = :bell"), {"bell": str(row["bell"])}
            )

    async def sweep(self) -> None:
        """Ring for whatever lies forgotten; only a lease that is over may end by that."""
        over = [talk for talk in self.talks if talk.is_held and not await self._is_leased(talk)]
        for tenant_id in self.tenants:
            await self.desk.queue._sweep_tenant(tenant_id)
        for talk in over:
            talk.is_held = (await self.desk.row(talk.live))["state"] == "running"

    async def _is_leased(self, talk: Talk) -> bool:
        async with self.desk.database.tenant(talk.live.tenant_id) as session:
            return bool(
                await session.scalar(
                    text("select lease_until > clock_timestamp() from conversation where id = :id"),
                    {"id": talk.id},
                )
            )

    async def _change(self, talk: Talk, statement: str) -> None:
        async with self.desk.database.tenant(talk.live.tenant_id) as session:
            await session.execute(text(statement), {"id": talk.id})

    async def check(self) -> None:
        """What must be so after every move."""
        for tenant_id in self.tenants:
            talks = {talk.id: talk for talk in self.talks if talk.live.tenant_id == tenant_id}
            async with self.desk.database.tenant(tenant_id) as session:
                found = await session.execute(text(STANDING), {"ids": list(talks)})
                for row in found.mappings():
                    self._check(talks[row["id"]], row)

    def _check(self, talk: Talk, row: Mapping[Any, Any]) -> None:
        if row["bell"] is not None and row["bell"] != talk.bells[-1]:
            talk.bells.append(row["bell"])
        assert row["epoch"] == talk.epoch
        assert (row["state"] == "running") is talk.is_held
        assert row["turns"] <= 1, "two turns of one conversation are under way"
        events, replies = row["events"], row["replies"] or []
        assert [name for name, _ in events] == talk.events
        assert {name for name, end in events if end == "answered"} == talk.answered
        assert {end for _, end in events} <= {"new", "answered"}
        assert [words for _, words, _, _ in replies] == talk.replies
        self._check_outbox(talk, [(name, end) for name, _, end, _ in replies])
        if talk.takeover is not None:
            bots = {name for name, _, _, author in replies if author == "bot"}
            shown = bots & set(self._accepted(talk))
            assert shown <= talk.shown | talk.under_way, "the bot spoke although a coach has it"
        talk.shown = set(self._accepted(talk))

    def _accepted(self, talk: Talk) -> list[str]:
        thread = str(talk.live.id)
        return [reply.id for reply in self.desk.platform.accepted if reply.thread == thread]

    def _check_outbox(self, talk: Talk, replies: list[tuple[str, str]]) -> None:
        # What a coach's coming dropped is out of the row, wherever it stood.
        ends = [end for _, end in replies if end != "dropped"]
        assert set(ends) <= _KNOWN
        assert ends.count("sending") <= 1
        unsettled = next((at for at, end in enumerate(ends) if end in _UNSETTLED), len(ends))
        assert all(end in _UNSETTLED for end in ends[unsettled:]), "settled out of order"
        assert "sending" not in ends[unsettled + 1 :], "sent out of order"
        order = [name for name, _ in replies]
        accepted = self._accepted(talk)
        shown = list(dict.fromkeys(accepted))
        # Only where a repeated reply is shown once may it be sent again.
        assert accepted == shown or talk.live.channel.capabilities.idempotent_send, "shown twice"
        assert shown == [name for name in order if name in set(shown)], "shown out of order"
        assert {name for name, end in replies if end == "sent"} <= set(shown), "never accepted"

    async def drain(self) -> None:
        """All workers die, time passes, and two rounds of everything: nothing may be left."""
        for hand in self.hands:
            hand.drop()
        await self.let_coaches_lapse()
        for _ in range(12 + max(len(talk.events) for talk in self.talks)):
            for talk in self.talks:
                await self.end_lease(talk)
                await self.lose_bell(talk)
                await self.hurry(talk)
            await self.sweep()
            for talk in self.talks:
                await self._work(talk)
            await self.check()
            if not any([await self._is_left(talk) for talk in self.talks]):
                return
        raise AssertionError("something was never done")

    async def _work(self, talk: Talk) -> None:
        """What a worker does with one bell."""
        row, hand = await self.desk.row(talk.live), self.hands[0]
        if row["bell"] is None or not await self.claim(hand, talk, row["bell"]):
            return
        await self.settle(hand, "none")
        if hand.is_settled:
            await self.begin(hand)
        if hand.turn is not None:
            await self.save(hand, 1)
            await self.settle(hand, "none")
        await self.release(hand)

    async def _is_left(self, talk: Talk) -> bool:
        async with self.desk.database.tenant(talk.live.tenant_id) as session:
            left = await session.scalar(
                text(
                    "select exists (select from inbox_event where conversation_id = :id and"
                    " state = 'new') or exists (select from outbox_reply where conversation_id ="
                    " :id and state in ('pending', 'sending'))"
                ),
                {"id": talk.id},
            )
        return bool(left) or talk.open != []
