"""Updates that are forged, repeated, disordered, or alike in two bots."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from coachline.messaging import AccountTaken
from coachline_lab import Asked, asked_in
from coachline_lab.telegram import Bot, FakeTelegram
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

HEADER = "X-Telegram-Bot-Api-Secret-Token"
# Telegram opens no more to one webhook unless it is told to.
CONNECTIONS = 40


def update(number: int, text: str, **changed: Any) -> dict[str, Any]:
    """An update with a private message, as Telegram makes it."""
    person = {"id": 7, "is_bot": False, "first_name": "Ann"}
    message = {
        "message_id": number,
        "from": person,
        "chat": {"id": 7, "type": "private", "first_name": "Ann"},
        "date": 1_790_000_000 + number,
        "text": text,
    }
    return {"update_id": 1000 + number, "message": message | changed}


async def post(lab: LabHouse, to: LabConnection[Bot], body: object, headers: dict[str, str]) -> int:
    """Knock at the connection's door."""
    data = json.dumps(body).encode()
    async with lab.house.http.post(to.inbound_url, data=data, headers=headers) as answer:
        return answer.status


async def deliver(
    lab: LabHouse, to: LabConnection[Bot], body: object, headers: dict[str, str]
) -> int:
    """Knock until it is taken, as Telegram does: where the disk stands still, "later" is right."""
    async with asyncio.timeout(SECONDS):
        while True:
            status = await post(lab, to, body, headers)
            if status != 503:
                return status
            await asyncio.sleep(0.1)


def secret_of(to: LabConnection[Bot]) -> str:
    """What Telegram was told."""
    assert to.account.webhook is not None
    return to.account.webhook.secret


async def answered(telegram: FakeTelegram, asked: list[Asked]) -> None:
    """Wait until nothing is lost any more."""
    await telegram.ledger.wait_until(lambda: not telegram.ledger.judge(asked).lost, seconds=SECONDS)


async def idle(lab: LabHouse, coach: LabConnection[Bot]) -> None:
    """Wait until nobody works for the tenant any more."""
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)


async def test_only_what_carries_the_secret_of_this_bot_is_stored(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    acme, other = [
        await lab.connect_telegram(await lab.add_tenant(word), telegram) for word in ("a", "b")
    ]
    secret = secret_of(acme)
    forged: list[dict[str, str]] = [
        {},
        {HEADER: ""},
        {HEADER: " "},
        {HEADER: secret[:-1]},
        {HEADER: secret + "x"},
        {HEADER: secret.swapcase()},
        {HEADER: secret_of(other)},
        {HEADER: acme.account.token},
        {"Authorization": f"Bearer {secret}"},
    ]
    for headers in forged:
        assert await post(lab, acme, update(1, "Hello"), headers) == 401, headers
    for table in ("inbox_event", "conversation", "learner"):
        assert not await lab.rows(acme.tenant, f"select id from {table}")  # noqa: S608 - a name above
    assert await post(lab, acme, update(1, "Hello"), {HEADER: secret}) == 200
    assert len(await lab.rows(acme.tenant, "select id from inbox_event")) == 1
    assert await post(lab, acme, [update(1, "Hello")], {HEADER: secret}) == 400
    assert not await lab.rows(other.tenant, "select id from inbox_event")


async def test_repeated_shuffled_and_doubled_updates_are_each_answered_once_in_order(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    users = range(11, 19)
    telegram.inbound.duplicate = 0.5
    telegram.inbound.lose = 0.3
    asked = []
    for turn in range(2):
        for user in users:
            markers = [f"q{turn}{place} of {user}" for place in range(3)]
            asked += asked_in(str(user), markers)
            for marker in markers:
                await telegram.say(marker, user=user)
        await telegram.idle(SECONDS)
        recorded = [pending.update for pending in coach.account.recent] * 3
        random.Random(turn).shuffle(recorded)
        headers = {HEADER: secret_of(coach)}
        for first in range(0, len(recorded), CONNECTIONS):
            some = recorded[first : first + CONNECTIONS]
            statuses = await asyncio.gather(*(deliver(lab, coach, one, headers) for one in some))
            assert set(statuses) == {200}
        telegram.redeliver(12)
        await answered(telegram, asked)
    await telegram.idle(SECONDS)
    await idle(lab, coach)
    verdict = telegram.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
    assert len(await lab.rows(coach.tenant, "select id from inbox_event")) == len(asked)


async def test_bots_with_equal_ids_of_everything_answer_only_their_own(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    pair = [await lab.connect_telegram(await lab.add_tenant(word), telegram) for word in "ab"]
    asked = []
    for coach in pair:
        bot = coach.account
        bot.next_update = 5000
        for user in (21, 22, 23):
            # The same words too: what one of them asks must not pass for the other's.
            await telegram.say("the same", user=user, bot=bot)
            await telegram.say(f"of {bot.id}", user=user, bot=bot)
            asked += asked_in(str(user), ["the same", f"of {bot.id}"], account=bot.account)
    await answered(telegram, asked)
    for coach in pair:
        await idle(lab, coach)
    verdict = telegram.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
    query = "select external_id, raw->>'update_id' as number from inbox_event order by 1"
    left, right = [[tuple(row) for row in await lab.rows(one.tenant, query)] for one in pair]
    assert left == right
    assert len(left) == 6


async def test_a_bot_is_connected_once_and_nobody_learns_whose_it_is(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    first = await lab.connect_telegram(await lab.add_tenant("secret-first"), telegram)
    second = await lab.add_tenant("second")
    with pytest.raises(AccountTaken) as refused:
        await lab.connect_telegram(second, telegram, first.account)
    assert "secret-first" not in str(refused.value)
    assert str(first.tenant.id) not in str(refused.value)
    assert not await lab.rows(second, "select id from connection")
    # The second try told Telegram to deliver elsewhere; that was taken back.
    answer = await telegram.ask("Still there?", user=7, seconds=SECONDS)
    assert answer.text == "re: Still there?"
    assert len(await lab.rows(first.tenant, "select id from inbox_event")) == 1
    status, shown = await lab.get(second, "/api/v1/connections")
    assert (status, shown["items"]) == (200, [])


async def test_a_bot_that_was_let_go_may_be_connected_by_another(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    first = await lab.connect_telegram(await lab.add_tenant("first"), telegram)
    connections = lab.house.services.connections
    await connections.set_state(first.tenant.id, first.id, "disabled", actor="test")
    assert first.account.webhook is None
    second = await lab.connect_telegram(await lab.add_tenant("second"), telegram, first.account)
    await telegram.ask("Hello", user=7, seconds=SECONDS)
    assert len(await lab.rows(second.tenant, "select id from inbox_event")) == 1
    assert not await lab.rows(first.tenant, "select id from inbox_event")
