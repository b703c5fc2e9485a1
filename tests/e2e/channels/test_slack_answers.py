"""What somebody says to an app in Slack is answered there, growing while it is written."""

from __future__ import annotations

from itertools import pairwise

import pytest

from coachline_lab.faults import Mode
from coachline_lab.slack import FakeSlack
from coachline_lab.slack.blocks import shown_text
from fixtures.lab_house import SECONDS, LabHouse, answer_long
from fixtures.slack_talk import ask, teach, wait_for_text

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

WORDS = " ".join(f"word{number}" for number in range(60))


async def test_a_direct_message_is_answered_where_it_stands(
    lab: LabHouse, slack: FakeSlack
) -> None:
    coach = await lab.connect_slack(await lab.add_tenant("acme"), slack)
    said, answer = await ask(slack, "How do I begin?")
    assert slack.ledger.visible(said.thread) == [answer.text]
    assert answer.account == coach.account.account
    assert coach.shown.write_to is not None
    assert coach.account.team.id in coach.shown.write_to


async def test_in_a_thread_the_answer_is_a_stream_of_slacks_own(
    lab: LabHouse, slack: FakeSlack
) -> None:
    await lab.connect_slack(await lab.add_tenant(), slack)
    lab.model.reply, lab.model.delay_seconds = WORDS, 0.04
    root = await slack.say("Where are we?")
    await wait_for_text(slack, root, WORDS)
    said = await slack.say("How?", thread_ts=root.ts)
    ledger = slack.ledger
    await ledger.wait_until(
        lambda: any(text == WORDS for text in ledger.visible(said.thread)), seconds=SECONDS
    )
    assert ledger.visible(said.thread) == [WORDS]
    assert len(ledger.calls("chat.startStream")) == 1
    assert ledger.calls("chat.appendStream")
    assert len(ledger.calls("chat.stopStream")) == 1
    (status, *_) = ledger.calls("assistant.threads.setStatus")
    assert status.args["thread_ts"] == root.ts


async def test_without_a_thread_the_answer_grows_in_the_message_that_keeps_it(
    lab: LabHouse, slack: FakeSlack
) -> None:
    await lab.connect_slack(await lab.add_tenant(), slack)
    lab.model.reply, lab.model.delay_seconds = WORDS, 0.05
    said = await slack.say("How?")
    ledger = slack.ledger
    await ledger.wait_until(lambda: ledger.visible(said.thread) == [WORDS], seconds=SECONDS)
    shown = [call.args["text"] for call in ledger.calls("chat.update")]
    assert len(shown) >= 2
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert len(ledger.calls("chat.postMessage")) == 1
    assert not ledger.calls("chat.startStream")


@pytest.mark.parametrize("error", ["method_not_supported_for_channel_type", "unknown_method"])
async def test_where_slack_has_no_streams_a_post_is_edited(
    lab: LabHouse, slack: FakeSlack, error: str
) -> None:
    coach = await lab.connect_slack(await lab.add_tenant(), slack)
    room = slack.add_channel(coach.account, "team")
    slack.faults.next(10, Mode.REJECTED, method="chat.startStream", error=error)
    lab.model.reply, lab.model.delay_seconds = WORDS, 0.03
    said = await slack.say("How?", channel=room, mention=True)
    ledger = slack.ledger
    await ledger.wait_until(lambda: ledger.visible(said.thread) == [WORDS], seconds=SECONDS)
    assert len(ledger.calls("chat.postMessage")) == 1


async def test_a_long_answer_comes_in_order_and_whole(lab: LabHouse, slack: FakeSlack) -> None:
    await lab.connect_slack(await lab.add_tenant(), slack)
    lab.model.reply = answer_long(9000)
    said = await slack.say("How?")
    whole = lab.model.reply([{"role": "user", "content": "How?"}])
    plain = whole.replace("**", "").replace("`", "")
    ledger = slack.ledger
    await ledger.wait_until(
        lambda: "\n\n".join(ledger.visible(said.thread)) == plain, seconds=SECONDS
    )
    parts = ledger.visible(said.thread)
    assert len(parts) >= 3
    assert all(len(part) <= 4000 for part in parts)
    first = ledger.accepted[0].details["blocks"][0]["elements"][0]["elements"]
    styled = [run["text"] for run in first if run.get("style") == {"bold": True}]
    assert styled[:2] == ["Step 1", "Step 2"]


async def test_sources_stand_small_below_the_answer(lab: LabHouse, slack: FakeSlack) -> None:
    tenant = await lab.add_tenant()
    await teach(lab, tenant, "Sleep eight hours.", source="sleep.md")
    await lab.connect_slack(tenant, slack)
    lab.model.reply = "Eight hours [1]."
    said = await slack.say("How long should I sleep?")
    ledger = slack.ledger
    await ledger.wait_until(
        lambda: any("sleep.md" in text for text in ledger.visible(said.thread)), seconds=SECONDS
    )
    (answer,) = [one for one in ledger.transcript(said.thread) if one.sender is None]
    words, sources = answer.details["blocks"]
    assert (words["type"], sources["type"]) == ("rich_text", "context")
    assert "Eight hours [1]." in shown_text("", [words])
    assert "[1]" in sources["elements"][0]["text"]


HOSTILE = (
    "<!channel> <!here> <!everyone> <@{user}> @channel @here <#{room}|x> "
    "<https://evil.test/x.png> ![pixel](https://evil.test/p.png) &lt;!channel&gt; "
    "`<!channel>` *<!subteam^S1>* https://evil.test/unfurl"
)


async def test_no_words_of_a_model_ping_anybody_or_unfurl(lab: LabHouse, slack: FakeSlack) -> None:
    coach = await lab.connect_slack(await lab.add_tenant(), slack)
    person = slack.add_user(coach.account.team, "Mia")
    room = slack.add_channel(coach.account, "team")
    words = HOSTILE.format(user=person.id, room=room.id)
    lab.model.reply = f"begin\n\n{words}\n\n{words} end"
    lab.model.delay_seconds = 0.02
    pinged: list[object] = []
    ledger = slack.ledger

    def is_over(*threads: str) -> bool:
        pinged.extend(ping for one in ledger.accepted for ping in one.details.get("pings", ()))
        shown = [one for one in ledger.accepted if one.is_answer and one.text.endswith("end")]
        return {one.thread for one in shown} == set(threads)

    direct = await slack.say("Hm?")
    public = await slack.say("Hm?", channel=room, mention=True)
    await ledger.wait_until(lambda: is_over(direct.thread, public.thread), seconds=SECONDS)
    assert pinged == []
    assert all(not one.details.get("unfurls") for one in ledger.accepted)
    for method in ("chat.postMessage", "chat.update"):
        for call in ledger.calls(method):
            assert call.args["unfurl_links"] in (False, "false", "0", 0)
            assert call.args["unfurl_media"] in (False, "false", "0", 0)
    assert len(ledger.visible(public.thread)) == 1
