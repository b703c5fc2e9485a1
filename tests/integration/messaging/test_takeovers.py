"""A coach takes a conversation: one at a time, atomically with what the bot is about to say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import ConversationId, TakeoverId, TenantId, TurnId, new_id
from coachline.messaging import (
    Attention,
    ConversationNotFound,
    DeliveryRules,
    DraftReply,
    LiveConnection,
    Posting,
    QueueRules,
    ReplyEmpty,
    TakenAlready,
    TakeoverEnded,
    TakeoverNotFound,
    Takeovers,
)
from coachline.tenancy import AuditLog
from fixtures.desk import TRACE, Desk, build_desk
from fixtures.scripted_channel import event

EVA, JAN = "staff:eva", "staff:jan"


@dataclass
class Coaches:
    """The room's services, and the moves of coaches."""

    desk: Desk
    takeovers: Takeovers
    attention: Attention

    async def talk(
        self, tenant_id: TenantId, channel: str = "scripted", *texts: str
    ) -> tuple[LiveConnection, ConversationId]:
        """A conversation with messages that wait."""
        live = await self.desk.connect(tenant_id, channel)
        await self.desk.receive(live, *(texts or ("hello",)))
        return live, ConversationId((await self.desk.row(live))["id"])  # type: ignore[arg-type]  # a UUID column

    async def take(
        self, live: LiveConnection, conversation_id: ConversationId, actor: str = EVA, **how: Any
    ) -> TakeoverId:
        """Take a conversation."""
        name = actor.partition(":")[2].capitalize()
        taken = await self.takeovers.take(
            live.tenant_id, conversation_id, actor=actor, name=name, **how
        )
        return taken.id

    async def work(self, live: LiveConnection) -> None:
        """Claim, settle and release, as a worker does without a model."""
        lease = await self.desk.claim(live)
        await self.desk.delivery.settle(lease)
        await self.desk.queue.release(lease)

    async def replies(self, live: LiveConnection) -> list[tuple[str, str, str]]:
        """Author, state and text of every reply, in order."""
        async with self.desk.database.tenant(live.tenant_id) as session:
            rows = await session.execute(
                text("select author, state, text from outbox_reply order by seq")
            )
            return [(row[0], row[1], row[2]) for row in rows]

    async def told(self, tenant_id: TenantId, *types: str) -> list[str]:
        """Types of the feed's events of these types, in order of writing."""
        async with self.desk.database.tenant(tenant_id) as session:
            rows = await session.scalars(text("select type from feed_event order by written"))
            return [kind for kind in rows if kind in types]


@pytest.fixture
def coaches(database: Database) -> Coaches:
    """The services on a scripted platform."""
    desk = build_desk(database, QueueRules(), DeliveryRules(), SystemClock())
    audit = AuditLog(SystemClock())
    return Coaches(
        desk,
        Takeovers(database, desk.connections, desk.queue, audit),
        Attention(database, Engine(), desk.queue, audit),
    )


