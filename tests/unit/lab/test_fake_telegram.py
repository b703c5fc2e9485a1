"""The fake Bot API is one for aiogram: its methods, its errors, its models of every update."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
import pytest
from aiogram import Bot as Client
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    EphemeralMessageParameters,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReactionTypeEmoji,
    ReplyParameters,
)

from coachline_lab import FakeTelegram, Mode, asked_in
from coachline_lab.telegram import Bot

Connect = Callable[[str], Client]


async def _private(telegram: FakeTelegram) -> int:
    """Begin the private chat; its id."""
    return int((await telegram.words.start()).thread)


async def test_the_bot_says_who_it_is(bot: Bot, client: Client) -> None:
    me = await client.get_me()
    assert (me.id, me.username, me.is_bot) == (bot.id, "coach_bot", True)


async def test_a_foreign_token_is_refused(connect: Connect) -> None:
    with pytest.raises(TelegramUnauthorizedError):
        await connect("1:foreign").get_me()


async def test_json_is_taken_as_well_as_forms(telegram: FakeTelegram, bot: Bot) -> None:
    chat = await _private(telegram)
    url = f"{telegram.url}/bot{bot.token}/sendMessage"
    async with aiohttp.ClientSession() as http:
        async with http.post(url, json={"chat_id": chat, "text": "as json"}) as response:
            assert (await response.json())["ok"]
        async with http.get(url, params={"chat_id": chat, "text": "as query"}) as response:
            assert (await response.json())["ok"]
        form = aiohttp.MultipartWriter("form-data")
        form.append("as parts").set_content_disposition("form-data", name="text")
        form.append(str(chat)).set_content_disposition("form-data", name="chat_id")
        async with http.post(url, data=form) as response:
            assert (await response.json())["ok"]
    assert telegram.ledger.visible(str(chat)) == ["as json", "as query", "as parts"]


async def test_a_message_is_shown_with_everything_on_it(
    telegram: FakeTelegram, client: Client
) -> None:
    said = await telegram.say("hello", user=77)
    entities = [MessageEntity(type="bold", offset=0, length=2)]
    button = InlineKeyboardButton(text="Yes", callback_data="y")
    sent = await client.send_message(
        77,
        "👍 good",
        entities=entities,
        reply_parameters=ReplyParameters(message_id=said.message_id),
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]),
    )
    assert sent.reply_to_message is not None
    assert sent.reply_to_message.message_id == said.message_id
    (shown,) = telegram.ledger.accepted
    assert shown.details["link_preview_options"] == {"is_disabled": True}
    assert shown.details["entities"] == [{"type": "bold", "offset": 0, "length": 2}]
    assert shown.details["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "y"


@pytest.mark.parametrize(
    ("offset", "length", "kind"),
    [(0, 1, "bold"), (1, 1, "bold"), (0, 9, "bold"), (0, 2, "blink"), (-1, 2, "bold")],
    ids=["ends in a pair", "begins in a pair", "beyond the text", "unknown", "negative"],
)
async def test_entities_off_the_text_are_refused(
    telegram: FakeTelegram, client: Client, offset: int, length: int, kind: str
) -> None:
    chat = await _private(telegram)
    entity = MessageEntity.model_construct(type=kind, offset=offset, length=length)
    with pytest.raises(TelegramBadRequest, match="can't parse entities"):
        await client.send_message(chat, "👍 good", entities=[entity])


async def test_text_is_measured_in_utf16(telegram: FakeTelegram, client: Client) -> None:
    chat = await _private(telegram)
    await client.send_message(chat, "👍" * 2048)
    with pytest.raises(TelegramBadRequest, match="message is too long"):
        await client.send_message(chat, "👍" * 2049)


@pytest.mark.parametrize("text", ["", "   \n"])
async def test_empty_text_is_refused(telegram: FakeTelegram, client: Client, text: str) -> None:
    chat = await _private(telegram)
    with pytest.raises(TelegramBadRequest, match="empty"):
        await client.send_message(chat, text)


@pytest.mark.parametrize(("size", "is_taken"), [(64, True), (65, False)])
async def test_a_button_carries_at_most_64_bytes(
    telegram: FakeTelegram, client: Client, size: int, is_taken: bool
) -> None:
    chat = await _private(telegram)
    button = InlineKeyboardButton(text="Go", callback_data="x" * size)
    call = client.send_message(
        chat, "?", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]])
    )
    if is_taken:
        await call
    else:
        with pytest.raises(TelegramBadRequest, match="BUTTON_DATA_INVALID"):
            await call
    assert len(telegram.ledger.accepted) == is_taken


async def test_an_edit_is_shown_and_an_equal_one_refused(
    telegram: FakeTelegram, client: Client
) -> None:
    chat = await _private(telegram)
    sent = await client.send_message(chat, "…")
    await client.edit_message_text("done", chat_id=chat, message_id=sent.message_id)
    with pytest.raises(TelegramBadRequest, match="message is not modified"):
        await client.edit_message_text("done", chat_id=chat, message_id=sent.message_id)
    with pytest.raises(TelegramBadRequest, match="not found"):
        await client.edit_message_text("done", chat_id=chat, message_id=9999)
    assert telegram.ledger.visible(str(chat)) == ["done"]
    await client.delete_message(chat, sent.message_id)
    assert telegram.ledger.visible(str(chat)) == []
    with pytest.raises(TelegramBadRequest, match="message to delete not found"):
        await client.delete_message(chat, sent.message_id)


async def test_a_draft_lives_until_its_message(telegram: FakeTelegram, client: Client) -> None:
    chat = await _private(telegram)
    await client.send_message_draft(chat, draft_id=1, text="half")
    await client.send_message_draft(chat, draft_id=1, text="half an answer")
    assert telegram.drafts() == ["half an answer"]
    assert telegram.ledger.visible(str(chat)) == []
    await client.send_message(chat, "an answer")
    assert telegram.drafts() == []


async def test_drafts_are_for_private_chats_that_take_them(
    telegram: FakeTelegram, client: Client
) -> None:
    chat = await _private(telegram)
    group = await telegram.around.add_bot_to_group()
    await telegram.around.refuse_drafts()
    for place in (chat, group.id):
        with pytest.raises(TelegramBadRequest, match="TEXTDRAFT_PEER_INVALID"):
            await client.send_message_draft(place, draft_id=1, text="half")


async def test_nobody_is_written_to_who_did_not_start(
    telegram: FakeTelegram, client: Client
) -> None:
    person = telegram.add_user("Ada")
    with pytest.raises(TelegramForbiddenError, match="can't initiate"):
        await client.send_message(person.id, "hello")
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await client.send_message(987654, "hello")


async def test_a_blocked_bot_cannot_write_until_it_is_unblocked(
    telegram: FakeTelegram, client: Client
) -> None:
    chat = await _private(telegram)
    await telegram.block()
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await client.send_message(chat, "hello")
    await telegram.unblock()
    await client.send_message(chat, "hello")
    kinds = [u.my_chat_member for u in await client.get_updates() if u.my_chat_member]
    assert [kind.new_chat_member.status for kind in kinds] == ["kicked", "member"]


async def test_who_is_gone_cannot_be_written_to(telegram: FakeTelegram, client: Client) -> None:
    chat = await _private(telegram)
    group = await telegram.around.add_bot_to_group()
    await telegram.around.deactivate()
    await telegram.around.kick_bot(group)
    for place, problem in ((chat, "user is deactivated"), (group.id, "bot was kicked")):
        with pytest.raises(TelegramForbiddenError, match=problem):
            await client.send_message(place, "hello")


async def test_a_group_that_moved_says_where(telegram: FakeTelegram, client: Client) -> None:
    group = await telegram.around.add_bot_to_group(type="group")
    moved = await telegram.around.migrate(group)
    with pytest.raises(TelegramMigrateToChat) as told:
        await client.send_message(group.id, "hello")
    assert told.value.migrate_to_chat_id == moved.id
    await client.send_message(moved.id, "hello")


@pytest.mark.parametrize(
    ("mode", "error", "accepted"),
    [
        (Mode.RATE_LIMITED, TelegramRetryAfter, 0),
        (Mode.SERVER_ERROR, TelegramServerError, 0),
        (Mode.SERVER_ERROR_AFTER_ACCEPT, TelegramServerError, 1),
        (Mode.HTML_ERROR, ClientDecodeError, 0),
        (Mode.CUT_AFTER_ACCEPT, TelegramNetworkError, 1),
        (Mode.CUT_BEFORE_ACCEPT, TelegramNetworkError, 0),
    ],
)
async def test_a_fault_is_what_aiogram_makes_of_the_real_one(
    telegram: FakeTelegram,
    client: Client,
    mode: Mode,
    error: type[AiogramError],
    accepted: int,
) -> None:
    chat = await _private(telegram)
    telegram.faults.next(1, mode, method="sendMessage", retry_after=3)
    with pytest.raises(error) as raised:
        await client.send_message(chat, "hello")
    assert len(telegram.ledger.accepted) == accepted
    assert [call.fault for call in telegram.ledger.calls("sendMessage")] == [mode.value]
    if isinstance(raised.value, TelegramRetryAfter):
        assert raised.value.retry_after == 3


async def test_a_refused_call_is_refused_whatever_the_fault(
    telegram: FakeTelegram, client: Client
) -> None:
    telegram.faults.next(1, Mode.CUT_AFTER_ACCEPT)
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await client.send_message(31337, "hello")


async def test_rates_are_kept_on_demand(telegram: FakeTelegram, client: Client) -> None:
    chat = await _private(telegram)
    telegram.rates.is_kept = True
    for number in range(3):
        await client.send_message(chat, f"{number}")
    with pytest.raises(TelegramRetryAfter):
        await client.send_message(chat, "one too many")
    await telegram.say("hello", user=5)
    await client.send_message(5, "another chat is free")


async def test_nobody_hears_of_a_deleted_message(telegram: FakeTelegram, client: Client) -> None:
    said = await telegram.say("hello")
    (update,) = await client.get_updates()
    await telegram.delete(said)
    assert await client.get_updates(offset=update.update_id + 1) == []
    assert telegram.ledger.transcript(said.thread) == []


async def test_another_bot_is_heard_and_the_own_words_are_not(telegram: FakeTelegram) -> None:
    ours, other = telegram.add_bot(is_private=False), telegram.add_bot(is_private=False)
    group = telegram.world.add_group("Bots", [ours, other])
    await telegram.words.say_as_bot("beep", other=other, chat=group)
    assert (len(ours.pending), len(other.pending)) == (1, 0)


async def test_a_forum_answers_in_its_topics_only(telegram: FakeTelegram, client: Client) -> None:
    forum = await telegram.around.add_bot_to_group("Forum", is_forum=True)
    topic = await telegram.around.add_topic(forum)
    sent = await client.send_message(forum.id, "here", message_thread_id=topic)
    assert (sent.is_topic_message, sent.message_thread_id) == (True, topic)
    assert telegram.ledger.visible(f"{forum.id}/{topic}") == ["here"]
    with pytest.raises(TelegramBadRequest, match="message thread not found"):
        await client.send_message(forum.id, "where?", message_thread_id=topic + 999)


async def test_what_one_person_asked_unseen_is_answered_unseen(
    telegram: FakeTelegram, client: Client
) -> None:
    group = await telegram.around.add_bot_to_group()
    said = await telegram.words.say_unseen("between us", chat=group, user=7)
    update = (await client.get_updates())[-1]
    assert update.message is not None
    assert (update.message.message_id, update.message.ephemeral_message_id) == (0, 1)
    assert not update.message.model_extra
    sent = await client.send_message(
        group.id,
        "…",
        ephemeral_message_parameters=EphemeralMessageParameters(receiver_user_id=7),
    )
    assert (sent.message_id, sent.ephemeral_message_id) == (0, 2)
    await client.edit_ephemeral_message_text(
        chat_id=group.id, receiver_user_id=7, ephemeral_message_id=2, text="yes"
    )
    assert telegram.ledger.visible(said.thread) == ["yes"]
    assert telegram.ledger.visible(str(group.id)) == []
    await client.delete_ephemeral_message(group.id, 7, 2)
    assert telegram.ledger.visible(said.thread) == []


async def test_a_bot_answers_for_a_business_in_the_chat_of_its_customer(
    telegram: FakeTelegram, client: Client
) -> None:
    connection = await telegram.around.connect_business(telegram.add_user("Shop"))
    chat = telegram.around.customer_chat(connection, user=9)
    said = await telegram.say("open today?", user=9, chat=chat)
    await telegram.edit(said, "open now?", user=9, chat=chat)
    sent = await client.send_message(9, "yes", business_connection_id=connection)
    assert sent.business_connection_id == connection
    assert said.thread == f"9@{connection}"
    assert telegram.ledger.visible(said.thread) == ["yes"]
    await telegram.delete(said, user=9, chat=chat)
    updates = await client.get_updates()
    assert [update.event_type for update in updates] == [
        "business_connection",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
    ]
    assert not any(update.event.model_extra for update in updates)
    with pytest.raises(TelegramBadRequest, match="BUSINESS_PEER_INVALID"):
        await client.send_message(9, "hello", business_connection_id="bc0")


async def test_gestures_are_taken_and_checked(telegram: FakeTelegram, client: Client) -> None:
    said = await telegram.say("hello")
    chat = int(said.thread)
    assert await client.send_chat_action(chat, "typing")
    assert await client.set_message_reaction(
        chat, said.message_id, reaction=[ReactionTypeEmoji(emoji="👍")]
    )
    button = InlineKeyboardButton(text="Yes", callback_data="y")
    await client.send_message(
        chat, "?", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]])
    )
    pressed = await telegram.press("Yes")
    assert pressed.query_id is not None
    assert await client.answer_callback_query(pressed.query_id)
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await client.answer_callback_query("1")
    with pytest.raises(TelegramBadRequest, match="wrong parameter action"):
        await client.send_chat_action(chat, "dancing")


async def test_a_file_is_fetched_by_the_bot_that_got_it(
    telegram: FakeTelegram, client: Client, connect: Connect
) -> None:
    await telegram.media.send_document(b"the content")
    (update,) = await client.get_updates()
    assert update.message is not None
    assert update.message.document is not None
    file = await client.get_file(update.message.document.file_id)
    assert file.file_path is not None
    content = await client.download_file(file.file_path)
    assert content is not None
    assert content.read() == b"the content"
    stranger = telegram.add_bot()
    with pytest.raises(TelegramBadRequest, match="invalid file_id"):
        await connect(stranger.token).get_file(update.message.document.file_id)


async def test_bots_count_their_updates_and_messages_by_themselves(
    telegram: FakeTelegram,
) -> None:
    one, two = telegram.add_bot(), telegram.add_bot()
    first = await telegram.say("hello", user=5, bot=one)
    second = await telegram.say("hello", user=5, bot=two)
    assert (first.thread, first.message_id) == (second.thread, second.message_id)
    assert first.update_ids != second.update_ids


async def test_the_ledger_judges_an_echoing_bot(telegram: FakeTelegram, client: Client) -> None:
    questions = [f"question {number}" for number in range(5)]
    for question in questions:
        said = await telegram.say(question)
    for update in await client.get_updates():
        assert update.message is not None
        await client.send_message(update.message.chat.id, f"Well, re: {update.message.text}")
    verdict = telegram.ledger.judge(asked_in(said.thread, questions))
    assert verdict.is_perfect, str(verdict)
