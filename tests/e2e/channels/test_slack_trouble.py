"""Slack breaks, refuses, asks to wait and lets streams die: nothing is lost, nothing doubled."""

from __future__ import annotations

import aiohttp
import pytest

from coachline_lab.faults import Mode
from coachline_lab.ledger import asked_in
from coachline_lab.slack import FakeSlack
from coachline_lab.verdict import Asked
from fixtures.house import Ground
from fixtures.lab_house import SECONDS, LabHouse, LabTenant, open_lab_house
from fixtures.slack_talk import ask, wait_answered, wait_for_text
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

WORDS = " ".join(f"word{number}" for number in range(60))
PEOPLE = 40


async def ask_all(slack: FakeSlack, word: str, count: int = PEOPLE) -> list[Asked]:
    """One question of many people at once, every second one in a thread of its own."""
    asked: list[Asked] = []
    for number in range(count):
        text, thread = f"{word} of {number}", f"1700000000.{number:06d}" if number % 2 else ""
        said = await slack.say(text, user=f"U0P{number:03d}", thread_ts=thread)
        asked += asked_in(said.thread, [text])
    return asked


async def settled(lab: LabHouse, tenant: LabTenant, slack: FakeSlack, asked: list[Asked]) -> None:
    """Wait until all is answered and nobody works on it any more."""
    await wait_answered(slack, asked, 3 * SECONDS)
    await until(lambda: lab.is_idle(tenant), seconds=2 * SECONDS)


@pytest.mark.parametrize("stream", [False, True], ids=["posted", "streamed"])
async def test_ambiguous_calls_lose_and_double_nothing(
    lab: LabHouse, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    # So that a call which is too slow for the channel is not too slow for a test.
    monkeypatch.setattr("channel_slack.transport.LIMITS", aiohttp.ClientTimeout(total=1.5))
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack, stream=stream)
    lab.model.delay_seconds = 0.02 if stream else 0.0
    methods = ("chat.postMessage", "chat.update", "chat.startStream", "chat.stopStream")
    for method in methods:
        slack.faults.share(Mode.CUT_AFTER_ACCEPT, 0.08, 1, method)
        slack.faults.share(Mode.SERVER_ERROR_AFTER_ACCEPT, 0.08, 2, method)
        slack.faults.share(Mode.SLOW, 0.05, 3, method, seconds=4.0)
    asked = await ask_all(slack, "first")
    await settled(lab, tenant, slack, asked)
    asked += await ask_all(slack, "second", PEOPLE // 2)
    await settled(lab, tenant, slack, asked)
    verdict = slack.ledger.judge(asked)
    wrong = (*verdict.lost, *verdict.duplicate, *verdict.disordered, *verdict.foreign)
    assert not wrong, str(verdict)
    calls = [call for method in methods for call in slack.ledger.calls(method)]
    doubtful = [call for call in calls if call.fault != "none"]
    assert len(doubtful) >= len(asked) // 10
    # What began although we were not told so is swept away, unless the worker is cut off too.
    began = [call for call in doubtful if call.method in ("chat.postMessage", "chat.startStream")]
    assert len(verdict.stray) <= len(began) * stream // 4, str(verdict)
    states = await lab.rows(tenant, "select state, count(*) from outbox_reply group by 1")
    assert [tuple(row) for row in states] == [("sent", len(asked))]


async def test_where_history_is_rationed_doubt_is_cleared_up_later(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack, stream=False)
    ledger = slack.ledger
    slack.faults.next(3, Mode.CUT_AFTER_ACCEPT, method="chat.postMessage")
    # Slack gives some apps one look a minute; here it is one in two seconds.
    slack.faults.next(2, Mode.RATE_LIMITED, method="conversations.history", retry_after=2)
    asked: list[Asked] = []
    for number in range(3):
        said = await slack.say(f"{number}?", user=f"U0P{number}")
        asked += asked_in(said.thread, [f"{number}?"])
    await settled(lab, tenant, slack, asked)
    assert ledger.judge(asked).is_perfect
    assert len(ledger.calls("chat.postMessage")) == 3
    refused = [call for call in ledger.calls("conversations.history") if call.retry_after]
    assert len(refused) == 2
    assert ledger.early_retries() == []
    states = await lab.rows(tenant, "select distinct state from outbox_reply")
    assert [row.state for row in states] == ["sent"]


async def test_a_dying_stream_loses_no_word(lab: LabHouse, slack: FakeSlack) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack)
    lab.model.reply, lab.model.delay_seconds = WORDS, 0.04
    for method in ("chat.appendStream", "chat.stopStream"):
        slack.faults.next(1, Mode.DYING_STREAM, method=method)
    ledger = slack.ledger
    for number in range(2):
        stamp = f"170000000{number}.000100"
        said = await slack.say("How?", user=f"U0P{number}", thread_ts=stamp)
        await wait_for_text(slack, said, WORDS)
        assert ledger.visible(said.thread) == [WORDS]
    died = [c for c in ledger.calls() if c.outcome == "message_not_in_streaming_state"]
    assert died
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    assert ledger.calls("chat.update")
    assert not ledger.calls("chat.postMessage")


