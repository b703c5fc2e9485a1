"""A coach steps into whole turns: the bot is silent meanwhile, and knows of it afterwards."""

from __future__ import annotations

import pytest

from channel_kit import EventKind
from coachline.conversation import CannedReplies, CannedReplyNotFound, NoteInvalid, NoteNotFound
from coachline.foundation.ids import ConversationId, TakeoverId, TenantId
from coachline.messaging import ConversationNotFound, LiveConnection, Turn
from integration.conversation.conftest import Stage

EVA = "staff:eva"


async def take(stage: Stage, live: LiveConnection) -> TakeoverId:
    row = await stage.row(live)
    taken = await stage.takeovers.take(
        live.tenant_id, ConversationId(row["id"]), actor=EVA, name="Eva"
    )
    return taken.id


async def test_while_a_coach_has_it_messages_are_recorded_and_commands_answered(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "Hello")
    await take(stage, live)
    asked = len(stage.ollama.chats)
    assert await stage.talk(live, "Are you there?") == []
    assert "/human" in " ".join(await stage.talk(live, "/help"))
    assert len(stage.ollama.chats) == asked
    states = [m.state for m in await stage.messages(live) if m.author == "learner"]
    assert states == ["answered", "recorded", "commanded"]
    trace = await stage.trace(await _last_turn(stage, live, "And now?"))
    assert trace["notes"] == ["a coach has the conversation"]
    assert trace["outcome"] == "recorded"


async def _last_turn(stage: Stage, live: LiveConnection, words: str) -> Turn:
    await stage.say(live, words)
    return await stage.answer(live)


async def test_nothing_is_greeted_or_regretted_beside_a_coach(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "Hello")
    await take(stage, live)
    assert await stage.hear(live, kind=EventKind.UNSUPPORTED) == []


async def test_after_the_hand_back_the_model_knows_and_answers(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "Hello")
    await stage.deliver(live)
    token = await take(stage, live)
    await stage.talk(live, "I cannot sleep")
    await stage.takeovers.say(live.tenant_id, token, "Eva here. Try no screens after nine.")
    await stage.takeovers.hand_back(live.tenant_id, token, note="Ask about coffee.", actor=EVA)
    assert await stage.talk(live, "I tried, it helps") != []
    prompt = stage.prompt()
    in_order = [
        "Hello",
        "The human coach Eva joined",
        "I cannot sleep",
        "(the human coach wrote:) Eva here. Try no screens after nine.",
        "From here on I answer again. Their note to me: Ask about coffee.",
        "I tried, it helps",
    ]
    places = [prompt.index(words) for words in in_order]
    assert places == sorted(places)
    assert "They have left: answer now" in prompt


