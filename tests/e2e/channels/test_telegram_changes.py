"""People who change what they wrote, and pictures that come one by one."""

from __future__ import annotations

import pytest

from coachline_lab import asked_in
from coachline_lab.telegram import Bot, FakeTelegram
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = pytest.mark.e2e


async def states_of(lab: LabHouse, coach: LabConnection[Bot]) -> list[tuple[str, str]]:
    """Kind and state of every event, in the order in which they came."""
    rows = await lab.rows(coach.tenant, "select kind, state from inbox_event order by seq")
    return [(row.kind, row.state) for row in rows]


async def ended(lab: LabHouse, coach: LabConnection[Bot], *states: tuple[str, str]) -> None:
    """Wait until the events are in these states and nobody works on them."""

    async def is_so() -> bool:
        return await states_of(lab, coach) == list(states) and await lab.is_idle(coach.tenant)

    await until(is_so, seconds=SECONDS)


async def test_an_edit_before_the_answer_begins_replaces_what_was_said(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    before = lab.model.chat_count
    said = await telegram.say("frist try", user=7)
    await telegram.edit(said, "first try", user=7)
    await telegram.wait_for_answer("7", after=said.place, seconds=SECONDS)
    await ended(lab, coach, ("message", "answered"), ("edit", "answered"))
    assert telegram.ledger.visible("7") == ["re: first try"]
    assert lab.model.chat_count == before + 1


async def test_an_edit_while_the_answer_is_written_begins_it_anew(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    before = lab.model.chat_count
    lab.model.delay_seconds = 1.0
    words = "what is it that I meant to ask when I began"
    said = await telegram.say(words, user=7)
    await until(lambda: lab.model.open_generations > 0, seconds=SECONDS)
    lab.model.delay_seconds = 0.0
    await telegram.edit(said, "this is it", user=7)
    await telegram.wait_for_answer("7", after=said.place, seconds=SECONDS)
    await ended(lab, coach, ("message", "answered"), ("edit", "answered"))
    assert telegram.ledger.visible("7") == ["re: this is it"]
    assert lab.model.chat_count == before + 2
    turns = await lab.rows(coach.tenant, "select state from turn order by id")
    assert [row.state for row in turns] == ["abandoned", "saved"]


async def test_an_edit_in_a_group_begins_anew_in_the_message_that_is_there(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    group = telegram.world.add_group("Team", [coach.account], type="supergroup")
    name = coach.account.person.username
    lab.model.delay_seconds = 0.3
    said = await telegram.say(f"@{name} " + "words " * 30, user=7, chat=group)
    await telegram.ledger.wait_until(lambda: bool(telegram.ledger.accepted), seconds=SECONDS)
    lab.model.delay_seconds = 0.0
    await telegram.edit(said, f"@{name} this is it", user=7, chat=group)
    await until(lambda: telegram.ledger.visible(said.thread) == ["re: this is it"], seconds=SECONDS)
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    assert [one.text for one in telegram.ledger.accepted] == ["re: this is it"]


async def test_an_edit_after_the_answer_gives_one_amended_answer_and_no_more(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    said = await telegram.say("I ran two miles", user=7)
    await telegram.wait_for_answer("7", after=said.place, seconds=SECONDS)
    await ended(lab, coach, ("message", "answered"))
    edited = await telegram.edit(said, "I ran ten miles", user=7)
    await telegram.wait_for_answer("7", after=edited.place, seconds=SECONDS)
    assert "corrected" in lab.model.chats[-1].messages[-1]["content"]
    await ended(lab, coach, ("message", "answered"), ("edit", "answered"))
    await telegram.words.metadata_edit(said, user=7)
    await telegram.edit(said, "I ran twenty miles", user=7)
    await telegram.idle(SECONDS)
    await ended(
        lab,
        coach,
        ("message", "answered"),
        ("edit", "answered"),
        ("edit", "recorded"),
        ("edit", "recorded"),
    )
    assert telegram.ledger.visible("7") == ["re: I ran two miles", "re: I ran ten miles"]


async def test_an_edit_that_changes_no_words_is_no_question(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    said = await telegram.say("See https://example.org", user=7)
    await telegram.wait_for_answer("7", after=said.place, seconds=SECONDS)
    await ended(lab, coach, ("message", "answered"))
    await telegram.words.metadata_edit(said, user=7)
    await telegram.idle(SECONDS)
    await ended(lab, coach, ("message", "answered"), ("edit", "recorded"))
    assert len(telegram.ledger.visible("7")) == 1


async def test_an_album_is_one_turn(lab: LabHouse, telegram: FakeTelegram) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    await telegram.media.send_album(caption="What do you see?", user=7)
    answer = await telegram.wait_for_answer("7", seconds=SECONDS)
    assert answer.text.startswith("re: What do you see?\n")
    await ended(lab, coach, ("message", "answered"), ("message", "answered"))
    assert len(await lab.rows(coach.tenant, "select id from turn")) == 1
    assert len(telegram.ledger.visible("7")) == 1


async def reached(lab: LabHouse, count: int) -> None:
    """Wait until the model was asked so often."""
    await until(lambda: lab.model.chat_count >= count, seconds=SECONDS)


async def test_questions_asked_one_after_another_are_answered_in_their_order(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    lab.model.delay_seconds = 0.1
    words = ["one", "two", "three"]
    before = lab.model.chat_count
    for number, word in enumerate(words, start=1):
        await telegram.say(word, user=7)
        await reached(lab, before + number)
    asked = asked_in("7", words)
    await until(lambda: not telegram.ledger.judge(asked).lost, seconds=SECONDS)
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    verdict = telegram.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
    assert len(telegram.ledger.visible("7")) == 3
