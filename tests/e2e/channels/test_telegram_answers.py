"""What somebody writes to a bot is answered where they wrote it, and shown while it is written."""

from __future__ import annotations

from itertools import pairwise

import pytest

from coachline_lab.records import Accepted
from coachline_lab.telegram import FakeTelegram
from coachline_lab.telegram.entities import units
from fixtures.lab_house import SECONDS, LabHouse, answer_long
from fixtures.waiting import until

pytestmark = pytest.mark.e2e


def words_of(message: Accepted) -> list[tuple[str, str]]:
    """The styled words of a message with their style, read as Telegram counts: in UTF-16."""
    raw = message.text.encode("utf-16-le")
    return [
        (
            one["type"],
            raw[2 * one["offset"] : 2 * (one["offset"] + one["length"])].decode("utf-16-le"),
        )
        for one in message.details.get("entities", ())
    ]


async def test_a_question_is_answered_in_its_chat(lab: LabHouse, telegram: FakeTelegram) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant("acme"), telegram)
    answer = await telegram.ask("How do I begin?", user=7, bot=coach.account, seconds=SECONDS)
    assert (answer.thread, answer.text) == ("7", "re: How do I begin?")
    assert telegram.ledger.visible("7") == [answer.text]
    assert coach.shown.write_to == f"https://t.me/{coach.account.person.username}"


async def test_styles_arrive_as_entities_and_links_never_as_previews(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    await lab.connect_telegram(await lab.add_tenant(), telegram)
    lab.model.reply = (
        "👍 **Bold 👩‍👩‍👧** and *leaning* `code`\n\n```python\nprint(1)\n```\n\n> said"
    )
    answer = await telegram.ask("How?", user=7, seconds=SECONDS)
    assert answer.text == "👍 Bold 👩‍👩‍👧 and leaning code\n\nprint(1)\n\nsaid"
    assert words_of(answer) == [
        ("bold", "Bold 👩‍👩‍👧"),
        ("italic", "leaning"),
        ("code", "code"),
        ("pre", "print(1)"),
        ("blockquote", "said"),
    ]
    assert answer.details["link_preview_options"] == {"is_disabled": True}


async def test_in_a_private_chat_the_answer_grows_as_a_draft(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    await lab.connect_telegram(await lab.add_tenant(), telegram)
    lab.model.reply = " ".join(f"word{number}" for number in range(40))
    lab.model.delay_seconds = 0.04
    answer = await telegram.ask("How?", user=7, seconds=SECONDS)
    assert answer.text == lab.model.reply
    drafts = telegram.ledger.calls("sendMessageDraft")
    shown = [call.args["text"] for call in drafts]
    assert len(shown) >= 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert lab.model.reply.startswith(shown[-1])
    assert len({call.args["draft_id"] for call in drafts}) == 1
    assert len(telegram.ledger.calls("sendMessage")) == 1
    assert telegram.drafts(7) == []
    assert "typing" in {call.args["action"] for call in telegram.ledger.calls("sendChatAction")}


async def test_in_a_group_the_answer_grows_in_the_message_that_keeps_it(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    group = telegram.world.add_group("Team", [coach.account], type="supergroup")
    lab.model.reply = " ".join(f"word{number}" for number in range(72))
    lab.model.delay_seconds = 0.05
    name = coach.account.person.username
    said = await telegram.say(f"@{name} how?", user=7, chat=group)
    grown = await telegram.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    partly = grown.text
    await until(lambda: grown.text == lab.model.reply, seconds=SECONDS)
    assert lab.model.reply.startswith(partly)
    assert partly != lab.model.reply
    assert telegram.ledger.visible(said.thread) == [lab.model.reply]
    assert not telegram.ledger.calls("sendMessageDraft")
    assert len(telegram.ledger.calls("sendMessage")) == 1


async def test_a_bot_that_refuses_drafts_is_answered_all_the_same(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    lab.model.delay_seconds = 0.05
    said = await telegram.say("one two three four five six seven eight nine ten", user=7)
    telegram.world.private(coach.account, telegram.world.person(7)).refuses_drafts = True
    answer = await telegram.wait_for_answer("7", after=said.place, seconds=SECONDS)
    assert answer.text.endswith("nine ten")
    assert len(telegram.ledger.calls("sendMessageDraft")) == 1


async def test_a_long_answer_arrives_split_in_order_and_whole(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    await lab.connect_telegram(await lab.add_tenant(), telegram)
    lab.model.reply = answer_long(9000)
    said = await telegram.say("How?", user=7)
    whole = lab.model.reply([{"role": "user", "content": "How?"}])
    plain = whole.replace("**", "").replace("`", "")
    ledger = telegram.ledger
    await ledger.wait_until(
        lambda: (
            sum(map(len, ledger.visible(said.thread))) >= len(plain.replace("\n", "")) - 10
            and "…" not in ledger.visible(said.thread)
        ),
        seconds=SECONDS,
    )
    parts = ledger.visible(said.thread)
    assert len(parts) >= 3
    assert "\n\n".join(parts) == plain
    assert all(units(part) <= 4096 for part in parts)
    styled = [word for part in ledger.accepted for word in words_of(part)]
    steps = plain.count("Step ")
    assert [word for style, word in styled if style == "bold"] == [
        f"Step {number + 1}" for number in range(steps)
    ]
    assert sum(style == "code" for style, _ in styled) == steps
