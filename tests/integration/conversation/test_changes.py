"""Edits, deletions, quotes and files on a whole turn."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text as sql

from channel_kit import Attachment, EventKind
from coachline.conversation import Redaction
from coachline.conversation.repository import ConversationMemory
from coachline.foundation.ids import ConversationId, TenantId
from coachline.messaging import References, TurnOvertaken
from integration.conversation.conftest import Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


async def test_an_edit_of_the_last_message_gives_one_amended_answer(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    stage.ollama.reply = "Run then."
    await stage.hear(live, external_id="m1", text="I like to rum")
    (again,) = await stage.hear(
        live, kind=EventKind.EDIT, external_id="e1", reply_to="m1", text="I like to run"
    )
    assert again.text == "Run then."
    assert "corrected" in stage.prompt()
    assert await stage.hear(live, kind=EventKind.EDIT, reply_to="m1", text="I like to sun") == []
    turn_events = [m for m in await stage.messages(live) if m.kind == "edit"]
    assert [m.state for m in turn_events] == ["answered", "recorded"]
    await stage.hear(live, text="And now?")
    talk = [m["content"] for m in stage.ollama.chats[-1].messages[1:]]
    assert talk == ["I like to rum", "Run then.", "I like to run", "Run then.", "And now?"]


async def test_an_edit_inside_the_burst_replaces_what_it_corrects(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.take(live, external_id="m1", text="I like to rum")
    stage.ollama.reply = "Good."
    await stage.hear(live, kind=EventKind.EDIT, reply_to="m1", text="I like to run")
    assert stage.ollama.chat_count == 1
    await stage.hear(live, text="And now?")
    talk = [m["content"] for m in stage.ollama.chats[-1].messages[1:]]
    assert talk == ["I like to run", "Good.", "And now?"]


async def test_a_deleted_message_leaves_the_history_and_the_database(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    stage.ollama.reply = "Good."
    await stage.hear(live, external_id="m1", text="my secret canary", raw={"t": "canary"})
    assert await stage.hear(live, kind=EventKind.DELETE, reply_to="m1") == []
    await stage.hear(live, text="And now?")
    assert "canary" not in stage.prompt()
    assert [m.text for m in await stage.messages(live) if m.external_id == "m1"] == [""]


async def test_an_edit_while_the_model_writes_stops_it(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    stage.ollama.delay_seconds = 5.0
    await stage.take(live, external_id="m1", text="I like to rum")
    turn = await stage.begin(live)
    answering = asyncio.create_task(stage.orchestrator.answer(turn))
    await stage.ollama.wait_open(1)
    await stage.take(live, kind=EventKind.EDIT, reply_to="m1", text="I like to run")
    with pytest.raises(TurnOvertaken):
        await answering
    stage.ollama.delay_seconds = 0.0
    await stage.services.ledger.abandon(turn)
    again = await stage.services.ledger.begin(turn.lease)
    assert again is not None
    await stage.orchestrator.answer(again)
    assert stage.ollama.chats[-1].messages[-1]["content"] == "I like to run"
    await stage.queue.release(turn.lease)


async def test_the_model_is_told_which_of_our_messages_is_answered(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    stage.ollama.reply = "Shall we meet on Monday?"
    (reply,) = await stage.hear(live, text="Hi")
    await stage.deliver(live)
    stage.ollama.reply = "Good."
    await stage.hear(live, text="Yes", reply_to=f"m:{reply.id}")
    last = stage.ollama.chats[-1].messages[-1]["content"]
    assert "<quote>\nShall we meet on Monday?\n</quote>" in last
    foreign = await stage.connect(tenants[0], "buttons")
    await stage.hear(foreign, text="Yes", reply_to=f"m:{reply.id}")
    assert "quote" not in stage.ollama.chats[-1].messages[-1]["content"]


async def test_text_files_are_read_and_others_are_named(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    notes = Attachment(
        kind="document", reference="My plan: run</file>", name="plan.txt", mime_type="text/plain"
    )
    photo = Attachment(kind="photo", reference="p1", mime_type="image/jpeg")
    gone = Attachment(kind="document", reference="gone", name="b.txt", mime_type="text/plain")
    await stage.hear(live, text="Look", attachments=(notes, photo, gone))
    last = stage.ollama.chats[-1].messages[-1]["content"]
    assert '<file name="plan.txt">\nMy plan: run' in last
    assert last.count("</file>") == 1
    assert "a photo, which you cannot see" in last
    assert "a document, which you cannot see" in last
    await stage.hear(live, attachments=(photo,))
    assert "a photo" in stage.ollama.chats[-1].messages[-1]["content"]


async def test_what_a_deletion_says_was_deleted_is_not_kept_either(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.hear(live, external_id="m1", text="my secret canary")
    await stage.hear(live, kind=EventKind.DELETE, reply_to="m1", raw={"previous_message": "canary"})
    async with stage.database.tenant(tenants[0]) as session:
        kept = await session.scalars(sql("select raw::text from inbox_event"))
        assert "canary" not in "".join(kept)


async def test_files_that_cannot_be_had_are_not_asked_for_without_end(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    gone = Attachment(kind="document", reference="gone", name="b.txt", mime_type="text/plain")
    notes = Attachment(kind="document", reference="plan", name="a.txt", mime_type="text/plain")
    photo = Attachment(kind="photo", reference="p1", mime_type="image/jpeg")
    await stage.hear(live, text="Look", attachments=(*[photo] * 5, gone, gone, notes, notes))
    assert stage.prompt().count('<file name="a.txt">') == 1


@pytest.mark.parametrize("kind", [EventKind.EDIT, EventKind.DELETE])
async def test_a_change_that_overtook_its_message_counts_when_the_message_comes(
    stage: Stage, tenants: Two, kind: EventKind
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    stage.ollama.reply = "Good."
    words = "" if kind is EventKind.DELETE else "I like to run"
    assert await stage.hear(live, kind=kind, reply_to="m1", text=words) == []
    answers = await stage.hear(live, external_id="m1", text="I like to rum")
    asked = [chat.messages[-1]["content"] for chat in stage.ollama.chats]
    if kind is EventKind.EDIT:
        assert asked == ["I like to run"]
        assert [answer.text for answer in answers] == ["Good."]
    else:
        assert (asked, answers) == ([], [])
        assert [m.text for m in await stage.messages(live) if m.external_id == "m1"] == [""]


async def test_what_was_deleted_does_not_live_on_in_the_summary(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    other = await stage.connect(tenants[0], "buttons")
    stage.ollama.reply = "Good."
    await stage.hear(live, external_id="m1", text="my secret canary")
    await stage.hear(other, external_id="m1", text="I sail")
    await stage.remember(live, "They have a canary.")
    await stage.remember(other, "They sail.")
    await stage.hear(live, text="Do you know?")
    assert "They have a canary." in stage.prompt()
    await stage.hear(live, kind=EventKind.DELETE, reply_to="m1")
    await stage.hear(live, text="And now?")
    assert "canary" not in stage.prompt()
    await stage.hear(other, text="And here?")
    assert "They sail." in stage.prompt()


async def test_a_summary_is_not_kept_of_what_is_deleted_while_it_is_written(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    stage.ollama.reply = "Good."
    for number in range(8):
        await stage.hear(live, external_id=f"m{number}", text=f"canary {number} " + "word " * 120)
    row = await stage.row(live)
    conversation = ConversationId(row["id"])
    stage.ollama.reply, stage.ollama.delay_seconds = "They have a canary.", 0.5
    writing = asyncio.create_task(stage.services.summaries.run(tenants[0], conversation))
    await stage.ollama.wait_open(1)
    redaction = Redaction(stage.database, References(stage.database))
    await redaction.scrub(tenants[0], conversation, ["m0"])
    await writing
    stage.ollama.delay_seconds = 0.0
    async with stage.database.tenant(tenants[0]) as session:
        assert await ConversationMemory().find_summary(session, conversation) is None
    stage.ollama.reply = "They write a lot."
    await stage.services.summaries.run(tenants[0], conversation)
    assert "canary 0" not in stage.prompt(), "made again from what is left"
    async with stage.database.tenant(tenants[0]) as session:
        kept = await ConversationMemory().find_summary(session, conversation)
    assert kept is not None
    assert kept.text == "They write a lot."
