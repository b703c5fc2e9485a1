"""A learner in danger, an answer that must not be said, and what coaches are told and decide."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from coachline.conversation import ReviewDecided, ReviewNotFound
from coachline.conversation.safety.safety_sentences import safety_in
from coachline.foundation.database import Database
from coachline.foundation.errors import LeaseLost
from coachline.foundation.ids import ConversationId, ReviewId, TenantId, new_id
from coachline.messaging import LiveConnection, Texts
from coachline.tenancy import ProfileChanges
from integration.conversation.conftest import Stage
from lab.scripted_ollama import Fault

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]
ENGLISH = safety_in("en")
DANGER = "I want to kill myself"


async def rows(database: Database, tenant_id: TenantId, query: str, **values: Any) -> list[Any]:
    async with database.tenant(tenant_id) as session:
        return [dict(row) for row in (await session.execute(text(query), values)).mappings()]


async def talk(stage: Stage, live: LiveConnection, words: str, sender: str = "ann") -> str:
    """Say it and return all that is replied: the scripted platform cuts a script in two."""
    return " ".join(await stage.talk(live, words, sender=sender))


async def flagged(stage: Stage, tenant_id: TenantId) -> list[dict[str, Any]]:
    return await rows(
        stage.database,
        tenant_id,
        "select subject_id, conversation_id, learner_id, data from feed_event "
        "where type = 'safety.flagged' order by written",
    )


async def test_a_learner_in_danger_reads_the_script_at_once_and_no_model_is_asked(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.say(live, f"It is enough. {DANGER}")
    turn = await stage.answer(live)
    script = (await stage.messages(live))[1:]
    assert " ".join(part.text for part in script) == ENGLISH.crisis
    assert all(part.is_notice for part in script)
    assert not stage.ollama.chats
    row = await stage.row(live)
    assert (row["attention"], row["is_bot_held"]) == ("flagged", True)
    assert row["attention_at"] is not None
    (review,) = await stage.services.reviews.list(tenants[0])
    assert (review.kind, review.direction, review.status) == ("crisis", "incoming", "flagged")
    assert (review.event_id, review.turn_id) == (turn.events[0].id, turn.id)
    trace = await stage.trace(turn)
    assert trace["notes"] == ["message judged crisis (0.95): suicide"]
    assert trace["outcome"] == "recorded"
    (told,) = await flagged(stage, tenants[0])
    assert told["subject_id"] == review.id
    assert told["learner_id"] == row["learner_id"]
    assert told["data"] == {"direction": "incoming", "score": 0.95, "reasons": ["suicide"]}


async def test_the_bot_stays_held_and_the_script_is_said_once_an_hour(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    assert await talk(stage, live, DANGER) == ENGLISH.crisis
    assert await stage.talk(live, "Are you there?") == []
    assert await stage.talk(live, DANGER) == []
    stage.clock.advance(3_601.0)
    assert await talk(stage, live, DANGER) == ENGLISH.crisis
    assert not stage.ollama.chats
    assert len(await stage.services.reviews.list(tenants[0])) == 3
    row = await stage.row(live)
    await stage.attention.resolve(tenants[0], ConversationId(row["id"]), actor="key:eva")
    stage.ollama.reply = "I am here."
    assert await stage.talk(live, "Thank you") == ["I am here."]


async def test_the_tenants_own_script_is_said_and_where_a_coach_speaks_none_is(
    stage: Stage, tenants: Two
) -> None:
    profile: ProfileChanges = {"crisis_script": "Call 0800 111 now. We are told."}
    await stage.tenants.configure(tenants[0], profile, "test")
    live = await stage.connect(tenants[0])
    assert await stage.talk(live, DANGER) == ["Call 0800 111 now. We are told."]
    await stage.talk(live, "Hello", sender="bob")
    row = await stage.row(live, "bob")
    await stage.takeovers.take(tenants[0], ConversationId(row["id"]), actor="key:eva", name="Eva")
    assert await stage.talk(live, DANGER, sender="bob") == []
    assert (await stage.row(live, "bob"))["attention"] == "flagged"


async def test_over_every_limit_and_behind_a_command_it_is_still_heard(
    stage: Stage, tenants: Two
) -> None:
    await stage.tenants.configure(tenants[0], {"messages_per_day": 1}, "test")
    live = await stage.connect(tenants[0])
    await stage.talk(live, "one")
    await stage.talk(live, "two")
    assert await talk(stage, live, DANGER) == ENGLISH.crisis
    assert (await talk(stage, live, f"/help {DANGER}", "bob")).endswith(ENGLISH.crisis)


async def test_a_concern_is_noted_for_a_coach_and_the_talk_goes_on(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    stage.ollama.reply = "I am sorry to hear that."
    assert await stage.talk(live, "I feel completely hopeless") == ["I am sorry to hear that."]
    (review,) = await stage.services.reviews.list(tenants[0], status="pending")
    assert (review.kind, review.reasons) == ("concern", ("hopelessness",))
    row = await stage.row(live)
    assert (row["attention"], row["is_bot_held"]) == ("none", False)
    assert await flagged(stage, tenants[0]) == []


async def test_thresholds_of_a_tenant_move_what_is_a_crisis(stage: Stage, tenants: Two) -> None:
    await stage.tenants.configure(tenants[0], {"safety_crisis_score": 0.5}, "test")
    live, other = await stage.connect(tenants[0]), await stage.connect(tenants[1])
    assert await talk(stage, live, "I feel completely hopeless") == ENGLISH.crisis
    assert await talk(stage, other, "I feel completely hopeless") != ENGLISH.crisis


async def test_an_unsafe_answer_waits_for_a_coach_and_the_learner_is_told_so(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "streaming")
    stage.ollama.delay_seconds = 0.05
    stage.ollama.reply = "Good that you ask. Take 400 mg of ibuprofen every six hours. Rest well."
    await stage.talk(live, "My knee hurts")
    shown = [m for m in await stage.messages(live) if m.author == "bot" and m.state != "proposed"]
    assert [m.text for m in shown] == [ENGLISH.withheld]
    assert all("ibuprofen" not in draft and "400" not in draft for draft in stage.platform.drafts)
    (proposal,) = await stage.services.proposals.list(tenants[0])
    assert (proposal.reason, proposal.decide_by) == ("safety", None)
    assert proposal.text == stage.ollama.reply
    (review,) = await stage.services.reviews.list(tenants[0])
    assert (review.direction, review.status) == ("outgoing", "flagged")
    assert review.reasons == ("medication",)
    row = await stage.row(live)
    assert (row["attention"], row["is_bot_held"]) == ("flagged", False)
    assert len(await flagged(stage, tenants[0])) == 1


async def test_a_model_named_for_it_judges_as_well_and_without_it_the_rules_do(
    stage: Stage, tenants: Two
) -> None:
    await stage.tenants.configure(tenants[0], {"safety_model": "spare"}, "test")
    live = await stage.connect(tenants[0])

    def reply(messages: list[dict[str, str]]) -> str:
        is_asked = "Answer with this JSON" in messages[0]["content"]
        is_veiled = "the spring" in messages[-1]["content"]
        return f'{{"kind": "{"crisis" if is_veiled else "none"}"}}' if is_asked else "Well done."

    stage.ollama.reply = reply
    assert await talk(stage, live, "I won't see the spring") == ENGLISH.crisis
    (review,) = await stage.services.reviews.list(tenants[0])
    assert review.reasons == ("model",)
    stage.ollama.always("spare", Fault.MISSING)
    await stage.say(live, "I walked today", sender="bob")
    trace = await stage.trace(await stage.answer(live, "bob"))
    assert trace["outcome"] == "answered"
    assert "the safety model was away: rules alone" in trace["notes"]
    assert await talk(stage, live, DANGER, sender="cid") == ENGLISH.crisis


async def test_what_was_judged_is_written_only_by_who_holds_the_conversation(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.say(live, DANGER)
    turn = await stage.begin(live)
    async with stage.database.tenant(tenants[0]) as session:
        await session.execute(text("update conversation set epoch = epoch + 1"))
    with pytest.raises(LeaseLost):
        await stage.orchestrator.answer(turn)
    assert await stage.services.reviews.list(tenants[0]) == []
    assert (await stage.row(live))["attention"] == "none"
    assert await flagged(stage, tenants[0]) == []


async def test_a_coach_decides_once_and_it_is_in_the_audit_log(stage: Stage, tenants: Two) -> None:
    reviews = stage.services.reviews
    live = await stage.connect(tenants[0])
    await stage.talk(live, DANGER)
    (review,) = await reviews.list(tenants[0])
    assert await reviews.list(tenants[1]) == []
    with pytest.raises(ReviewNotFound):
        await reviews.decide(tenants[1], review.id, "approved", "key:eve")
    with pytest.raises(ReviewNotFound):
        await reviews.decide(tenants[0], ReviewId(new_id()), "approved", "key:eva")
    decided = await reviews.decide(tenants[0], review.id, "rejected", "key:eva")
    assert (decided.status, decided.decided_by) == ("rejected", "key:eva")
    assert await reviews.decide(tenants[0], review.id, "rejected", "key:eva") == decided
    with pytest.raises(ReviewDecided):
        await reviews.decide(tenants[0], review.id, "approved", "key:eva")
    audit = await rows(
        stage.database,
        tenants[0],
        "select actor, object, details from audit_entry where action = 'safety.decide'",
    )
    assert audit == [
        {
            "actor": "key:eva",
            "object": f"safety_review:{review.id}",
            "details": {"was": "flagged", "is": "rejected"},
        }
    ]
    assert (await stage.row(live))["is_bot_held"] is True, "a decision lets go of nothing"


async def test_a_review_is_handed_over_and_its_reasons_are_forgotten_with_the_learner(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, DANGER)
    learner_id = await stage.learner_id(live)
    everything = await stage.export.read(tenants[0], learner_id, now=stage.clock.now())
    (review,) = everything.talks[0].safety_reviews
    assert review.reasons == ("suicide",)
    await stage.deliver(live)
    async with stage.database.tenant(tenants[0]) as session:
        await stage.erasure.request(session, learner_id, actor="test")
    await stage.erasure.run(
        tenants[0], learner_id, asked_at=stage.clock.now() - timedelta(hours=2), round_="1"
    )
    (kept,) = await stage.services.reviews.list(tenants[0])
    assert (kept.id, kept.reasons, kept.status) == (review.id, (), "flagged")


async def test_answers_link_to_the_tenants_hosts_and_to_no_others(
    stage: Stage, tenants: Two
) -> None:
    hosts: ProfileChanges = {"allowed_hosts": ("docs.coach.org",)}
    await stage.tenants.configure(tenants[0], hosts, "test")
    stage.ollama.reply = (
        "See https://docs.coach.org/a and https://evil.com/a and www.docs.coach.org"
    )
    live, other = await stage.connect(tenants[0], "streaming"), await stage.connect(tenants[1])
    (said,) = await stage.talk(live, "Where?")
    assert said == "See https://docs.coach.org/a and evil[.]com and www[.]docs[.]coach[.]org"
    assert all("https://evil" not in draft for draft in stage.platform.drafts)
    (said,) = await stage.talk(other, "Where?")
    assert said == "See docs[.]coach[.]org and evil[.]com and www[.]docs[.]coach[.]org"


async def test_the_words_of_a_review_are_all_that_the_turn_was_about(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "Good morning")
    await stage.talk(live, "It is enough.", DANGER)
    await stage.talk(live, "And what now?")
    (review,) = await stage.services.reviews.list(tenants[0], is_decided=False)
    assert review.event_id is not None
    assert await stage.services.reviews.list(tenants[0], is_decided=True) == []
    texts = Texts()
    async with stage.database.tenant(tenants[0]) as session:
        assert await texts.list_heard(session, [review.event_id]) == {
            review.turn_id: f"It is enough.\n{DANGER}"
        }
        # The script is said by the gateway, not by the bot.
        assert await texts.list_said(session, [review.turn_id]) == {}
    async with stage.database.tenant(tenants[1]) as session:
        assert await texts.list_heard(session, [review.event_id]) == {}
    await stage.services.reviews.decide(tenants[0], review.id, "approved", "test")
    assert await stage.services.reviews.list(tenants[0], is_decided=False) == []
