"""Commands and buttons, which the gateway answers itself."""

from __future__ import annotations

from functools import partial

import pytest

from coachline_lab import Accepted
from coachline_lab.telegram import FakeTelegram
from fixtures.lab_house import SECONDS, LabHouse, LabTenant, answer_marked
from fixtures.waiting import until

pytestmark = pytest.mark.e2e


def buttons_of(message: Accepted) -> list[str]:
    """What stands on the buttons below a message."""
    rows = message.details["reply_markup"]["inline_keyboard"]
    return [button["text"] for row in rows for button in row]


async def test_start_and_help_are_answered_without_a_model(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    before = lab.model.chat_count
    await telegram.words.start(user=7)
    for user, command in ((8, "help"), (9, "frobnicate"), (10, "source 2")):
        await telegram.command(command, user=user)
    hello, listed, unknown, none = [
        await telegram.wait_for_answer(str(user), seconds=SECONDS) for user in (7, 8, 9, 10)
    ]
    assert hello.text.startswith("Hello")
    assert "/forget" in listed.text
    assert unknown.text.startswith("I do not know this command. /help")
    assert none.text == "My last answer has no source with this number."
    assert lab.model.chat_count == before
    rows = await lab.rows(coach.tenant, "select distinct state from inbox_event")
    assert [row.state for row in rows] == ["commanded"]
    notices = await lab.rows(coach.tenant, "select is_notice from outbox_reply")
    assert all(row.is_notice for row in notices)


async def test_the_question_before_forgetting_is_answered_by_a_button(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    users = {7: "No", 8: "Yes, forget everything"}
    for user in users:
        await telegram.say(f"Remember {user}", user=user)
    for user in users:
        await telegram.wait_for_answer(str(user), seconds=SECONDS)
    asked = {user: await telegram.command("forget", user=user) for user in users}
    told = {}
    for user, button in users.items():
        shown = await telegram.wait_for_answer(str(user), after=asked[user].place, seconds=SECONDS)
        assert buttons_of(shown) == ["Yes, forget everything", "No"]
        pressed = await telegram.press(button, user=user)
        query = pressed.query_id or ""
        await until(partial(coach.account.callbacks.__getitem__, query), seconds=SECONDS)
        told[user] = pressed
    kept, gone = [
        await telegram.wait_for_answer(str(user), after=told[user].place, seconds=SECONDS)
        for user in users
    ]
    assert kept.text == "Good, everything stays as it is."
    assert "being erased" in gone.text
    words = await lab.rows(coach.tenant, "select text from inbox_event where kind = 'message'")
    assert "Remember 7" in [row.text for row in words]


async def test_a_button_that_was_never_offered_does_nothing(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    await telegram.ask("Remember me", user=7, seconds=SECONDS)
    person = telegram.world.person(7)
    chat = telegram.world.private(coach.account, person)
    forged = {
        "id": "4711",
        "from": person.as_json(),
        "message": next(reversed(chat.messages.values())).json,
        "chat_instance": "1",
        "data": "/forget yes",
    }
    coach.account.callbacks["4711"] = False
    telegram.updates.emit(coach.account, "callback_query", forged, lane="callback_query:7")

    async def is_recorded() -> bool:
        query = "select state from inbox_event where kind = 'button'"
        return [row.state for row in await lab.rows(coach.tenant, query)] == ["recorded"]

    await until(is_recorded, seconds=SECONDS)
    await until(lambda: coach.account.callbacks["4711"], seconds=SECONDS)
    assert telegram.ledger.visible("7") == ["re: Remember me"]


async def add_lesson(lab: LabHouse, tenant: LabTenant) -> None:
    """Give the tenant one document, and wait until it is found."""
    await lab.house.services.documents.save(
        tenant.id,
        source="lesson.md",
        text="# Breathing\n\nBreathe in for four counts.",
        media_type="text/markdown",
        actor="test",
    )

    async def is_found() -> bool:
        found = await lab.house.services.retrieval.search(tenant.id, "breathing counts", limit=1)
        return bool(found.passages)

    await until(is_found, seconds=SECONDS)


async def test_sources_are_buttons_that_show_the_source(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_telegram(tenant, telegram)
    await add_lesson(lab, tenant)
    lab.model.reply = lambda messages: f"{answer_marked(messages)} Breathe [1]."
    answer = await telegram.ask("How many counts do I breathe?", user=7, seconds=SECONDS)
    assert answer.text.endswith("Breathe [1].")
    (label,) = buttons_of(answer)
    assert label.startswith("[1] ")
    pressed = await telegram.press(label, user=7)
    source = await telegram.wait_for_answer("7", after=pressed.place, seconds=SECONDS)
    assert "Breathe in for four counts." in source.text
