"""The history window and the rolling summary of what falls out of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from channel_kit import DeliveryReport, EventKind, InboundEvent, Sender
from coachline.conversation import SUMMARISE_JOB
from coachline.conversation.history import WINDOW_MESSAGES
from coachline.foundation.ids import TenantId
from coachline.messaging import LiveConnection
from integration.conversation.conftest import RULES, MakeStage, Stage
from lab.scripted_ollama import Fault

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]
WORDS = "word " * 30


async def summary_of(stage: Stage, live: LiveConnection) -> dict[str, Any] | None:
    async with stage.database.tenant(live.tenant_id) as session:
        found = await session.execute(
            text("select text, upto_seq, model from conversation_summary where conversation_id=:c"),
            {"c": (await stage.row(live))["id"]},
        )
        row = found.mappings().one_or_none()
        return None if row is None else dict(row)


async def summarise(stage: Stage, live: LiveConnection) -> None:
    await stage.services.summaries.run(live.tenant_id, (await stage.row(live))["id"])


async def jobs(stage: Stage, live: LiveConnection) -> int:
    conversation_id = (await stage.row(live))["id"]
    async with stage.database.system() as session:
        count = await session.scalar(
            text("select count(*) from pgqueuer where entrypoint = :job and dedupe_key = :key"),
            {"job": SUMMARISE_JOB, "key": f"{SUMMARISE_JOB}:{conversation_id}"},
        )
    return int(count or 0)


async def fill_window(stage: Stage, live: LiveConnection, turns: int = 12) -> None:
    stage.ollama.reply = "Good."
    for number in range(turns):
        await stage.talk(live, f"m{number} {WORDS}")


async def test_a_short_talk_asks_for_no_summary(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "Hi")
    await stage.talk(live, "Hello")
    assert await jobs(stage, live) == 0
    await summarise(stage, live)
    assert await summary_of(stage, live) is None


async def test_what_falls_out_is_summarised_and_the_prompt_holds_the_summary(
    stage: Stage, tenants: Two
) -> None:
    live, other = [await stage.connect(tenant_id) for tenant_id in tenants]
    await fill_window(stage, live)
    await stage.talk(other, "Hi")
    assert await jobs(stage, live) == 1
    assert await jobs(stage, other) == 0

    stage.ollama.reply = "Ada wants to run."
    await summarise(stage, live)
    summary = await summary_of(stage, live)
    assert summary is not None
    assert (summary["text"], summary["model"]) == ("Ada wants to run.", "smollm2:135m")
    assert "Person: m0 word" in stage.prompt()
    assert "Coach: Good." in stage.prompt()
    assert "m11 word" not in stage.prompt()

    await stage.talk(live, "And now?")
    assert "<summary>\nAda wants to run.\n</summary>" in stage.prompt()
    assert "m0 word" not in stage.prompt()
    assert "m11 word" in stage.prompt()
    await stage.talk(other, "And now?")
    assert "Ada" not in stage.prompt()


async def test_a_summary_grows_from_the_one_before(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0])
    await fill_window(stage, live)
    stage.ollama.reply = "Ada wants to run."
    await summarise(stage, live)
    first = await summary_of(stage, live)
    await fill_window(stage, live)
    stage.ollama.reply = "Ada runs."
    await summarise(stage, live)
    second = await summary_of(stage, live)
    assert first is not None
    assert second is not None
    assert second["upto_seq"] > first["upto_seq"]
    assert second["text"] == "Ada runs."
    assert "Memory so far:\nAda wants to run." in stage.prompt()


async def test_a_summary_is_written_in_pieces_that_fit_the_model(
    make_stage: MakeStage, tenants: Two
) -> None:
    stage = await make_stage(replace(RULES, context_tokens=1_200))
    live = await stage.connect(tenants[0])
    await fill_window(stage, live, turns=20)
    before = stage.ollama.chat_count
    await summarise(stage, live)
    assert stage.ollama.chat_count - before > 1
    for number in range(before, stage.ollama.chat_count):
        assert len(stage.prompt(number)) < 3 * 1_000


async def test_many_short_messages_are_summarised_though_their_tokens_would_fit(
    make_stage: MakeStage, tenants: Two
) -> None:
    stage = await make_stage(replace(RULES, context_tokens=32_000))
    live = await stage.connect(tenants[0])
    await stage.say(live, *(f"m{n}." for n in range(70)))
    stage.ollama.reply = "Good."
    for _ in range(8):
        if "new" in {message.state for message in await stage.messages(live)}:
            await stage.answer(live)
    assert await jobs(stage, live) == 1
    await summarise(stage, live)
    assert "Person: m0." in stage.prompt()
    await stage.talk(live, "And now?")
    assert "<summary>" in stage.prompt()
    assert "m69." in stage.prompt()


async def test_a_model_that_fails_leaves_the_summary_as_it_was(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0])
    await fill_window(stage, live)
    stage.ollama.always("smollm2:135m", Fault.BUSY)
    await summarise(stage, live)
    assert await summary_of(stage, live) is None


async def test_a_message_that_still_waits_is_not_summarised(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "first")
    await stage.say(live, f"waiting {WORDS}")
    waiting = await stage.begin(live)
    await stage.queue.release(waiting.lease)
    async with stage.database.tenant(live.tenant_id) as session:
        # As if much had been said behind it, which only a broken order could bring about.
        await session.execute(
            text("update inbox_event set text = repeat(text, 40) where id = :e"),
            {"e": waiting.events[0].id},
        )
    await summarise(stage, live)
    assert await summary_of(stage, live) is None


async def test_replies_that_never_arrived_and_broken_events_are_not_remembered(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "Good."
    await stage.talk(live, "one")
    await stage.talk(live, "two")
    async with stage.database.tenant(live.tenant_id) as session:
        await session.execute(
            text("update outbox_reply set state = 'dead' where seq = 2 and conversation_id = :c"),
            {"c": (await stage.row(live))["id"]},
        )
        await session.execute(
            text("update inbox_event set state = 'parked' where seq = 3 and conversation_id = :c"),
            {"c": (await stage.row(live))["id"]},
        )
    await stage.talk(live, "three")
    talk = [m["content"] for m in stage.ollama.chats[-1].messages[1:]]
    assert talk == ["one", "Good.", "three"]


async def test_reports_of_the_platform_push_nothing_out_of_the_window(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "I sail a boat")
    for number in range(WINDOW_MESSAGES):
        report = DeliveryReport(status="delivered", external_id=f"SM{number}")
        await stage.intake.accept(
            live,
            [
                InboundEvent(
                    external_id=f"SM{number}:delivered",
                    kind=EventKind.RECEIPT,
                    sender=Sender(id="ann"),
                    thread="ann",
                    receipt=report,
                    occurred_at=datetime.now(UTC),
                )
            ],
        )
    await stage.talk(live, "What do I like?")
    assert "I sail a boat" in stage.prompt()
