"""Telegram breaks, refuses and asks to wait; nothing is lost, doubled, or asked too early."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from coachline_lab import Asked, Mode
from coachline_lab.telegram import Bot, FakeTelegram
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

WRITING = ("sendMessage", "editMessageText")


async def ask_all(telegram: FakeTelegram, users: Sequence[int]) -> list[Asked]:
    """One question of everybody at once."""
    for user in users:
        await telegram.say(f"question of {user}", user=user)
    return [Asked(str(user), f"question of {user}") for user in users]


async def settled(
    lab: LabHouse, telegram: FakeTelegram, coach: LabConnection[Bot], asked: list[Asked]
) -> None:
    """Wait until all is answered and nobody works on it any more."""
    await telegram.ledger.wait_until(
        lambda: not telegram.ledger.judge(asked).lost, seconds=2 * SECONDS
    )
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)


async def test_ambiguous_sends_lose_and_double_nothing(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    for method in WRITING:
        telegram.faults.share(Mode.CUT_AFTER_ACCEPT, 0.1, 1, method)
        telegram.faults.share(Mode.SERVER_ERROR_AFTER_ACCEPT, 0.08, 2, method)
        # Longer than any call may take here: its lease is 12 seconds.
        telegram.faults.share(Mode.SLOW, 0.03, 3, method, seconds=20.0)
    asked = await ask_all(telegram, range(1001, 1063))
    await settled(lab, telegram, coach, asked)
    verdict = telegram.ledger.judge(asked)
    assert not verdict.duplicate, str(verdict)
    assert not verdict.lost, str(verdict)
    assert not verdict.foreign, str(verdict)
    doubtful = {
        method: sum(call.fault != "none" for call in telegram.ledger.calls(method))
        for method in WRITING
    }
    # A placeholder that was taken without our knowing stays behind: the price of it all.
    assert len(verdict.stray) <= doubtful["sendMessage"], str(verdict)
    assert min(doubtful.values()) >= len(asked) // 10
    states = await lab.rows(coach.tenant, "select state, count(*) from outbox_reply group by 1")
    assert [tuple(row) for row in states] == [("sent", len(asked))]


async def test_a_wait_that_telegram_asks_for_is_kept_and_holds_up_nobody_else(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    ledger = telegram.ledger
    telegram.faults.next(1, Mode.RATE_LIMITED, method="sendMessage", retry_after=4)
    first = await telegram.say("first", user=31)
    await ledger.wait_until(lambda: bool(ledger.calls("sendMessage")), seconds=SECONDS)
    (refused,) = ledger.calls("sendMessage")
    second = await telegram.say("second", user=32)
    other = await telegram.wait_for_answer(second.thread, seconds=SECONDS)
    telegram.faults.next(1, Mode.RATE_LIMITED, method="editMessageText", retry_after=2)
    await telegram.say("third", user=33)
    asked = [Asked("31", "first"), Asked("32", "second"), Asked("33", "third")]
    await settled(lab, telegram, coach, asked)
    waited = await telegram.wait_for_answer(first.thread, seconds=SECONDS)
    assert other.at < refused.at + 4 <= waited.at
    assert [call.retry_after for call in ledger.calls() if call.retry_after] == [4, 2]
    assert ledger.early_retries() == []
    assert ledger.judge(asked).is_perfect


async def test_the_platforms_limits_are_kept_before_it_says_so(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram, stream=False)
    telegram.rates.is_kept = True
    asked = await ask_all(telegram, range(41, 81))
    await settled(lab, telegram, coach, asked)
    with suppress(TimeoutError):
        await telegram.ledger.wait_until(
            lambda: telegram.ledger.judge(asked).is_perfect, seconds=SECONDS
        )
    verdict = telegram.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
    assert telegram.ledger.early_retries() == []
    refused = [call for call in telegram.ledger.calls() if call.retry_after]
    assert len(refused) <= len(asked) // 10, "drawn for in time, made later: a few meet the edge"


async def test_a_storm_of_errors_passes_and_everything_arrives_once(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    telegram.faults.share(Mode.SERVER_ERROR, 0.5, 1, status=503)
    telegram.faults.share(Mode.HTML_ERROR, 0.6, 2)
    telegram.faults.share(Mode.CUT_BEFORE_ACCEPT, 1.0, 3)
    asked = await ask_all(telegram, range(101, 113))
    ledger = telegram.ledger
    await ledger.wait_until(
        lambda: len(ledger.calls("sendMessage")) >= 2 * len(asked), seconds=SECONDS
    )
    assert not ledger.accepted
    faults = {call.fault for call in ledger.calls("sendMessage")}
    assert faults == {"server_error", "html_error", "cut_before_accept"}
    telegram.faults.clear()
    await settled(lab, telegram, coach, asked)
    verdict = ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)


async def test_a_bot_whose_token_was_taken_away_is_disabled_and_says_so(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    await telegram.say("Hello", user=7)
    token = coach.account.token
    telegram.world.bots[token + "x"] = telegram.world.bots.pop(token)

    async def is_disabled() -> bool:
        return (await lab.find(coach)).state == "disabled"

    await until(is_disabled, seconds=SECONDS)
    problem = (await lab.find(coach)).problem or ""
    assert "not valid" in problem
    assert token not in problem