async def test_notes_reach_the_model_of_this_conversation_and_no_learner(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    live, other = await stage.connect(tenants[0]), await stage.connect(tenants[1])
    await stage.talk(live, "Hello")
    await stage.talk(other, "Hello")
    here = ConversationId((await stage.row(live))["id"])
    notes = stage.services.notes
    kept = await notes.add(tenants[0], here, "likes zebras", author=EVA, for_model=True)
    await notes.add(tenants[0], here, "only for coaches", author=EVA)
    said = await stage.talk(live, "What now?")
    assert "- likes zebras" in stage.prompt()
    assert "only for coaches" not in stage.prompt()
    assert not any("zebras" in words for words in said)
    await stage.talk(other, "What now?")
    assert "zebras" not in stage.prompt()
    assert [note.text for note in await notes.list(tenants[0], here)] == [
        "only for coaches",
        "likes zebras",
    ]
    with pytest.raises(ConversationNotFound):
        await notes.list(tenants[1], here)
    with pytest.raises(ConversationNotFound):
        await notes.add(tenants[1], here, "x", author=EVA)
    with pytest.raises(NoteNotFound):
        await notes.remove(tenants[1], here, kept.id)
    with pytest.raises(NoteInvalid):
        await notes.add(tenants[0], here, " ", author=EVA)
    await notes.remove(tenants[0], here, kept.id)
    await stage.talk(live, "And now?")
    assert "zebras" not in stage.prompt()


async def test_canned_replies_are_one_tenants_own(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    canned = CannedReplies(stage.database)
    first = await canned.save(tenants[0], "Hello", "Good morning!")
    again = await canned.save(tenants[0], " Hello ", "Good evening!")
    assert again.id == first.id
    assert [one.text for one in await canned.list(tenants[0])] == ["Good evening!"]
    assert await canned.list(tenants[1]) == []
    with pytest.raises(CannedReplyNotFound):
        await canned.remove(tenants[1], first.id)
    await canned.remove(tenants[0], first.id)
    assert await canned.list(tenants[0]) == []


async def test_who_asks_for_a_human_is_told_once_and_goes_on_being_answered(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await stage.connect(tenants[0])
    (told,) = await stage.talk(live, "I want to talk to a human!")
    assert told.startswith("I have told the people behind me")
    assert await stage.talk(live, "/human") == []
    conversation = await stage.transcripts.get_conversation(
        tenants[0], ConversationId((await stage.row(live))["id"])
    )
    assert conversation.status == "waiting"
    assert await stage.talk(live, "I feel tired") != []


async def test_a_tenants_own_words_ask_for_a_human(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    await stage.tenants.configure(tenants[0], {"human_words": ("coach eva",)}, actor="test")
    live, other = await stage.connect(tenants[0]), await stage.connect(tenants[1])
    await stage.talk(live, "Coach Eva!")
    await stage.talk(other, "Coach Eva!")
    assert (await stage.row(live))["attention"] == "waiting"
    assert (await stage.row(other))["attention"] == "none"


async def test_help_offers_a_human_by_a_button_that_works(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    (said,) = await stage.hear(live, text="/help", kind=EventKind.COMMAND)
    (choice,) = said.choices
    assert choice.value == "/human"
    await stage.hear(live, text=choice.value, kind=EventKind.BUTTON)
    assert (await stage.row(live))["attention"] == "waiting"


@pytest.mark.parametrize("channel", ["scripted", "streaming", "texting", "buttons"])
async def test_in_draft_mode_an_answer_waits_for_a_coach_and_is_shown_to_nobody(
    stage: Stage, tenants: tuple[TenantId, TenantId], channel: str
) -> None:
    await stage.tenants.configure(tenants[0], {"answer_mode": "draft"}, actor="test")
    live = await stage.connect(tenants[0], channel)
    await stage.talk(live, "What helps?")
    line = (await stage.messages(live))[-1]
    assert (line.author, line.state) == ("bot", "proposed")
    assert stage.platform.drafts == []
    proposals = stage.services.proposals
    (proposal,) = await proposals.list(tenants[0])
    assert (proposal.text, proposal.reason, proposal.on_expiry) == (line.text, "draft_mode", "drop")
    assert proposal.decide_by is not None
    assert await proposals.list(tenants[1]) == []
    await proposals.approve(tenants[0], proposal.id, actor=EVA)
    line = (await stage.messages(live))[-1]
    assert (line.author, line.state, line.actor) == ("bot", "pending", EVA)


async def test_a_conversation_may_differ_from_its_tenant(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "Hello")
    here = ConversationId((await stage.row(live))["id"])
    await stage.attention.set_mode(tenants[0], here, "draft", actor=EVA)
    await stage.talk(live, "What helps?")
    assert (await stage.messages(live))[-1].state == "proposed"
    await stage.attention.set_mode(tenants[0], here, None, actor=EVA)
    await stage.talk(live, "And now?")
    assert (await stage.messages(live))[-1].state == "pending"


async def test_a_new_message_supersedes_a_proposal_and_the_prompt_shows_both(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    await stage.tenants.configure(tenants[0], {"answer_mode": "draft"}, actor="test")
    live = await stage.connect(tenants[0])
    await stage.talk(live, "I cannot sleep")
    (first,) = await stage.services.proposals.list(tenants[0])
    await stage.talk(live, "And I am tired")
    (second,) = await stage.services.proposals.list(tenants[0])
    assert second.id != first.id
    user = stage.ollama.chats[-1].messages[-1]
    assert user["content"] == "I cannot sleep\nAnd I am tired"
    states = [m.state for m in await stage.messages(live) if m.author == "bot"]
    assert states == ["dropped", "proposed"]


async def test_a_takeover_drops_a_proposal_but_its_text_can_be_read(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    await stage.tenants.configure(tenants[0], {"answer_mode": "draft"}, actor="test")
    live = await stage.connect(tenants[0])
    await stage.talk(live, "I cannot sleep")
    (proposal,) = await stage.services.proposals.list(tenants[0])
    await take(stage, live)
    assert await stage.services.proposals.list(tenants[0]) == []
    line = (await stage.messages(live))[-1]
    assert (line.state, line.text) == ("dropped", proposal.text)


async def test_erasing_a_learner_takes_notes_and_what_coaches_said(
    stage: Stage, tenants: tuple[TenantId, TenantId]
) -> None:
    live = await stage.connect(tenants[0])
    learner_id = await stage.learner_of_first_words(live)
    here = ConversationId((await stage.row(live))["id"])
    await stage.services.notes.add(tenants[0], here, "zebra note", author=EVA, for_model=True)
    token = await take(stage, live)
    await stage.takeovers.say(tenants[0], token, "zebra words")
    await stage.takeovers.hand_back(tenants[0], token, note="zebra hand-back", actor=EVA)
    everything = await stage.export.read(tenants[0], learner_id, now=stage.clock.now())
    (talk,) = everything.talks
    assert [note.text for note in talk.notes] == ["zebra note"]
    assert [taken.note for taken in talk.takeovers] == ["zebra hand-back"]
    assert any(message.text == "zebra words" for message in talk.messages)
    async with stage.database.tenant(tenants[0]) as session:
        await stage.erasure.request(session, learner_id, actor=EVA)
    await stage.deliver(live)
    await stage.erasure.run(tenants[0], learner_id, asked_at=stage.clock.now(), round_="2")
    assert await stage.services.notes.list(tenants[0], here) == []
    (ended,) = await stage.takeovers.list(tenants[0], here)
    assert ended.note == ""
    assert all(
        "zebra" not in message.text
        for message in await stage.transcripts.list_messages(tenants[0], here)
    )