async def test_of_two_coaches_exactly_one_gets_it(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    outcomes = await asyncio.gather(
        *(coaches.take(live, conversation_id, actor) for actor in (EVA, JAN) * 4),
        return_exceptions=True,
    )
    won = {outcome for outcome in outcomes if not isinstance(outcome, BaseException)}
    lost = [outcome for outcome in outcomes if isinstance(outcome, TakenAlready)]
    # The same coach again has their own takeover renewed.
    assert (len(won), len(lost)) == (1, 4)
    held = await coaches.takeovers.find(live.tenant_id, conversation_id)
    assert held is not None
    assert {held.id} == won
    assert held.name in str(lost[0])
    assert await coaches.told(tenants[0], "conversation.taken_over") == ["conversation.taken_over"]


async def test_force_ends_the_other_takeover_and_its_token(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    first = await coaches.take(live, conversation_id, EVA)
    second = await coaches.take(live, conversation_id, JAN, force=True)
    assert second > first
    with pytest.raises(TakeoverEnded):
        await coaches.takeovers.say(tenants[0], first, "too late")
    with pytest.raises(TakeoverEnded):
        await coaches.takeovers.hand_back(tenants[0], first, actor=EVA)
    with pytest.raises(TakeoverEnded):
        await coaches.takeovers.renew(tenants[0], first)
    ends = [taken.end for taken in await coaches.takeovers.list(live.tenant_id, conversation_id)]
    assert ends == [None, "forced"]


async def test_a_running_turn_is_fenced_out_and_its_events_are_not_charged(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    turn = await coaches.desk.begin(live)
    await coaches.take(live, conversation_id)
    with pytest.raises(LeaseLost):
        await coaches.desk.ledger.save(turn, [DraftReply("the bot's")], TRACE)
    assert await coaches.replies(live) == []
    again = await coaches.desk.begin(live)
    assert again.is_held
    assert again.events[0].attempts == 0
    assert again.lease.epoch > turn.lease.epoch


@pytest.mark.parametrize("channel", ["scripted", "forgetful", "fillable", "placeholder"])
async def test_the_generation_stops_within_half_a_second_on_every_channel(
    coaches: Coaches, tenants: tuple[TenantId, TenantId], channel: str
) -> None:
    live, conversation_id = await coaches.talk(tenants[0], channel)
    turn = await coaches.desk.begin(live)
    begun = asyncio.Event()

    async def generate() -> None:
        async with coaches.desk.ledger.watch(turn):
            begun.set()
            await asyncio.sleep(30)

    writing = asyncio.create_task(generate())
    await begun.wait()
    await coaches.take(live, conversation_id)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(writing, timeout=2)


async def test_a_shown_draft_goes_with_the_turn(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0], "fillable")
    turn = await coaches.desk.begin(live)
    async with coaches.desk.drafts.open(turn) as draft:
        await draft.show("half an ans")
    assert list(coaches.desk.platform.screen.values()) == ["half an ans"]
    await coaches.take(live, conversation_id)
    again = await coaches.desk.begin(live)
    await coaches.desk.ledger.save(again, (), TRACE)
    assert coaches.desk.platform.screen == {}


async def test_what_waits_is_dropped_but_notices_go_out(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    turn = await coaches.desk.begin(live)
    drafts = [DraftReply("the bot's"), DraftReply("a notice", is_notice=True)]
    await coaches.desk.ledger.save(turn, drafts, TRACE)
    await coaches.take(live, conversation_id)
    await coaches.desk.delivery.settle(turn.lease)
    await coaches.desk.queue.release(turn.lease)
    assert await coaches.replies(live) == [
        ("bot", "dropped", "the bot's"),
        ("bot", "sent", "a notice"),
    ]
    assert [reply.text for reply in coaches.desk.platform.accepted] == ["a notice"]


async def test_a_reply_that_failed_under_way_is_not_begun_again(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, _ = await coaches.talk(tenants[0])
    turn = await coaches.desk.answer(live, "the bot's")
    # Refused for now: it is pending again, and tried later.
    coaches.desk.platform.faults.append(ConnectionError("broken"))
    await coaches.desk.delivery.settle(turn.lease)
    await coaches.desk.run_sql(live, "update conversation set takeover_id = gen_random_uuid()")
    await coaches.desk.run_sql(live, "update outbox_reply set state = 'pending', not_before = null")
    await coaches.desk.delivery.settle(turn.lease)
    assert [(reply[0], reply[1]) for reply in await coaches.replies(live)] == [("bot", "dropped")]


async def test_coaches_are_heard_in_order_and_their_takeover_lives_on(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    token = await coaches.take(live, conversation_id)
    until = await _until(coaches, live, conversation_id)
    for words in ("one", "two", "x" * 450):
        await coaches.takeovers.say(tenants[0], token, words)
    assert await _until(coaches, live, conversation_id) > until
    await coaches.work(live)
    accepted = [reply.text for reply in coaches.desk.platform.accepted]
    assert accepted[:2] == ["one", "two"]
    assert "".join(accepted[2:]) == "x" * 450
    assert len(accepted) > 3
    lines = await coaches.desk.transcripts.list_messages(tenants[0], conversation_id)
    assert {(line.author, line.actor) for line in lines[1:]} == {("coach", EVA)}


async def _until(
    coaches: Coaches, live: LiveConnection, conversation_id: ConversationId
) -> datetime:
    held = await coaches.takeovers.find(live.tenant_id, conversation_id)
    assert held is not None
    return held.until


async def test_a_reply_without_words_is_refused(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    token = await coaches.take(live, conversation_id)
    with pytest.raises(ReplyEmpty):
        await coaches.takeovers.say(tenants[0], token, " \n ")


async def test_a_takeover_that_nobody_writes_under_lapses(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    token = await coaches.take(live, conversation_id)
    await coaches.takeovers.sweep(tenants[0])
    assert await coaches.takeovers.find(tenants[0], conversation_id) is not None
    await coaches.desk.run_sql(live, "update takeover set until = now() - interval '1 second'")
    await coaches.takeovers.sweep(tenants[0])
    assert await coaches.takeovers.find(tenants[0], conversation_id) is None
    (ended,) = await coaches.takeovers.list(tenants[0], conversation_id)
    assert ended.end == "lapsed"
    with pytest.raises(TakeoverEnded):
        await coaches.takeovers.say(tenants[0], token, "too late")
    assert await coaches.told(tenants[0], "conversation.handed_back") == [
        "conversation.handed_back"
    ]
    assert not (await coaches.desk.begin(live)).is_held


async def test_a_lapsed_one_that_no_sweep_saw_is_free_to_take(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    await coaches.take(live, conversation_id, EVA)
    await coaches.desk.run_sql(live, "update takeover set until = now() - interval '1 second'")
    await coaches.take(live, conversation_id, JAN)
    ends = [taken.end for taken in await coaches.takeovers.list(tenants[0], conversation_id)]
    assert ends == [None, "lapsed"]


async def test_hand_back_frees_the_bot_and_rings_for_what_waits(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    await coaches.desk.run_sql(
        live, "update conversation set is_bot_held = true, attention = 'flagged'"
    )
    token = await coaches.take(live, conversation_id)
    await coaches.takeovers.hand_back(tenants[0], token, note="Be kind.", actor=EVA)
    row = await coaches.desk.row(live)
    assert (row["takeover_id"], row["is_bot_held"], row["attention"]) == (None, False, "none")
    assert row["state"] == "rung"
    (ended,) = await coaches.takeovers.list(tenants[0], conversation_id)
    assert (ended.end, ended.note) == ("handed_back", "Be kind.")


async def test_a_held_bot_says_nothing_without_a_coach_either(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, _ = await coaches.talk(tenants[0])
    turn = await coaches.desk.answer(live, "the bot's")
    await coaches.desk.run_sql(live, "update conversation set is_bot_held = true")
    await coaches.desk.delivery.settle(turn.lease)
    assert await coaches.replies(live) == [("bot", "dropped", "the bot's")]


async def test_what_was_planned_still_goes_out(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    await coaches.take(live, conversation_id)
    posting: Posting = coaches.desk.posting
    await posting.post(tenants[0], conversation_id, "a reminder", lane="broadcast")
    await coaches.work(live)
    assert [reply.text for reply in coaches.desk.platform.accepted] == ["a reminder"]


async def test_a_request_for_a_human_waits_once_and_escalates_once(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    first, second = TurnId(new_id()), (await coaches.desk.begin(live)).id
    ask = coaches.attention.want_human
    assert await ask(tenants[0], conversation_id, turn_id=first, escalate_after_seconds=900)
    # The first turn was never saved, so its sentence was said to nobody.
    assert await ask(tenants[0], conversation_id, turn_id=second, escalate_after_seconds=900)
    await coaches.desk.run_sql(live, "update turn set state = 'saved'")
    assert not await ask(tenants[0], conversation_id, turn_id=first, escalate_after_seconds=900)
    kinds = "conversation.human_wanted", "conversation.escalated"
    await coaches.attention.escalate(tenants[0])
    assert await coaches.told(tenants[0], *kinds) == [kinds[0]]
    await coaches.desk.run_sql(live, "update human_request set escalate_at = now()")
    for _ in range(2):
        await coaches.attention.escalate(tenants[0])
    assert await coaches.told(tenants[0], *kinds) == list(kinds)
    assert (await coaches.desk.row(live))["attention"] == "waiting"
    token = await coaches.take(live, conversation_id)
    assert (await coaches.desk.row(live))["attention"] == "none"
    await coaches.desk.run_sql(live, "update conversation set attention = 'flagged'")
    await coaches.takeovers.hand_back(tenants[0], token, actor=EVA)
    # Taking and handing back say it themselves.
    assert await coaches.told(tenants[0], "conversation.resolved") == []


async def test_who_else_looks_is_told_that_something_is_dealt_with_and_who_answers_now(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    _, conversation_id = await coaches.talk(tenants[0])
    here, attention = (tenants[0], conversation_id), coaches.attention
    await attention.want_human(*here, turn_id=TurnId(new_id()), escalate_after_seconds=900)
    for _ in range(2):
        await attention.resolve(*here, actor=EVA)
        await attention.set_mode(*here, "draft", actor=EVA)
    await attention.set_mode(*here, None, actor=EVA)
    kinds = "conversation.resolved", "conversation.mode_changed"
    assert await coaches.told(tenants[0], *kinds) == [*kinds, kinds[1]]
    async with coaches.desk.database.tenant(tenants[0]) as session:
        rows = await session.execute(
            text(
                "select type, data, conversation_id = subject_id from feed_event "
                "where type = any(:kinds) order by written"
            ),
            {"kinds": list(kinds)},
        )
        told = [tuple(row) for row in rows]
    assert told == [
        (kinds[0], {"was": "waiting"}, True),
        (kinds[1], {"mode": "draft"}, True),
        (kinds[1], {"mode": None}, True),
    ]


async def test_a_request_that_was_resolved_does_not_escalate(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    await coaches.attention.want_human(
        tenants[0], conversation_id, turn_id=TurnId(new_id()), escalate_after_seconds=900
    )
    await coaches.attention.resolve(tenants[0], conversation_id, actor=EVA)
    await coaches.desk.run_sql(live, "update human_request set escalate_at = now()")
    await coaches.attention.escalate(tenants[0])
    assert await coaches.told(tenants[0], "conversation.escalated") == []
    assert (await coaches.desk.row(live))["attention"] == "none"


async def test_another_tenant_finds_nothing_to_take(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    token, takeovers, other = (
        await coaches.take(live, conversation_id),
        coaches.takeovers,
        tenants[1],
    )
    assert await takeovers.find(other, conversation_id) is None
    for attempt in (
        takeovers.take(other, conversation_id, actor=JAN, name="Jan", force=True),
        takeovers.list(other, conversation_id),
        takeovers.held_by(other, conversation_id, actor=EVA),
        coaches.attention.resolve(other, conversation_id, actor=JAN),
        coaches.attention.set_mode(other, conversation_id, "draft", actor=JAN),
    ):
        with pytest.raises(ConversationNotFound):
            await attempt
    for refused in (
        takeovers.say(other, token, "hello"),
        takeovers.renew(other, token),
        takeovers.hand_back(other, token, actor=JAN),
    ):
        with pytest.raises(TakeoverNotFound):
            await refused
    assert await takeovers.find(tenants[0], conversation_id) is not None


async def test_older_code_writes_these_rows(
    coaches: Coaches, tenants: tuple[TenantId, TenantId]
) -> None:
    live, conversation_id = await coaches.talk(tenants[0])
    await coaches.desk.run_sql(
        live,
        "insert into outbox_reply (tenant_id, id, conversation_id, part, parts, seq, text) "
        "select tenant_id, gen_random_uuid(), id, 1, 1, last_seq + 1, 'old' from conversation",
    )
    await coaches.desk.intake.accept(live, [event("e9", "ann", "more")])
    assert await coaches.replies(live) == [("bot", "pending", "old")]
    assert await coaches.takeovers.find(live.tenant_id, conversation_id) is None