async def test_when_the_model_breaks_in_the_middle_the_same_message_is_filled(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack)
    lab.model.reply, lab.model.delay_seconds = WORDS, 0.04
    said = await slack.say("How?", thread_ts="1700000000.000100")
    ledger = slack.ledger
    await ledger.wait_until(lambda: bool(ledger.visible(said.thread)), seconds=SECONDS)
    (begun,) = [one for one in ledger.transcript(said.thread) if one.sender is None]
    await lab.house.ollama.stop()
    try:
        await ledger.wait_until(lambda: begun.text.startswith("I am sorry"), seconds=SECONDS)
        await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    finally:
        await lab.house.ollama.start(int(lab.model.url.rpartition(":")[2]))
    assert [one for one in ledger.transcript(said.thread) if one.sender is None] == [begun]
    assert not begun.is_unfinished


async def test_a_worker_that_dies_in_the_middle_of_a_stream_leaves_its_message_to_the_next(
    third_ground: Ground, slack: FakeSlack
) -> None:
    async with open_lab_house(third_ground, works=False) as lab:
        house = lab.house
        await lab.connect_slack(await lab.add_tenant(), slack)
        lab.model.reply, lab.model.delay_seconds = WORDS, 0.1
        settings = {"COACHLINE_LEASE_SECONDS": "3", "COACHLINE_SWEEP_SECONDS": "1"}
        settings["COACHLINE_OUTGOING_ALLOW"] = "127.0.0.0/8"
        try:
            worker = await house.work(**settings)
            said = await slack.say("How?", thread_ts="1700000000.000100")
            ledger = slack.ledger
            await ledger.wait_until(
                lambda: bool(ledger.calls("chat.appendStream")), seconds=SECONDS
            )
            worker.kill()
            (begun,) = [one for one in ledger.transcript(said.thread) if one.sender is None]
            assert begun.is_unfinished
            assert begun.text != WORDS
            await house.work(**settings)
            await ledger.wait_until(lambda: begun.text == WORDS, seconds=2 * SECONDS)
            await ledger.wait_until(lambda: not begun.is_unfinished, seconds=SECONDS)
            assert ledger.visible(said.thread) == [WORDS]
            assert len(ledger.accepted) == 1
        finally:
            await house.close()


async def test_a_wait_that_slack_asks_for_is_kept_and_holds_up_nobody_else(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack, stream=False)
    other = await lab.connect_slack(await lab.add_tenant(), slack, slack.install())
    first_app = next(iter(slack.world.tokens.values()))
    ledger = slack.ledger
    slack.faults.next(1, Mode.RATE_LIMITED, method="chat.postMessage", retry_after=4)
    first = await slack.say("first", app=first_app)
    await ledger.wait_until(lambda: bool(ledger.calls("chat.postMessage")), seconds=SECONDS)
    (refused,) = ledger.calls("chat.postMessage")
    _, second = await ask(slack, "second", app=other.account)
    waited = await wait_for_text(slack, first, "re: first")
    assert second.at < refused.at + 4 <= waited.at
    assert ledger.early_retries() == []


async def test_the_platforms_limits_are_kept_before_it_says_so(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack, stream=False)
    slack.rates.is_kept = True
    room = slack.add_channel(coach.account, "team")
    asked: list[Asked] = []
    for number in range(8):
        text = f"{number}?"
        said = await slack.say(text, user=f"U0P{number}", channel=room, mention=True)
        asked += asked_in(said.thread, [text])
    await settled(lab, tenant, slack, asked)
    assert slack.ledger.judge(asked).is_perfect
    assert slack.ledger.early_retries() == []
    refused = [call for call in slack.ledger.calls("chat.postMessage") if call.retry_after]
    assert len(refused) <= 2, "drawn for in time, made later: a few meet the edge"


async def test_a_storm_of_errors_passes_and_everything_arrives_once(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack)
    slack.faults.share(Mode.SERVER_ERROR, 0.4, 1, status=503)
    slack.faults.share(Mode.HTML_ERROR, 0.5, 2)
    slack.faults.share(Mode.CUT_BEFORE_ACCEPT, 1.0, 3)
    asked = await ask_all(slack, "storm", 10)
    ledger = slack.ledger
    await ledger.wait_until(
        lambda: len(ledger.calls("chat.postMessage")) >= len(asked), seconds=SECONDS
    )
    assert not ledger.accepted
    slack.faults.clear()
    await settled(lab, tenant, slack, asked)
    verdict = ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
