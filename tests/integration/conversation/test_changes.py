"""Edits, deletions, quotes and files on a whole turn."""

from __future__ import annotations

import asyncio

import pytest

from channel_kit import Attachment, EventKind
from coachline.foundation.ids import TenantId
from coachline.messaging import TurnOvertaken
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
