"""Bots whose updates are fetched: by one worker, confirmed when stored, watched for silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from coachline.messaging import ListeningRules
from coachline_lab import Asked, Mode, asked_in
from coachline_lab.telegram import Bot, FakeTelegram
from fixtures.house import Ground, make_listener
from fixtures.lab_house import SECONDS, LabConnection, LabHouse, open_lab_house
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

QUICK = ListeningRules(
    lease_seconds=3.0,
    renew_seconds=0.5,
    look_seconds=0.1,
    # Longer than a poll of one second, on a busy machine too.
    deaf_seconds=3.0,
    note_seconds=0.2,
    first_pause_seconds=0.1,
    last_pause_seconds=0.5,
)


@pytest.fixture(scope="module")
async def open_listening(other_ground: Ground) -> AsyncIterator[LabHouse]:
    """A house that listens often; ask for ``listening``."""
    async with open_lab_house(other_ground, listening=QUICK) as lab:
        yield lab


@pytest.fixture
async def listening(open_listening: LabHouse) -> AsyncIterator[LabHouse]:
    """A house that listens often."""
    yield open_listening
    await open_listening.let_go()


async def poll(lab: LabHouse, telegram: FakeTelegram) -> LabConnection[Bot]:
    """A bot that is fetched, in polls of a second."""
    return await lab.connect_telegram(
        await lab.add_tenant(), telegram, receive="polling", poll_seconds=1
    )


async def is_said(lab: LabHouse, coach: LabConnection[Bot], *healths: str) -> None:
    """Wait until the connection is shown with one of these healths."""

    async def is_so() -> bool:
        return (await lab.find(coach)).health in healths

    await until(is_so, seconds=SECONDS)


async def stored(lab: LabHouse, coach: LabConnection[Bot]) -> int:
    """How many events are stored."""
    return len(await lab.rows(coach.tenant, "select id from inbox_event"))


async def test_fetched_questions_are_answered_and_buttons_do_not_spin(
    listening: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await poll(listening, telegram)
    assert coach.account.webhook is None
    answer = await telegram.ask("How do I begin?", user=7, seconds=SECONDS)
    assert answer.text == "re: How do I begin?"
    await is_said(listening, coach, "hearing")
    asked = await telegram.command("forget", user=7)
    await telegram.wait_for_answer("7", after=asked.place, seconds=SECONDS)
    pressed = await telegram.press("No", user=7)
    await telegram.wait_for_answer("7", after=pressed.place, seconds=SECONDS)
    await until(lambda: coach.account.callbacks[pressed.query_id or ""], seconds=SECONDS)
    await until(lambda: not coach.account.pending, seconds=SECONDS)


async def test_updates_whose_confirmation_was_lost_are_answered_once(
    listening: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await poll(listening, telegram)
    await is_said(listening, coach, "hearing")
    telegram.faults.share(Mode.CUT_BEFORE_ACCEPT, 0.5, 1, "getUpdates")
    asked = []
    for user in range(61, 69):
        for place in range(2):
            await telegram.say(f"q{place} of {user}", user=user)
            asked += asked_in(str(user), [f"q{place} of {user}"])
    await until(lambda: not telegram.ledger.judge(asked).lost, seconds=SECONDS)
    telegram.faults.clear()
    await until(lambda: not coach.account.pending, seconds=SECONDS)
    await until(lambda: listening.is_idle(coach.tenant), seconds=SECONDS)
    verdict = telegram.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
    assert await stored(listening, coach) == len(asked)


async def test_a_listener_that_ends_between_storing_and_confirming_loses_and_doubles_nothing(
    third_ground: Ground, telegram: FakeTelegram
) -> None:
    async with open_lab_house(third_ground, listening=QUICK) as lab:
        coach = await poll(lab, telegram)
        await is_said(lab, coach, "hearing")
        # The poll that is open brings the question; none after it arrives to confirm that.
        telegram.faults.next(1000, Mode.CUT_BEFORE_ACCEPT, method="getUpdates")
        said = await telegram.say("Once?", user=7)

        async def is_stored() -> bool:
            return await stored(lab, coach) == 1

        await until(is_stored, seconds=SECONDS)
        lab.house.services.listener.stop()
        telegram.faults.clear()
        assert coach.account.pending, "Telegram still has it"
        following = make_listener(lab.house.services, QUICK)
        task = asyncio.create_task(following.run())
        try:
            answer = await telegram.wait_for_answer("7", after=said.place, seconds=SECONDS)
            await until(lambda: not coach.account.pending, seconds=SECONDS)
            asked = await telegram.say("And now?", user=7)
            await telegram.wait_for_answer("7", after=asked.place, seconds=SECONDS)
        finally:
            following.stop()
            await task
        assert answer.text == "re: Once?"
        assert telegram.ledger.visible("7") == ["re: Once?", "re: And now?"]
        assert await stored(lab, coach) == 2


async def test_another_program_that_fetches_the_same_bot_is_noticed(
    listening: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await poll(listening, telegram)
    await is_said(listening, coach, "hearing")
    is_over = asyncio.Event()

    async def compete() -> None:
        """Fetch again and again, as a second copy of the bot would."""
        url = f"{telegram.url}/bot{coach.account.token}/getUpdates"
        while not is_over.is_set():
            async with listening.house.http.post(url, data={"timeout": "1"}) as answer:
                await answer.read()

    rival = asyncio.create_task(compete())
    try:
        await is_said(listening, coach, "lost")
        problem = (await listening.find(coach)).problem or ""
        assert "only one program may fetch a bot's updates" in problem
        assert coach.account.token not in problem
    finally:
        is_over.set()
        await rival
    outcomes = {call.outcome for call in telegram.ledger.calls("getUpdates")}
    assert any("terminated by other getUpdates" in outcome for outcome in outcomes)
    answer = await telegram.ask("Alone again?", user=7, seconds=SECONDS)
    assert answer.text == "re: Alone again?"
    await is_said(listening, coach, "hearing")
    assert (await listening.find(coach)).problem is None


async def test_a_poll_that_hangs_is_noticed_and_begun_anew_and_keeps_nobody_else(
    listening: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await poll(listening, telegram)
    await is_said(listening, coach, "hearing")
    telegram.faults.next(1, Mode.SLOW, method="getUpdates", seconds=60.0)
    calls = telegram.ledger.calls
    await until(lambda: calls("getUpdates")[-1].fault == "slow", seconds=SECONDS)
    asked = len(calls("getMe"))
    other = await poll(listening, telegram)
    answer = await telegram.ask("And you?", user=8, bot=other.account, seconds=SECONDS)
    assert answer.account == other.account.account
    await is_said(listening, coach, "deaf")
    assert "although the platform answers" in ((await listening.find(coach)).problem or "")
    assert len(calls("getMe")) > asked + 1, "it was asked whether it is there"
    answer = await telegram.ask("And now?", user=7, bot=coach.account, seconds=SECONDS)
    assert answer.text == "re: And now?"
    await is_said(listening, coach, "hearing")
    assert (await listening.find(other)).health == "hearing"


async def test_webhook_and_polling_can_be_exchanged_without_losing_anything(
    listening: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await listening.connect_telegram(await listening.add_tenant(), telegram)
    await telegram.ask("By webhook", user=71, seconds=SECONDS)
    connections = listening.house.services.connections
    config = {"token": coach.account.token, "api_url": telegram.url}
    polling = {**config, "receive": "polling", "poll_seconds": 1}
    await connections.configure(coach.tenant.id, coach.id, polling, actor="test")
    await telegram.ask("By polling", user=72, seconds=SECONDS)
    await connections.configure(coach.tenant.id, coach.id, config, actor="test")
    await telegram.ask("By webhook again", user=73, seconds=SECONDS)
    asked = [Asked("71", "By webhook"), Asked("72", "By polling"), Asked("73", "By webhook again")]
    assert telegram.ledger.judge(asked).is_perfect
