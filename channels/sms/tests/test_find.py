"""An unclear outcome is settled by Twilio's own list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from channel_kit import ChannelError, OutcomeUnknown, Reconciling, Reply
from channel_sms import SmsChannel, SmsConfig
from coachline_lab.faults import Mode
from coachline_lab.twilio import NUMBER, PERSON, FakeTwilio


@pytest.fixture
async def fake() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as fake:
        fake.progress = ()
        yield fake


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


def connect(fake: FakeTwilio, http: aiohttp.ClientSession, **config: Any) -> SmsChannel:
    given = {
        "account_sid": fake.account.sid,
        "auth_token": fake.account.token,
        "from_number": NUMBER,
        "api_url": fake.url,
        **config,
    }
    return SmsChannel(SmsConfig.model_validate(given), http)


def reply(name: str = "one", text: str = "It’s *fine*.", thread: str = PERSON) -> Reply:
    return Reply(id=name, thread=thread, text=text)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("mode", [Mode.CUT_AFTER_ACCEPT, Mode.SERVER_ERROR_AFTER_ACCEPT])
async def test_what_was_taken_without_an_answer_is_found(
    fake: FakeTwilio, http: aiohttp.ClientSession, mode: Mode
) -> None:
    channel, since = connect(fake, http), now()
    assert isinstance(channel, Reconciling)
    fake.faults.next(1, mode, method="Messages.create")
    with pytest.raises(OutcomeUnknown):
        await channel.send(reply())
    receipt = await channel.find(reply(), since=since)
    assert receipt is not None
    assert receipt.external_id == fake.ledger.accepted[0].message_id
    assert await connect(fake, http).find(reply(), since=since) == receipt


async def test_what_was_not_taken_is_not_found(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel = connect(fake, http)
    fake.faults.next(1, Mode.CUT_BEFORE_ACCEPT, method="Messages.create")
    with pytest.raises(OutcomeUnknown):
        await channel.send(reply())
    assert await channel.find(reply(), since=now()) is None


async def test_only_this_text_of_this_sender_to_this_person_since_then_counts(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel, since = connect(fake, http), now()
    await channel.send(reply("other", "It’s *not* fine."))
    await channel.send(reply("other", thread="+15557650002"))
    fake.account.numbers.append(type(fake.account.numbers[0])("+15550009999"))
    await connect(fake, http, from_number="+15550009999").send(reply("other"))
    await fake.say("It's fine.")
    old = await channel.send(reply("old"))
    fake.messages[old.external_id or ""].created = since - timedelta(seconds=30)
    assert await connect(fake, http).find(reply(), since=since) is None


async def test_two_replies_with_the_same_words_are_told_apart(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel, since = connect(fake, http), now()
    first = await channel.send(reply("first"))
    assert await channel.find(reply("second"), since=since) is None
    fake.faults.next(1, Mode.CUT_AFTER_ACCEPT, method="Messages.create")
    with pytest.raises(OutcomeUnknown):
        await channel.send(reply("second"))
    found = await channel.find(reply("second"), since=since)
    assert found is not None
    assert found.external_id != first.external_id
    assert await channel.find(reply("second"), since=since) == found


async def test_a_trial_accounts_prefix_is_seen_through(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel, since = connect(fake, http), now()
    sent = await channel.send(reply())
    message = fake.messages[sent.external_id or ""]
    message.body = f"Sent from your Twilio trial account - {message.body}"
    assert await connect(fake, http).find(reply(), since=since) is not None


async def test_a_text_sent_by_template_is_found_inside_it(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel, since = connect(fake, http, content_sid="HX" + "a" * 32), now()
    sent = await channel.send(reply("one", "Good\n\nmorning"))
    fake.messages[sent.external_id or ""].body = "Your coach writes: Good morning"
    found = await connect(fake, http, content_sid="HX" + "a" * 32).find(
        reply("one", "Good\n\nmorning"), since=since
    )
    assert found is not None


async def test_an_account_that_hides_its_texts_leaves_it_open(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel, since = connect(fake, http), now()
    sent = await channel.send(reply())
    fake.messages[sent.external_id or ""].body = ""
    with pytest.raises(OutcomeUnknown, match="does not show"):
        await connect(fake, http).find(reply(), since=since)


async def test_a_service_finds_what_any_of_its_numbers_sent(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    service = fake.add_service(fake.account)
    config = {"from_number": None, "messaging_service_sid": service.sid}
    since = now()
    await connect(fake, http, **config).send(reply())
    assert await connect(fake, http, **config).find(reply(), since=since) is not None
    assert await connect(fake, http).find(reply("two", "Other"), since=since) is None


async def test_a_list_that_cannot_be_read_is_no_answer(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    fake.faults.next(1, Mode.SERVER_ERROR, method="Messages.list")
    with pytest.raises(ChannelError):
        await connect(fake, http).find(reply(), since=now())


async def test_a_fifth_of_unclear_outcomes_loses_and_doubles_nothing(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel = connect(fake, http)
    fake.faults.share(Mode.CUT_AFTER_ACCEPT, 0.1, seed=1, method="Messages.create")
    fake.faults.share(Mode.CUT_BEFORE_ACCEPT, 0.1, seed=2, method="Messages.create")
    unclear = 0
    for number in range(60):
        given, since = reply(f"r{number}", f"Answer {number}"), now()
        while True:
            try:
                await channel.send(given)
                break
            except OutcomeUnknown:
                unclear += 1
                if await channel.find(given, since=since) is not None:
                    break
    assert unclear > 5
    assert fake.ledger.visible(PERSON) == [f"Answer {number}" for number in range(60)]
