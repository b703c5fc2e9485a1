"""In groups only what is meant for the bot is heard, and answered where it was said."""

from __future__ import annotations

import json

import pytest

from coachline_lab import asked_in
from coachline_lab.telegram import Bot, Chat, FakeTelegram
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = pytest.mark.e2e


async def open_group(
    lab: LabHouse, telegram: FakeTelegram, *, is_forum: bool = False
) -> tuple[LabConnection[Bot], Chat]:
    """A group with a bot that hears everything which is said there."""
    bot = telegram.add_bot(is_private=False)
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram, bot)
    group = telegram.world.add_group("Team", [bot], type="supergroup", is_forum=is_forum)
    return coach, group


async def test_only_what_is_said_to_the_bot_is_answered(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach, group = await open_group(lab, telegram)
    name = coach.account.person.username
    for text in ("Good morning all", "@nobody_bot hello", "/help@another_bot", "coach, are you?"):
        await telegram.say(text, user=7, chat=group)
    said = await telegram.say(f"👍 @{name}, how do I begin?", user=7, chat=group)
    answer = await telegram.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    assert answer.text == "re: 👍, how do I begin?"
    follow_up = await telegram.say("and then?", user=7, chat=group, reply_to=int(answer.message_id))
    later = await telegram.wait_for_answer(said.thread, after=follow_up.place, seconds=SECONDS)
    assert later.text == "re: and then?"
    prompt = lab.model.chats[-1].messages[-1]["content"]
    assert "<quote>\nre: 👍, how do I begin?" in prompt
    await telegram.say("thanks, all", user=8, chat=group)
    await telegram.idle(SECONDS)
    events = await lab.rows(coach.tenant, "select text from inbox_event order by seq")
    assert [row.text for row in events] == ["👍, how do I begin?", "and then?"]


async def test_people_of_a_group_are_told_apart_and_answered_by_reference(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach, group = await open_group(lab, telegram)
    name = coach.account.person.username
    said = {
        user: await telegram.say(f"@{name} of {user}", user=user, chat=group) for user in (7, 8)
    }
    asked = asked_in(str(group.id), ["of 7", "of 8"])
    await until(lambda: not telegram.ledger.judge(asked).lost, seconds=SECONDS)
    referred = {
        json.loads(call.args["reply_parameters"])["message_id"]
        for call in telegram.ledger.calls("sendMessage")
    }
    assert referred == {one.message_id for one in said.values()}
    assert len(await lab.rows(coach.tenant, "select id from learner")) == 2


async def test_topics_are_answered_in_their_topic(lab: LabHouse, telegram: FakeTelegram) -> None:
    coach, forum = await open_group(lab, telegram, is_forum=True)
    name = coach.account.person.username
    plans = await telegram.around.add_topic(forum, "Plans", user=7)
    wins = await telegram.around.add_topic(forum, "Wins", user=7)
    asked = []
    for topic, word in ((plans, "plan"), (wins, "win"), (None, "none")):
        said = await telegram.say(f"@{name} {word}", user=7, chat=forum, topic=topic)
        asked += asked_in(said.thread, [word])
    await telegram.say("not for the bot", user=7, chat=forum, topic=plans)
    await until(lambda: not telegram.ledger.judge(asked).lost, seconds=SECONDS)
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    assert telegram.ledger.judge(asked).is_perfect
    threads = await lab.rows(coach.tenant, "select thread from conversation")
    assert sorted(row.thread for row in threads) == sorted(
        (f"{forum.id}/{plans}", f"{forum.id}/{wins}", str(forum.id))
    )


async def test_bots_do_not_talk_to_each_other_or_to_themselves(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach, group = await open_group(lab, telegram)
    other = await lab.connect_telegram(await lab.add_tenant(), telegram)
    group.bots[other.account.id] = other.account
    names = [one.account.person.username for one in (coach, other)]
    for speaker in (coach.account, other.account, telegram.add_bot()):
        await telegram.words.say_as_bot(f"@{names[0]} @{names[1]} hello", other=speaker, chat=group)
        await telegram.words.say_as_bot(f"/help@{names[0]}", other=speaker, chat=group)
    # An echo as it would look if Telegram sent one.
    echo = dict(next(reversed(group.messages.values())).json) | {
        "from": coach.account.person.as_json()
    }
    telegram.updates.emit(coach.account, "message", echo, lane=str(group.id))
    await telegram.idle(SECONDS)
    said = await telegram.say(f"@{names[0]} a person", user=7, chat=group)
    answer = await telegram.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    assert answer.text == "re: a person"
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    assert [one.text for one in telegram.ledger.accepted] == ["re: a person"]
    assert len(await lab.rows(coach.tenant, "select id from inbox_event")) == 1
    assert not await lab.rows(other.tenant, "select id from inbox_event")


async def test_a_group_greets_nobody_twice_and_ignores_who_comes_and_goes(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    group = await telegram.around.add_bot_to_group("Team", bots=[coach.account], user=7)
    greeting = await telegram.wait_for_answer(str(group.id), seconds=SECONDS)
    assert "/help" in greeting.text
    newcomer = telegram.world.person(8)
    await telegram.around.join(group, newcomer)
    await telegram.around.leave(group, newcomer)
    await telegram.say(f"@{coach.account.person.username}", user=7, chat=group)
    await telegram.idle(SECONDS)
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    events = await lab.rows(coach.tenant, "select kind, state from inbox_event order by seq")
    assert {row.kind for row in events} == {"opened"}
    assert telegram.ledger.visible(str(group.id)) == [greeting.text]
