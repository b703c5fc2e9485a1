"""Commands on a whole turn: answered without a model, kept out of the talk."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from channel_kit import Choice, EventKind
from coachline.foundation.ids import ConversationId, TenantId
from coachline.messaging import LiveConnection
from integration.conversation.conftest import RATES, RULES, MakeStage, Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


@pytest.mark.parametrize(
    ("channel", "words", "shown"),
    [("buttons", "/help", "/pause 3d"), ("texting", "Help!", "PAUSE 3d")],
)
async def test_help_names_the_commands_as_they_are_written_there(
    stage: Stage, tenants: Two, channel: str, words: str, shown: str
) -> None:
    live = await stage.connect(tenants[0], channel)
    (reply,) = await stage.hear(live, text=words)
    assert reply.is_notice
    assert shown in reply.text
    asked, _ = await stage.messages(live)
    assert asked.state == "commanded"
    assert stage.ollama.chat_count == 0


async def test_commands_and_their_answers_stay_out_of_the_history(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "texting")
    stage.ollama.reply = "Good."
    await stage.talk(live, "I run")
    await stage.talk(live, "help")
    await stage.talk(live, "mydata", "And I swim")
    talk = [m["content"] for m in stage.ollama.chats[-1].messages[1:]]
    assert talk == ["I run", "Good.", "And I swim"]
    states = [m.state for m in await stage.messages(live) if m.author == "learner"]
    assert states == ["answered", "commanded", "commanded", "answered"]


async def test_a_platforms_command_is_read_bare_and_anything_else_in_it_is_said_to_the_coach(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    (reply,) = await stage.hear(live, kind=EventKind.COMMAND, text="")
    assert "/forget" in reply.text
    stage.ollama.reply = "Fine."
    (reply,) = await stage.hear(live, kind=EventKind.COMMAND, text="how are you?")
    assert (reply.text, reply.is_notice) == ("Fine.", False)
    (reply,) = await stage.hear(live, text="/dance")
    assert reply.is_notice
    assert "/help" in reply.text


async def test_start_greets_by_name_and_opening_greets_once(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    profile = await stage.services.tenants.profile(tenants[0])
    (hello,) = await stage.hear(live, kind=EventKind.OPENED)
    assert profile.display_name in hello.text
    assert await stage.hear(live, kind=EventKind.OPENED) == []
    (hello,) = await stage.hear(live, text="/start")
    assert profile.display_name in hello.text


async def test_what_cannot_be_read_is_said_once_in_ten_minutes(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    (sorry,) = await stage.hear(live, kind=EventKind.UNSUPPORTED)
    assert "text files" in sorry.text
    assert await stage.hear(live, kind=EventKind.UNSUPPORTED) == []
    stage.clock.advance(601)
    assert len(await stage.hear(live, kind=EventKind.UNSUPPORTED)) == 1


async def test_a_pause_counts_until_it_ends_or_is_ended(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "texting")
    (asked,) = await stage.hear(live, text="pause")
    assert [choice.value for choice in asked.choices] == ["/pause 1d", "/pause 3d", "/pause 1w"]
    (said,) = await stage.hear(live, text="2")
    assert "2026-11-24" in said.text
    learner_id = await stage.learner_id(live)
    async with stage.database.tenant(tenants[0]) as session:
        assert not await stage.consent.allows(session, learner_id, live.id)
    await stage.hear(live, text="resume")
    async with stage.database.tenant(tenants[0]) as session:
        assert await stage.consent.allows(session, learner_id, live.id)


@pytest.mark.parametrize(("text", "is_confirmed"), [("leave me alone", True), ("", False)])
async def test_a_consent_event_is_written_down_and_confirmed_if_the_platform_did_not(
    stage: Stage, tenants: Two, text: str, is_confirmed: bool
) -> None:
    live = await stage.connect(tenants[0], "texting")
    said = await stage.hear(live, kind=EventKind.CONSENT, text=text, consent="stop")
    assert bool(said) is is_confirmed
    learner_id = await stage.learner_id(live)
    async with stage.database.tenant(tenants[0]) as session:
        assert not await stage.consent.allows(session, learner_id, live.id)
    await stage.hear(live, text="start")
    async with stage.database.tenant(tenants[0]) as session:
        assert await stage.consent.allows(session, learner_id, live.id)


async def bar(stage: Stage, live: LiveConnection, *told: Literal["blocked", "unblocked"]) -> None:
    """Have the platform tell so, each by itself; nothing is said to it."""
    for word in told:
        assert await stage.hear(live, kind=EventKind.CONSENT, consent=word) == []


async def standing(stage: Stage, live: LiveConnection) -> tuple[bool, str | None]:
    """What holds for the learner, and why."""
    learner_id = await stage.learner_id(live)
    async with stage.database.tenant(live.tenant_id) as session:
        held = await stage.consent.standing(session, learner_id, live.id)
    return held.is_allowed, held.reason


async def test_who_blocks_and_unblocks_may_be_written_to_again(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await bar(stage, live, "blocked")
    assert await standing(stage, live) == (False, "withdrawn (blocked)")
    await bar(stage, live, "unblocked")
    assert await standing(stage, live) == (True, None)
    await bar(stage, live, "unblocked", "blocked", "blocked", "unblocked")
    assert await standing(stage, live) == (True, None)


async def test_who_stops_blocks_and_unblocks_is_not_written_to_until_they_say_start(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.hear(live, text="/stop")
    await bar(stage, live, "blocked", "unblocked")
    assert await standing(stage, live) == (False, "withdrawn (stop)")
    await stage.hear(live, text="/start")
    assert await standing(stage, live) == (True, None)


async def test_a_stop_that_is_heard_only_after_the_block_outlives_it(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await bar(stage, live, "blocked")
    await stage.hear(live, text="/stop")
    await bar(stage, live, "unblocked")
    assert await standing(stage, live) == (False, "withdrawn (stop)")


async def test_a_pause_goes_on_after_a_block(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.hear(live, text="/pause 3d")
    await bar(stage, live, "blocked", "unblocked")
    assert await standing(stage, live) == (False, "paused")
    await stage.hear(live, text="/start")
    assert await standing(stage, live) == (True, None)


async def test_commands_count_against_the_learners_rate_but_a_stop_is_always_heard(
    make_stage: MakeStage, tenants: Two
) -> None:
    stage = await make_stage(RULES, replace(RATES, learner_messages_per_minute=1))
    live = await stage.connect(tenants[0], "texting")
    assert "PAUSE" in (await stage.talk(live, "help"))[0]
    (told,) = await stage.talk(live, "help")
    assert "faster" in told
    (stopped,) = await stage.talk(live, "stop")
    assert "START" in stopped
    learner_id = await stage.learner_id(live)
    async with stage.database.tenant(tenants[0]) as session:
        assert not await stage.consent.allows(session, learner_id, live.id)


async def test_a_button_counts_only_while_a_recent_reply_offers_it(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    assert await stage.hear(live, kind=EventKind.BUTTON, text="/pause 1d") == []
    turn_notes = [m.state for m in await stage.messages(live)]
    assert turn_notes == ["recorded"]
    await stage.hear(live, text="/pause")
    (said,) = await stage.hear(live, kind=EventKind.BUTTON, text="/pause 1d")
    assert "2026-11-22" in said.text


async def test_a_source_is_shown_by_digit_button_or_command_and_only_while_it_is_there(
    stage: Stage, tenants: Two
) -> None:
    await stage.teach(
        tenants[0],
        "# Running\n\nBegin running with two minutes.",
        source="https://docs.example/run",
    )
    live = await stage.connect(tenants[0], "texting")
    stage.ollama.reply = "Two minutes of running [1]."
    await stage.talk(live, "How do I begin running?")
    await stage.deliver(live)
    (shown,) = await stage.hear(live, text="1")
    assert "https://docs.example/run" in shown.text
    assert "Begin running with two minutes" in shown.text
    (none,) = await stage.hear(live, text="source 4")
    assert none.is_notice
    assert "https" not in none.text


async def test_more_sends_what_was_held_and_says_when_nothing_is(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "texting")
    (end,) = await stage.hear(live, text="more")
    assert end.is_notice
    stage.ollama.reply = "wonderfully " * 99 + "done."
    parts = await stage.hear(live, text="Tell me everything")
    assert [part.state for part in parts] == ["pending", "held"]
    await stage.deliver(live)
    assert await stage.hear(live, text="more") == []
    assert [m.state for m in await stage.messages(live) if m.author == "bot"][-1] == "pending"


async def test_the_prompt_knows_the_budget_of_the_channel(stage: Stage, tenants: Two) -> None:
    texting = await stage.connect(tenants[0], "texting")
    await stage.talk(texting, "Hi")
    assert "in at most 300 characters, in plain text" in stage.prompt()
    assert stage.ollama.chats[-1].options["num_predict"] == 100
    buttons = await stage.connect(tenants[0], "buttons")
    await stage.talk(buttons, "Hi")
    assert "characters" not in stage.prompt()
    assert stage.ollama.chats[-1].options["num_predict"] == 200


async def test_a_posted_question_is_answered_by_its_number(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "texting")
    await stage.talk(live, "Hi")
    row = await stage.row(live)
    await stage.posting.post(
        tenants[0],
        ConversationId(row["id"]),
        "How was it?",
        lane="conversation",
        choices=(
            Choice(label="Good", value="It was good"),
            Choice(label="Bad", value="It was bad"),
        ),
    )
    await stage.talk(live, "2")
    assert stage.ollama.chats[-1].messages[-1]["content"] == "It was bad"


async def test_a_button_shows_the_source_of_the_answer_it_stands_below(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    for subject in ("Running", "Sleeping"):
        await stage.teach(
            tenants[0],
            f"# {subject}\n\nBegin {subject} with two minutes.",
            source=f"https://docs.example/{subject}",
        )
    answers = []
    for subject in ("Running", "Sleeping"):
        stage.ollama.reply = f"Two minutes of {subject} [1]."
        (answer,) = await stage.hear(live, text=f"How do I begin {subject}?")
        await stage.deliver(live)
        answers.append(answer)
    assert answers[0].citations[0].source != answers[1].citations[0].source
    for answer in answers:
        (shown,) = await stage.hear(
            live, kind=EventKind.BUTTON, text="/source 1", reply_to=f"m:{answer.id}"
        )
        assert answer.citations[0].source in shown.text


async def test_a_digit_means_no_source_of_a_part_that_was_not_shown(
    stage: Stage, tenants: Two
) -> None:
    await stage.teach(
        tenants[0],
        "# Running\n\nBegin running with two minutes.",
        source="https://docs.example/run",
    )
    live = await stage.connect(tenants[0], "texting")
    stage.ollama.reply = "wonderfully " * 99 + "done [1]."
    parts = await stage.hear(live, text="How do I begin running?")
    assert [(part.state, bool(part.citations)) for part in parts] == [
        ("pending", False),
        ("held", True),
    ]
    await stage.deliver(live)
    stage.ollama.reply = "One it is."
    (said,) = await stage.hear(live, text="1")
    assert not said.is_notice
