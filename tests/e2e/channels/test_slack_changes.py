"""Edits and deletions in Slack: answered as the words stand when they are answered."""

from __future__ import annotations

import pytest

from coachline_lab.slack import FakeSlack
from fixtures.lab_house import SECONDS, LabHouse
from fixtures.slack_talk import ask, wait_begun, wait_for_text, wait_shown
from fixtures.waiting import until

pytestmark = pytest.mark.e2e


async def test_an_edit_before_the_answer_changes_the_question(
    lab: LabHouse, slack: FakeSlack
) -> None:
    await lab.connect_slack(await lab.add_tenant(), slack)
    said = await slack.say("How do I swin?")
    await slack.edit(said, "How do I swim?")
    await wait_for_text(slack, said, "re: How do I swim?")
    await slack.idle(SECONDS)
    assert slack.ledger.visible(said.thread) == ["re: How do I swim?"]


async def test_an_edit_during_the_answer_begins_it_anew_in_the_same_message(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack)
    lab.model.delay_seconds = 0.15
    words = "tell me all of the many things that one can do in a boat on a lake"
    said = await slack.say(words)
    ledger = slack.ledger
    await wait_begun(slack, said)
    await slack.edit(said, "tell me less")
    await wait_for_text(slack, said, "re: tell me less")
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    assert ledger.visible(said.thread) == ["re: tell me less"]


async def test_an_edit_after_the_answer_is_answered_again(lab: LabHouse, slack: FakeSlack) -> None:
    await lab.connect_slack(await lab.add_tenant(), slack)
    said, _ = await ask(slack, "How do I swin?")
    await slack.edit(said, "How do I swim?")
    await wait_for_text(slack, said, "re: How do I swim?")
    assert slack.ledger.visible(said.thread) == ["re: How do I swin?", "re: How do I swim?"]


async def test_a_preview_that_slack_unfurls_is_no_edit(lab: LabHouse, slack: FakeSlack) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack)
    said, _ = await ask(slack, "Look at this please")
    await slack.people.metadata_edit(said)
    await ask(slack, "And now?")
    assert slack.ledger.visible(said.thread) == [
        "re: Look at this please",
        "re: And now?",
    ]
    kinds = await lab.rows(tenant, "select kind from inbox_event order by seq")
    assert [row.kind for row in kinds] == ["message", "message"]


async def test_what_was_deleted_before_the_answer_is_not_answered_and_not_kept(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack)
    said = await slack.say("My secret is plum")
    await slack.delete(said)
    last, _ = await ask(slack, "What did I say?")
    assert slack.ledger.visible(last.thread) == ["re: What did I say?"]
    assert all("plum" not in prompt for prompt in _prompts(lab))

    async def is_gone() -> bool:
        rows = await lab.rows(tenant, "select text from inbox_event where text like '%plum%'")
        return not rows

    await until(is_gone, seconds=SECONDS)


async def test_what_is_deleted_during_the_answer_is_not_answered(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    lab.model.delay_seconds = 0.15
    words = "tell me all of the many things that one can do in a boat on a lake"
    ledger = slack.ledger
    direct = await slack.say(words)
    public = await slack.say(words, channel=room, mention=True)
    for said in (direct, public):
        await wait_begun(slack, said)
    for said in (direct, public):
        await slack.delete(said)
    for said in (direct, public):
        await wait_shown(slack, said)
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    assert not ledger.visible(direct.thread)
    assert not ledger.visible(public.thread)


def _prompts(lab: LabHouse) -> list[str]:
    return [m["content"] for chat in list(lab.model.chats)[-2:] for m in chat.messages]
