"""What a delivery proves and means, beyond what the samples show."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from channel_kit import (
    Acknowledging,
    EventKind,
    PayloadUnreadable,
    SignatureMismatch,
    WebhookRequest,
)
from channel_telegram import TelegramChannel, TelegramConfig
from channel_telegram.addressing import Identity
from channel_telegram.channel import SECRET_HEADER
from channel_telegram.inbound import ALLOWED_UPDATES, parse_events

BOT = Identity(7345678901, "CoachlineDemoBot")
RECEIVED_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ADA = {"id": 5010203040, "is_bot": False, "first_name": "Ada"}
PRIVATE = {"id": 5010203040, "type": "private", "first_name": "Ada"}
GROUP = {"id": -1002233445566, "type": "supergroup", "title": "Running club"}
SECRET = "the-secret-that-telegram-was-told"
OLD_SECRET = "the-secret-that-it-was-told-before"


def message(chat: dict[str, Any] = PRIVATE, **fields: Any) -> bytes:
    given = {"message_id": 5, "date": 1795003200, "chat": chat, "from": ADA, **fields}
    return json.dumps({"update_id": 9, "message": given}).encode()


def events(body: bytes, bot: Identity = BOT) -> list[Any]:
    return list(parse_events(body, bot, RECEIVED_AT))


def request(secret: str | None, body: bytes = b"{}") -> WebhookRequest:
    headers = {} if secret is None else {SECRET_HEADER: secret}
    return WebhookRequest(
        url="https://coach.example/webhooks/1", headers=headers, body=body, received_at=RECEIVED_AT
    )


def channel(**config: Any) -> TelegramChannel:
    given = {"token": "7345678901:AAEfWbG3xk9b1nq2Zl0Yt5vUcRmS8dHoPpQ", **config}
    # Whatever it is asked here, it needs no session for.
    return TelegramChannel(TelegramConfig.model_validate(given), None)  # type: ignore[arg-type]  # never used


def test_while_the_secret_is_changed_both_are_accepted() -> None:
    changing = channel(webhook_secret=SECRET, previous_webhook_secret=OLD_SECRET)
    for secret in (SECRET, OLD_SECRET):
        changing.verify(request(secret))
    changed = channel(webhook_secret=SECRET)
    changed.verify(request(SECRET))
    with pytest.raises(SignatureMismatch):
        changed.verify(request(OLD_SECRET))


@pytest.mark.parametrize("given", [None, "", SECRET[:-1], SECRET + "x", SECRET.upper(), "é\udcff"])
def test_any_other_secret_is_refused(given: str | None) -> None:
    with pytest.raises(SignatureMismatch) as caught:
        channel(webhook_secret=SECRET).verify(request(given))
    assert SECRET not in str(caught.value)


def test_a_secret_that_nobody_gave_is_made_and_needed() -> None:
    with pytest.raises(SignatureMismatch):
        channel().verify(request(""))


def test_a_press_is_answered_in_the_acknowledgement_and_nothing_else_is() -> None:
    one = channel()
    assert isinstance(one, Acknowledging)
    press = {"update_id": 1, "callback_query": {"id": "2151", "from": ADA, "data": "/more"}}
    answer = one.acknowledge(request(None, json.dumps(press).encode()))
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert json.loads(answer.body) == {"method": "answerCallbackQuery", "callback_query_id": "2151"}
    odd = ({"callback_query": 5}, {"callback_query": {"id": 5}})
    for body in (message(text="Hello"), b"no json", *(json.dumps(o).encode() for o in odd)):
        assert one.acknowledge(request(None, body)).body == b""


@pytest.mark.parametrize(
    ("text", "entities", "said"),
    [
        ("@coachlinedemobot hi", [(0, 17)], "hi"),
        ("hi @CoachlineDemoBot", [(3, 17)], "hi"),
        ("Say, @CoachlineDemoBot, why?", [(5, 17)], "Say, why?"),
        ("Say @CoachlineDemoBot, why?", [(4, 17)], "Say, why?"),
        ("Is it so, @CoachlineDemoBot?", [(10, 17)], "Is it so?"),
        ("So? @CoachlineDemoBot, why?", [(4, 17)], "So? why?"),
        ("Is it so @CoachlineDemoBot?", [(9, 17)], "Is it so?"),
        ("@CoachlineDemoBot: why?", [(0, 17)], "why?"),
        ("@CoachlineDemoBot @CoachlineDemoBot hi", [(0, 17), (18, 17)], "hi"),
        ("🏃🏃 @CoachlineDemoBot 🏃", [(5, 17)], "🏃🏃 🏃"),
        ("@CoachlineDemoBotX hi", [(0, 18)], None),
        ("@CoachlineDemoBot hi", [], None),
        ("@CoachlineDemoBot hi", [(0, 400)], None),
        ("@CoachlineDemoBot hi", [(-3, 17)], None),
        ("hi all", [], None),
        ("/start", [], "/start"),
        ("/help@coachlinedemobot", [], "/help"),
        ("/help@OtherBot @CoachlineDemoBot", [(15, 17)], None),
        ("go to /help", [], None),
    ],
)
def test_in_a_group_only_what_is_meant_for_the_bot_is_heard(
    text: str, entities: list[tuple[int, int]], said: str | None
) -> None:
    found = [{"type": "mention", "offset": o, "length": n} for o, n in entities]
    heard = [event.text for event in events(message(GROUP, text=text, entities=found))]
    assert heard == ([] if said is None else [said])


def test_without_its_user_name_the_bot_knows_replies_commands_and_its_own_id() -> None:
    nameless = Identity(BOT.bot_id)
    mention = [{"type": "mention", "offset": 0, "length": 17}]
    me = {"id": BOT.bot_id, "is_bot": True, "first_name": "Coach"}
    picked = [{"type": "text_mention", "offset": 0, "length": 5, "user": me}]
    answered = {"message_id": 4, "date": 1795003199, "chat": GROUP, "from": me, "text": "Yes?"}
    assert not events(message(GROUP, text="@CoachlineDemoBot hi", entities=mention), nameless)
    assert events(message(GROUP, text="Coach hi", entities=picked), nameless)[0].text == "hi"
    assert events(message(GROUP, text="hi", reply_to_message=answered), nameless)
    assert events(message(GROUP, text="/help"), nameless)


def test_a_caption_is_the_text_of_its_file_in_groups_too() -> None:
    photo = [{"file_id": "p", "file_unique_id": "u", "width": 9, "height": 9}]
    mention = [{"type": "mention", "offset": 0, "length": 17}]
    (event,) = events(
        message(GROUP, photo=photo, caption="@CoachlineDemoBot look", caption_entities=mention)
    )
    assert (event.kind, event.text) == (EventKind.MESSAGE, "look")
    assert [a.reference for a in event.attachments] == ["p"]


def test_an_edit_in_a_group_is_heard_only_where_its_message_is() -> None:
    for text, count in (("/help", 1), ("hi all", 0)):
        edited = {
            "message_id": 5,
            "date": 1795003200,
            "edit_date": 1795003260,
            "chat": GROUP,
            "from": ADA,
            "text": text,
        }
        body = json.dumps({"update_id": 9, "edited_message": edited}).encode()
        found = events(body)
        assert len(found) == count
    assert all(event.occurred_at == datetime.fromtimestamp(1795003260, UTC) for event in found)


def test_only_where_nobody_else_reads_is_it_private() -> None:
    (alone,) = events(message(PRIVATE, text="/mydata"))
    (among_others,) = events(message(GROUP, text="/mydata"))
    (unseen,) = events(message(GROUP, message_id=0, ephemeral_message_id=5, text="/mydata"))
    assert (alone.is_private, among_others.is_private, unseen.is_private) == (True, False, True)


def test_ephemeral_messages_do_not_become_one() -> None:
    ids = [
        events(message(GROUP, message_id=0, ephemeral_message_id=number, text="/help"))[0]
        for number in (1, 2)
    ]
    assert [e.external_id for e in ids] == ["e:-1002233445566:1", "e:-1002233445566:2"]
    assert {e.thread for e in ids} == {"-1002233445566~5010203040"}


def test_a_button_without_a_date_happened_when_it_came() -> None:
    press = {
        "id": "2151",
        "from": ADA,
        "chat_instance": "-1",
        "data": "/more",
        "message": {"message_id": 0, "chat": GROUP, "date": 0},
    }
    (event,) = events(json.dumps({"update_id": 9, "callback_query": press}).encode())
    assert (event.occurred_at, event.reply_to) == (RECEIVED_AT, None)


def test_a_button_that_is_not_ours_is_left_out() -> None:
    press = {"id": "2151", "from": ADA, "chat_instance": "-1", "inline_message_id": "x"}
    for extra in ({"data": "x"}, {"game_short_name": "chess"}):
        body = json.dumps({"update_id": 9, "callback_query": {**press, **extra}}).encode()
        assert events(body) == []


def test_a_button_of_an_ephemeral_message_stays_between_the_two() -> None:
    mine = {
        "message_id": 0,
        "ephemeral_message_id": 8,
        "date": 1795003200,
        "chat": GROUP,
        "from": {"id": BOT.bot_id, "is_bot": True, "first_name": "Coach"},
        "text": "Go on?",
    }
    press = {"id": "2151", "from": ADA, "chat_instance": "-1", "data": "/more", "message": mine}
    (event,) = events(json.dumps({"update_id": 9, "callback_query": press}).encode())
    assert (event.thread, event.reply_to) == (
        "-1002233445566~5010203040",
        "e:-1002233445566:8",
    )


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({"user": None, "actor_chat": GROUP}, 0),
        ({"user": {**ADA, "is_bot": True}}, 0),
        ({"new_reaction": [{"type": "custom_emoji", "custom_emoji_id": "5"}]}, 1),
        ({"new_reaction": [{"type": "paid"}]}, 1),
    ],
)
def test_reactions_of_nobody_are_left_out(changed: dict[str, Any], count: int) -> None:
    reaction = {
        "chat": GROUP,
        "message_id": 5,
        "user": ADA,
        "date": 1795003200,
        "old_reaction": [],
        "new_reaction": [],
        **changed,
    }
    body = json.dumps({"update_id": 9, "message_reaction": reaction}).encode()
    assert len(events(body)) == count


@pytest.mark.parametrize(
    ("chat", "old", "new", "kinds"),
    [
        (PRIVATE, "kicked", "kicked", []),
        (PRIVATE, "left", "member", []),
        (GROUP, "member", "administrator", []),
        (GROUP, "kicked", "restricted", ["opened"]),
        ({**GROUP, "type": "channel"}, "left", "administrator", []),
    ],
)
def test_only_coming_and_going_counts(
    chat: dict[str, Any], old: str, new: str, kinds: list[str]
) -> None:
    user = {"id": BOT.bot_id, "is_bot": True, "first_name": "Coach"}

    def member(status: str) -> dict[str, Any]:
        # Without the rights: every version of the Bot API has other ones.
        return {"user": user, "status": status}

    change = {
        "chat": chat,
        "from": ADA,
        "date": 1795003200,
        "old_chat_member": member(old),
        "new_chat_member": member(new),
    }
    body = json.dumps({"update_id": 9, "my_chat_member": change}).encode()
    assert [event.kind for event in events(body)] == kinds


def test_what_is_new_inside_a_button_or_a_reaction_does_not_hide_the_rest() -> None:
    new = {"message_id": 3, "date": 1795003200, "chat": PRIVATE, "game": {"new": 1}}
    press = {"id": "2151", "from": ADA, "chat_instance": "-1", "data": "/more", "message": new}
    reaction = {
        "chat": GROUP,
        "message_id": 5,
        "user": ADA,
        "date": 1795003200,
        "old_reaction": [],
        "new_reaction": [{"type": "hologram"}],
    }
    for kind, value in (("callback_query", press), ("message_reaction", reaction)):
        (event,) = events(json.dumps({"update_id": 9, kind: value}).encode())
        assert event.reply_to in ("m:5010203040:3", "m:-1002233445566:5")


def test_a_direct_message_to_a_channel_is_left_out() -> None:
    assert events(message({**GROUP, "is_direct_messages": True}, text="/help")) == []


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"update_id": "x"}',
        b'{"update_id": 1, "message": 5}',
        b'{"update_id": 1, "message": {"message_id": 1, "text": "hunter2"}}',
        b'{"update_id": 1, "hologram": {"chat": {"id": "hunter2"}, "from": {}}}',
        message(text="hunter2", date=10**30),
        message(text="hunter2", business_connection_id="a\nb", sender_chat=None),
    ],
)
def test_what_is_no_update_is_unreadable_and_not_shown(body: bytes) -> None:
    with pytest.raises(PayloadUnreadable) as caught:
        events(body)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        message(text="hunter2", date=10**30),
        message(text="hunter2", business_connection_id="x" * 600, sender_chat=None),
        b'{"update_id": 1, "message": ' + b"[" * 40 + b"]" * 40 + b"}",
        json.dumps({"update_id": 1, "message": {"text": "hunter2"}}, indent=1).encode(),
    ],
)
def test_an_update_that_cannot_be_read_is_not_asked_for_again(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert channel().parse(request(None, body)) == ()
    assert "update_skipped" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("body", [b"{}", b'{"update_id": "x"}', b'["update_id"]', b"", b"\xff"])
def test_what_is_no_update_at_all_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadUnreadable):
        channel().parse(request(None, body))


def test_a_name_of_any_length_is_cut_and_an_empty_one_is_none() -> None:
    (long,) = events(message(text="hi", **{"from": {**ADA, "first_name": "x" * 900}}))
    (blank,) = events(message(text="hi", **{"from": {**ADA, "first_name": ""}}))
    assert len(long.sender.name) == 256
    assert blank.sender.name is None


def test_telegram_is_asked_for_what_is_read_and_for_nothing_else() -> None:
    assert set(ALLOWED_UPDATES) >= {
        "message",
        "edited_message",
        "callback_query",
        "message_reaction",
        "my_chat_member",
    }
    assert "channel_post" not in ALLOWED_UPDATES
