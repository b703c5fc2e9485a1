"""What somebody texts is answered by text: briefly, cheaply, and the rest when they ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from channel_sms.segments import measure
from coachline_lab.twilio import NUMBER, PERSON, FakeTwilio, File
from fixtures.lab_house import SECONDS, LabHouse, LabTenant, answer_long
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

FAST: dict[str, Any] = {"segments_per_second": 1000.0, "burst_segments": 1000.0}
HINT = "Reply MORE for the rest."


def question_of(lab: LabHouse) -> str:
    """What the person said, as the model was told it last."""
    return lab.model.chats[-1].messages[-1]["content"]


async def test_a_question_is_answered_by_the_api_and_acknowledged_with_empty_twiml(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant("acme"), twilio)
    delivered = await twilio.say("How do I begin?")
    assert delivered.statuses == (200,)
    assert delivered.answer == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    assert not twilio.ledger.accepted, "acknowledged before it was answered"
    answer = await twilio.wait_for_answer(seconds=SECONDS)
    assert (answer.account, answer.thread, answer.text) == (NUMBER, PERSON, "re: How do I begin?")
    (call,) = twilio.ledger.calls("Messages.create")
    assert call.args["StatusCallback"].startswith(f"{coach.inbound_url}?reply=")
    assert "ValidityPeriod" not in call.args, "an answer is always worth its delivery"
    assert coach.shown.write_to == NUMBER


async def test_the_model_is_told_how_much_it_may_say_and_a_long_answer_comes_in_parts(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    await lab.connect_sms(await lab.add_tenant(), twilio, **FAST)
    lab.model.reply = answer_long(1500)
    first = await twilio.ask("How do I begin?", seconds=SECONDS)
    assert "in at most 300 characters, in plain text without lists" in lab.model.chats[-1].system
    assert first.text.startswith("re: How do I begin?")
    assert first.text.endswith(f"\n{HINT}")
    assert "**" not in first.text
    assert measure(first.text).segments <= 3
    said = [first.text.removesuffix(f"\n{HINT}")]
    text = first.text
    while text.endswith(HINT):
        text = (await twilio.ask("more", seconds=SECONDS)).text
        assert measure(text).segments <= 3
        said.append(text.removesuffix(f"\n{HINT}"))
    words = [word for word in "\n".join(said).split() if word.startswith("word-")]
    assert len(said) >= 3
    assert words == sorted(set(words)), "each part once, in order"
    asked = len(lab.model.chats)
    end = await twilio.ask("MORE", seconds=SECONDS)
    assert end.text == "That was all, there is nothing more."
    assert len(lab.model.chats) == asked, "commands cost no model"


async def test_another_question_drops_the_rest_of_an_answer(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio, **FAST)
    lab.model.reply = answer_long(1200)
    assert (await twilio.ask("Tell me all", seconds=SECONDS)).text.endswith(HINT)
    lab.model.reply = "Only this."
    assert (await twilio.ask("In short?", seconds=SECONDS)).text == "Only this."
    assert "nothing more" in (await twilio.ask("more", seconds=SECONDS)).text
    dropped = await lab.rows(coach.tenant, "select state, problem from outbox_reply where part > 1")
    why = {(row.state, row.problem) for row in dropped}
    assert why == {("dropped", "the conversation went on")}


async def test_typographic_characters_are_folded_and_an_emoji_keeps_its_company(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    await lab.connect_sms(await lab.add_tenant(), twilio)
    lab.model.reply = "It’s **fine** — “really” …\n\n- one\n- [two](https://example.org/2)"
    folded = (await twilio.ask("How?", seconds=SECONDS)).text
    assert folded.startswith('It\'s fine - "really" ...')
    assert measure(folded).is_gsm
    lab.model.reply = "It’s done 👩‍👩‍👧"
    assert (await twilio.ask("And?", seconds=SECONDS)).text == "It’s done 👩‍👩‍👧"


async def test_a_text_file_is_read_and_a_picture_is_named(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    await lab.connect_sms(await lab.add_tenant(), twilio)
    note = File(b"I ran nine kilometres.", "text/plain")
    await twilio.ask("My diary", files=(note, File(b"\xff\xd8")), seconds=SECONDS)
    said = question_of(lab)
    assert "I ran nine kilometres." in said
    assert "My diary" in said
    assert "[the person sent a photo, which you cannot see]" in said
    assert len(twilio.ledger.calls("Media.fetch")) == 1


async def add_document(lab: LabHouse, tenant: LabTenant, title: str, text: str) -> None:
    """Give the tenant something to cite."""
    documents = lab.house.services.documents
    saved = await documents.save(
        tenant.id, source=f"{title}.md", text=text, media_type="text/markdown", actor="test"
    )

    async def is_ready() -> bool:
        found = await documents.get(tenant.id, saved.document_id)
        return found.state == "ready"

    await until(is_ready, seconds=SECONDS)


async def test_a_source_is_shown_when_its_number_is_asked_for(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_sms(tenant, twilio)
    words = "Drink a glass of water before you run."
    await add_document(lab, tenant, "Water", f"# Water\n\n{words}")
    lab.model.reply = "Drink a glass of water before. [1]"
    answer = await twilio.ask("How do I drink water before I run?", seconds=SECONDS)
    first, hint = answer.text.splitlines()
    assert first == "Drink a glass of water before. [1]"
    assert hint == "Reply with a number for its source."
    asked = len(lab.model.chats)
    source = await twilio.ask("1", seconds=SECONDS)
    assert source.text.startswith("[1] Water")
    assert words in source.text
    assert len(lab.model.chats) == asked


async def test_choices_are_numbers_and_a_number_chooses(lab: LabHouse, twilio: FakeTwilio) -> None:
    await lab.connect_sms(await lab.add_tenant(), twilio)
    asked = await twilio.ask("pause", seconds=SECONDS)
    assert asked.text.splitlines()[-3:] == ["1 1 day", "2 3 days", "3 1 week"]
    chosen = await twilio.ask("2", seconds=SECONDS)
    assert chosen.text.startswith("I will not write on my own until")
    lab.model.reply = "Two what?"
    assert (await twilio.ask("2", seconds=SECONDS)).text == "Two what?", "nothing was offered"
