"""People who block a bot, come back, or go away for good; groups that move."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coachline.foundation.ids import ConversationId
from coachline_lab import asked_in
from coachline_lab.telegram import Bot, FakeTelegram
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

CONSENT = "select change, source from consent order by id"
BLOCKED, UNBLOCKED = ("withdrawn", "platform"), ("granted", "platform")


async def ledger_says(lab: LabHouse, coach: LabConnection[Bot], *lines: tuple[str, str]) -> None:
    """Wait until the consent ledger holds exactly these lines."""

    async def is_so() -> bool:
        found = await lab.rows(coach.tenant, CONSENT)
        return [tuple(row) for row in found] == list(lines)

    await until(is_so, seconds=SECONDS)


async def test_who_blocks_the_bot_is_not_written_to_until_they_come_back(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    await telegram.ask("Hello", user=7, seconds=SECONDS)
    await telegram.block(user=7)
    await ledger_says(lab, coach, BLOCKED)
    (row,) = await lab.rows(coach.tenant, "select id from conversation")
    conversation = ConversationId(row.id)
    post = lab.house.services.posting.post
    calls = len(telegram.ledger.calls("sendMessage"))
    await post(coach.tenant.id, conversation, "A thought for today.", lane="broadcast")

    async def is_suppressed() -> bool:
        query = "select state from outbox_reply where lane = 'broadcast'"
        return [row.state for row in await lab.rows(coach.tenant, query)] == ["suppressed"]

    await until(is_suppressed, seconds=SECONDS)
    assert len(telegram.ledger.calls("sendMessage")) == calls
    await telegram.unblock(user=7)
    await ledger_says(lab, coach, BLOCKED, UNBLOCKED)
    answer = await telegram.ask("I am back", user=7, seconds=SECONDS)
    assert answer.text == "re: I am back"
    await post(coach.tenant.id, conversation, "Another thought.", lane="broadcast")
    await telegram.ledger.wait_for_answer(
        "7", accept=lambda message: message.text == "Another thought.", seconds=SECONDS
    )
    assert "A thought for today." not in telegram.ledger.visible("7")


async def test_who_stopped_is_not_written_to_after_a_block_and_its_end(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    await telegram.ask("/stop", user=7, seconds=SECONDS)
    await telegram.block(user=7)
    await telegram.unblock(user=7)
    answer = await telegram.ask("I am back", user=7, seconds=SECONDS)
    assert answer.text == "re: I am back"
    await ledger_says(lab, coach, ("withdrawn", "learner"))
    (row,) = await lab.rows(coach.tenant, "select id from conversation")
    await lab.house.services.posting.post(
        coach.tenant.id, ConversationId(row.id), "A thought for today.", lane="broadcast"
    )

    async def is_suppressed() -> bool:
        query = "select state, problem from outbox_reply where lane = 'broadcast'"
        found = [tuple(row) for row in await lab.rows(coach.tenant, query)]
        return found == [("suppressed", "withdrawn (stop)")]

    await until(is_suppressed, seconds=SECONDS)
    assert "A thought for today." not in telegram.ledger.visible("7")


async def test_a_reply_to_somebody_who_is_gone_is_tried_once(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram, stream=False)
    await telegram.say("Hello", user=7)
    await telegram.around.deactivate(user=7)
    await ledger_says(lab, coach, BLOCKED)
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    (call,) = telegram.ledger.calls("sendMessage")
    assert call.outcome == "Forbidden: user is deactivated"
    (reply,) = await lab.rows(coach.tenant, "select state, problem from outbox_reply")
    assert reply.state == "dead"
    assert "deactivated" in reply.problem
    assert (await lab.find(coach)).state == "active"


async def test_who_blocks_while_the_answer_is_written_gets_none_and_one_later(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram, stream=False)
    lab.model.delay_seconds = 0.5
    await telegram.say("Hello there", user=7)
    await until(lambda: lab.model.open_generations > 0, seconds=SECONDS)
    await telegram.block(user=7)
    lab.model.delay_seconds = 0.0
    await ledger_says(lab, coach, BLOCKED)
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    refused = [call.outcome for call in telegram.ledger.calls("sendMessage")]
    assert refused == ["Forbidden: bot was blocked by the user"]
    await telegram.unblock(user=7)
    answer = await telegram.ask("Now?", user=7, seconds=SECONDS)
    # What was never answered is still before the question.
    assert answer.text == "re: Hello there\nre: Now?"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_group_that_moved_while_the_answer_was_written_gets_it_at_its_new_address(
    lab: LabHouse, telegram: FakeTelegram, stream: bool
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram, stream=stream)
    name = coach.account.person.username
    group = telegram.world.add_group("Team", [coach.account])
    lab.model.delay_seconds = 0.3
    await telegram.say(f"@{name} before the move", user=7, chat=group)
    await until(
        # With a draft, the message that was to hold the answer stays behind in the old group.
        lambda: lab.model.open_generations > 0 and len(telegram.ledger.accepted) == stream,
        seconds=SECONDS,
    )
    moved = await telegram.around.migrate(group, user=7)
    answer = await telegram.wait_for_answer(str(moved.id), seconds=SECONDS)
    assert answer.text == "re: before the move"
    lab.model.delay_seconds = 0.0
    said = await telegram.say(f"@{name} after it", user=7, chat=moved)
    await telegram.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    asked = asked_in(str(moved.id), ["before the move", "after it"])
    verdict = telegram.ledger.judge(asked)
    assert replace(verdict, stray=()).is_perfect, str(verdict)
    assert telegram.ledger.visible(str(moved.id)) == ["re: before the move", "re: after it"]
    threads = await lab.rows(coach.tenant, "select thread from conversation")
    assert [row.thread for row in threads] == [str(moved.id)], "one conversation that goes on"
