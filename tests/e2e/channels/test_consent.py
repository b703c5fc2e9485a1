"""Who said stop is written to no more unasked, whoever heard it: us, Twilio or a carrier."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from coachline.foundation.ids import ConversationId, ReplyId
from coachline_lab.telegram import FakeTelegram
from coachline_lab.twilio import NUMBER, PERSON, FakeTwilio
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

THOUGHT = "A thought that nobody asked for."


async def conversation_of(lab: LabHouse, coach: LabConnection[Any]) -> ConversationId:
    """The newest conversation of the tenant."""
    rows = await lab.rows(coach.tenant, "select id from conversation order by id")
    return ConversationId(rows[-1].id)


async def post(lab: LabHouse, coach: LabConnection[Any], text: str = THOUGHT) -> ReplyId:
    """Write something that nobody asked for."""
    return await lab.house.services.posting.post(
        coach.tenant.id, await conversation_of(lab, coach), text, lane="broadcast"
    )


async def became(lab: LabHouse, coach: LabConnection[Any], reply: ReplyId) -> tuple[str, str]:
    """The state and the problem of a reply that is not to be sent any more."""

    async def is_over() -> bool:
        rows = await lab.rows(
            coach.tenant, "select state from outbox_reply where id = :id", id=reply
        )
        return rows[0].state not in ("pending", "sending")

    await until(is_over, seconds=SECONDS)
    rows = await lab.rows(
        coach.tenant, "select state, problem from outbox_reply where id = :id", id=reply
    )
    return rows[0].state, rows[0].problem or ""


async def ledger_says(lab: LabHouse, coach: LabConnection[Any], *lines: tuple[str, str]) -> None:
    """Wait until the consent ledger holds exactly these lines."""

    async def is_so() -> bool:
        found = await lab.rows(coach.tenant, "select change, source from consent order by id")
        return [tuple(row) for row in found] == list(lines)

    await until(is_so, seconds=SECONDS)


async def test_stop_is_left_to_twilio_and_nothing_unasked_is_sent_until_start(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio)
    await twilio.ask("Hello", seconds=SECONDS)
    asked = len(lab.model.chats)
    await twilio.say("STOP")
    await ledger_says(lab, coach, ("withdrawn", "learner"))
    assert await became(lab, coach, await post(lab, coach)) == ("suppressed", "withdrawn (stop)")
    assert len(twilio.ledger.calls("Messages.create")) == 1, "no word into a closed pair"
    await twilio.say("START")
    await ledger_says(lab, coach, ("withdrawn", "learner"), ("granted", "learner"))
    state, _ = await became(lab, coach, await post(lab, coach, "Welcome back."))
    assert state == "sent"
    assert twilio.ledger.visible(PERSON) == ["re: Hello", "Welcome back."]
    assert len(lab.model.chats) == asked, "keywords cost no model"
    call = twilio.ledger.calls("Messages.create")[-1]
    assert call.args["ValidityPeriod"] == "14400", "what nobody asked for is worth less late"


async def test_stop_in_ones_own_words_is_confirmed_and_a_question_is_still_answered(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio)
    confirmed = await twilio.ask("please stop texting me", seconds=SECONDS)
    assert confirmed.text.startswith("You will get no more messages here")
    assert "START" in confirmed.text
    state, problem = await became(lab, coach, await post(lab, coach))
    assert (state, problem) == ("suppressed", "withdrawn (stop)")
    answer = await twilio.ask("But what about tomorrow?", seconds=SECONDS)
    assert answer.text == "re: But what about tomorrow?"
    assert THOUGHT not in twilio.ledger.visible(PERSON)


async def test_a_refused_recipient_withdraws_at_the_first_refusal(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio)
    await twilio.ask("Hello", seconds=SECONDS)
    twilio.block()
    state, problem = await became(lab, coach, await post(lab, coach))
    assert state == "dead"
    assert problem.startswith("21610")
    await ledger_says(lab, coach, ("withdrawn", "platform"))
    state, problem = await became(lab, coach, await post(lab, coach))
    assert state == "suppressed"
    assert "21610" in problem
    assert len(twilio.ledger.calls("Messages.create")) == 2


async def test_a_number_that_is_told_gone_by_a_status_is_withdrawn_too(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio)
    twilio.progress = ()
    answer = await twilio.ask("Hello", seconds=SECONDS)
    await twilio.report(answer.message_id, "undelivered", error_code=30005)
    await ledger_says(lab, coach, ("withdrawn", "platform"))
    assert (await became(lab, coach, await post(lab, coach)))[0] == "suppressed"


async def test_help_is_answered_with_what_can_be_written_here(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    await lab.connect_sms(await lab.add_tenant(), twilio)
    told = await twilio.ask("HELP", seconds=SECONDS)
    for command in ("LINK", "PAUSE 3d", "STOP", "MYDATA", "FORGET"):
        assert f"- {command}: " in told.text
    assert "/" not in told.text
    assert not [chat for chat in lab.model.chats if "HELP" in chat.messages[-1]["content"]]


async def test_a_pause_holds_unasked_messages_back_and_resuming_ends_it(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio)
    told = await twilio.ask("pause 3d", seconds=SECONDS)
    assert told.text.startswith("I will not write on my own until ")
    assert "RESUME" in told.text
    assert await became(lab, coach, await post(lab, coach)) == ("suppressed", "paused")
    assert (await twilio.ask("Still there?", seconds=SECONDS)).text == "re: Still there?"
    assert (await twilio.ask("resume", seconds=SECONDS)).text == "The pause is over."
    assert (await became(lab, coach, await post(lab, coach)))[0] == "sent"


async def test_a_withdrawal_on_one_channel_and_tenant_is_none_on_another(
    lab: LabHouse, twilio: FakeTwilio, telegram: FakeTelegram
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_sms(tenant, twilio)
    other_number = "+15550006790"
    other = await lab.connect_sms(
        await lab.add_tenant(), twilio, twilio.add_account(numbers=[other_number])
    )
    bot = await lab.connect_telegram(tenant, telegram)
    await asyncio.gather(
        twilio.ask("Hello", seconds=SECONDS),
        twilio.ask(
            "Hello too",
            to=other_number,
            account=other.account,
            person="+15557650002",
            seconds=SECONDS,
        ),
        telegram.ask("Hello", user=7, seconds=SECONDS),
    )
    stopped = await telegram.ask("/stop", user=7, seconds=SECONDS)
    assert "/start" in stopped.text
    for coached, is_allowed in ((coach, True), (other, True), (bot, False)):
        (row,) = await lab.rows(
            coached.tenant, "select id from conversation where connection_id = :c", c=coached.id
        )
        reply = await lab.house.services.posting.post(
            coached.tenant.id, ConversationId(row.id), THOUGHT, lane="broadcast"
        )
        state, _ = await became(lab, coached, reply)
        assert (state == "sent") is is_allowed
    assert NUMBER in {one.account for one in twilio.ledger.accepted if one.text == THOUGHT}
    started = await telegram.ask("/start", user=7, seconds=SECONDS)
    assert "may write to you on my own again" in started.text


async def test_who_stopped_and_was_forgotten_is_not_written_to_unasked_as_a_new_learner(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(
        await lab.add_tenant(), twilio, segments_per_second=100.0, burst_segments=100.0
    )
    await twilio.ask("please stop texting me", seconds=SECONDS)
    await twilio.ask("forget", seconds=SECONDS)
    await twilio.ask("forget yes", seconds=SECONDS)

    async def is_erased() -> bool:
        rows = await lab.rows(coach.tenant, "select thread from conversation")
        return [row.thread for row in rows if row.thread == PERSON] == []

    await until(is_erased, seconds=SECONDS)
    assert (await twilio.ask("Hello", seconds=SECONDS)).text == "re: Hello"
    assert await became(lab, coach, await post(lab, coach)) == ("suppressed", "withdrawn (stop)")
    assert THOUGHT not in twilio.ledger.visible(PERSON)
