"""What a reply looks like when Telegram has taken it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from channel_kit import Choice, Citation, Placeholder, Reply, ReplyRejected, Shaping
from channel_telegram import TelegramChannel
from channel_telegram.outbound import MOST_UNITS, compose_draft, compose_text, shape
from coachline_lab.faults import Mode
from coachline_lab.telegram import Bot, FakeTelegram, Person

Connect = Callable[..., TelegramChannel]


def reply(thread: str, text: str = "Begin *small*.", **fields: Any) -> Reply:
    given = {"id": "0198c0de-0000-7000-8000-000000000001", "thread": thread, "text": text}
    return Reply.model_validate(given | fields)


async def test_a_reply_comes_formatted_without_a_preview_and_with_its_buttons(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    receipt = await connect().send(
        reply(
            said.thread,
            "👍🏽 Begin **small** [1], see [this](https://example.org/a).",
            citations=(Citation(number=1, title="Habits " * 20, source="habits.md"),),
            choices=(Choice(label="Go on", value="/more"),),
            hint="Ask me anything.",
        )
    )
    (shown,) = telegram.ledger.accepted
    assert shown.text == "👍🏽 Begin small [1], see this.\n\nAsk me anything."
    kinds = {e["type"]: (e["offset"], e["length"]) for e in shown.details["entities"]}
    assert kinds == {"bold": (11, 5), "text_link": (26, 4)}
    assert shown.details["link_preview_options"]["is_disabled"] is True
    rows = shown.details["reply_markup"]["inline_keyboard"]
    assert [[b["callback_data"] for b in row] for row in rows] == [["/more"], ["/source 1"]]
    assert rows[1][0]["text"].startswith("[1] Habits")
    assert len(rows[1][0]["text"]) <= 49
    assert receipt.external_id == f"m:{ada.id}:{shown.message_id}"


async def test_a_placeholder_becomes_the_answer_and_twice_is_once(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    channel = connect()
    assert isinstance(channel, Placeholder)
    answer = reply(said.thread)
    handle = await channel.reserve(answer)
    assert telegram.ledger.visible(said.thread)[-1] == "…"
    first = await channel.fill(handle, answer)
    again = await channel.fill(handle, answer)
    assert first.external_id == again.external_id
    assert telegram.ledger.visible(said.thread) == ["Begin small."]


async def test_a_placeholder_that_somebody_deleted_is_not_sent_again(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    channel = connect()
    handle = await channel.reserve(reply(said.thread))
    await telegram.delete(int(handle.partition(":")[2]), user=ada, bot=bot)
    with pytest.raises(ReplyRejected, match="deleted"):
        await channel.fill(handle, reply(said.thread))
    assert len(telegram.ledger.accepted) == 1


async def test_a_placeholder_can_be_taken_away_and_twice_is_once(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    channel = connect()
    handle = await channel.reserve(reply(said.thread))
    for _ in range(2):
        await channel.discard(handle, said.thread)
    assert "…" not in telegram.ledger.visible(said.thread)


async def test_a_placeholder_of_another_chat_is_refused(connect: Connect) -> None:
    with pytest.raises(ReplyRejected, match="not in this chat"):
        await connect().fill("-5:7", reply("-6"))


async def test_refused_entities_cost_the_formatting_and_not_the_answer(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    channel = connect()
    wrong = "Bad Request: can't parse entities: unsupported start tag"
    telegram.faults.next(1, Mode.REJECTED, method="sendMessage", error=wrong)
    await channel.send(reply(said.thread, "Begin **small**."))
    handle = await channel.reserve(reply(said.thread))
    telegram.faults.next(1, Mode.REJECTED, method="editMessageText", error=wrong)
    await channel.fill(handle, reply(said.thread, "And **again**."))
    texts = [(one.text, "entities" in one.details) for one in telegram.ledger.accepted]
    assert texts == [("Begin small.", False), ("And again.", False)]


async def test_entities_that_are_refused_for_ever_are_given_up(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    telegram.faults.next(5, Mode.REJECTED, error="Bad Request: ENTITY_BOUNDS_INVALID")
    with pytest.raises(ReplyRejected):
        await connect().send(reply(said.thread, "Begin **small**."))
    assert len(telegram.ledger.calls("sendMessage")) == 2


async def test_in_a_topic_the_answer_stays_there_and_refers_to_the_question(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    group = await telegram.around.add_bot_to_group(bots=[bot], user=ada, is_forum=True)
    topic = await telegram.around.add_topic(group, user=ada)
    said = await telegram.say("/help", user=ada, chat=group, topic=topic)
    thread = f"{group.id}/{topic}"
    await connect().send(
        reply(thread, "Yes @ada_l.", in_reply_to=("u:3", f"m:{group.id}:{said.message_id}"))
    )
    (shown,) = telegram.ledger.accepted
    assert shown.thread == thread
    # The one who asked is told; nobody is called by what a model wrote.
    assert shown.text == "Yes @\N{WORD JOINER}ada_l."
    sent = telegram.ledger.calls("sendMessage")[0].args
    assert str(said.message_id) in str(sent["reply_parameters"])


async def test_a_value_that_no_button_holds_is_refused_before_anything_is_sent(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    fits, too_long = "é" * 32, "é" * 32 + "x"
    channel = connect()
    for call in (channel.send, channel.reserve):
        with pytest.raises(ReplyRejected, match="64 bytes"):
            await call(reply(said.thread, choices=(Choice(label="A", value=too_long),)))
    await channel.send(reply(said.thread, choices=(Choice(label="A", value=fits),)))
    assert len(telegram.ledger.calls("sendMessage")) == 1


async def test_at_most_four_sources_have_a_button(
    telegram: FakeTelegram, bot: Bot, ada: Person, connect: Connect
) -> None:
    said = await telegram.say("Hello", user=ada, bot=bot)
    sources = tuple(Citation(number=n, title=f"T{n}", source="s") for n in range(1, 8))
    await connect().send(reply(said.thread, citations=sources))
    rows = telegram.ledger.accepted[0].details["reply_markup"]["inline_keyboard"]
    assert [row[0]["text"] for row in rows] == ["[1] T1", "[2] T2", "[3] T3", "[4] T4"]


async def test_a_text_that_is_too_long_or_no_address_is_refused_without_a_call(
    telegram: FakeTelegram, connect: Connect
) -> None:
    channel = connect()
    for wrong in (reply("5", "x" * (MOST_UNITS + 1)), reply("no/address"), reply("0")):
        with pytest.raises(ReplyRejected):
            await channel.send(wrong)
    assert telegram.ledger.calls() == []


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("[](https://example.org)", "[](https://example.org)"),
        ("#", "#"),
        ("```\n```", "```\n```"),
    ],
)
def test_markup_around_nothing_is_shown_as_it_was_written(markdown: str, text: str) -> None:
    assert compose_text(markdown, is_private=True).text == text
    assert [compose_text(part, is_private=True).text for part in shape(markdown)] == [text]


def test_a_private_chat_calls_people_by_their_name_and_code_is_left_alone() -> None:
    markdown = "Ask @ada_l or `@bot`, mail a@b.example, read https://x.example/@y and //@z"
    assert "\N{WORD JOINER}" not in compose_text(markdown, is_private=True).text
    group = compose_text(markdown, is_private=False)
    assert group.text == (
        "Ask @\N{WORD JOINER}ada_l or @bot, mail a@b.example, "
        "read https://x.example/@y and //@\N{WORD JOINER}z"
    )
    (code,) = group.entities
    assert code.extract_from(group.text) == "@bot"


@pytest.mark.parametrize(
    ("target", "is_link"),
    [
        ("https://example.org/a?b=c#d", True),
        ("http://example.org", True),
        ("tg://user?id=5", False),
        ("mailto:a@example.org", False),
        ("/relative", False),
        ("https://localhost", False),
        ("https://[::1", False),
        ("https://example.org/" + "x" * 2100, False),
    ],
)
def test_only_what_telegram_links_is_a_link(target: str, is_link: bool) -> None:
    content = compose_text(f"[here](<{target}>)", is_private=True)
    assert content.text == "here"
    assert [e.type for e in content.entities] == (["text_link"] if is_link else [])


def test_code_quotes_and_lists_are_what_telegram_calls_them() -> None:
    markdown = "> quoted **bold**\n\n```python\nx = 1\n```\n\n***both `code` ~~gone~~***\n\n- item"
    content = compose_text(markdown, is_private=True)
    found = [(e.type, e.extract_from(content.text), e.language) for e in content.entities]
    assert ("blockquote", "quoted bold", None) in found
    assert ("bold", "bold", None) in found
    assert ("pre", "x = 1", "python") in found
    assert ("code", "code", None) in found
    assert ("strikethrough", "gone", None) in found
    assert "• item" in content.text


@pytest.mark.parametrize(
    ("word", "least"), [("世", MOST_UNITS), ("👍🏽", MOST_UNITS - 3), ("word ", 4000)]
)
def test_a_long_draft_fills_its_message(word: str, least: int) -> None:
    content = compose_draft(f"**{word}**" + word * 5000, is_private=True)
    assert least <= len(content.text.encode("utf-16-le")) // 2 <= MOST_UNITS


def test_a_hint_always_has_its_room() -> None:
    hint = "Reply MORE for the rest."
    parts = shape("Word 👋 and more. " * 2000, hint=hint)
    assert len(parts) > 5
    for part in parts:
        units = len(compose_text(part, is_private=False).text.encode("utf-16-le")) // 2
        assert units + 2 + len(hint) <= MOST_UNITS


def test_a_part_has_no_more_entities_than_clients_show() -> None:
    parts = shape("**a** b " * 400)
    assert len(parts) > 3
    assert all(len(compose_text(part, is_private=True).entities) <= 100 for part in parts)


def test_the_channel_shapes(connect: Connect) -> None:
    channel = connect()
    assert isinstance(channel, Shaping)
    assert channel.shape("Hello.") == ["Hello."]
    assert list(channel.shape("  \n ")) == []
