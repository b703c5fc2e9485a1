"""Connecting proves the token and the sender, and sets the address that Twilio calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from channel_kit import ChannelUnavailable, Connecting, CredentialsRejected, OutcomeUnknown
from channel_sms import SmsChannel, SmsConfig
from channel_sms.signature import OVERRIDES
from coachline_lab.faults import Mode
from coachline_lab.twilio import NUMBER, FakeTwilio

INBOUND = "https://coach.example/webhooks/0198"


@pytest.fixture
async def fake() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as fake:
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


async def test_a_number_is_connected_and_left_again(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel = connect(fake, http)
    assert isinstance(channel, Connecting)
    number = fake.account.numbers[0]
    number.sms_application_sid = "AP1"
    connected = await channel.connect(INBOUND)
    assert await channel.connect(INBOUND) == connected
    assert (number.sms_url, number.sms_application_sid) == (INBOUND + OVERRIDES, "")
    # Not told by Twilio itself: only this server's account of that name.
    assert connected.account == f"{fake.account.sid}:{NUMBER}@127.0.0.1"
    assert connected.write_to == NUMBER
    assert connected.config == {"inbound_url": INBOUND}
    assert any("10DLC" in step for step in connected.steps)
    again = connect(fake, http, **connected.config)
    await again.disconnect()
    assert number.sms_url == ""
    number.sms_url = "https://somebody.example/else"
    await again.disconnect()
    assert number.sms_url == "https://somebody.example/else"


async def test_a_service_is_connected_and_left_again(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    service = fake.add_service(fake.account)
    config = {"from_number": None, "messaging_service_sid": service.sid}
    connected = await connect(fake, http, **config).connect(INBOUND)
    assert service.inbound_request_url == INBOUND + OVERRIDES
    assert connected.account == f"{fake.account.sid}:{service.sid}@127.0.0.1"
    assert connected.write_to == NUMBER
    assert any("Advanced Opt-Out" in step for step in connected.steps)
    await connect(fake, http, **config, **connected.config).disconnect()
    assert service.inbound_request_url == ""


async def test_a_service_without_a_number_says_so(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    service = fake.add_service(fake.account)
    service.numbers.clear()
    config = {"from_number": None, "messaging_service_sid": service.sid}
    connected = await connect(fake, http, **config).connect(INBOUND)
    assert connected.write_to is None
    assert "sender pool" in connected.steps[0]


async def test_a_whatsapp_sender_is_a_persons_to_set(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    channel = connect(fake, http, from_number=f"whatsapp:{NUMBER}", inbound_url=INBOUND)
    connected = await channel.connect(INBOUND)
    assert INBOUND + OVERRIDES in connected.steps[0]
    assert connected.write_to == NUMBER
    await channel.disconnect()
    assert fake.account.numbers[0].sms_url == ""


async def test_a_trial_account_is_named(fake: FakeTwilio, http: aiohttp.ClientSession) -> None:
    fake.account.type = "Trial"
    connected = await connect(fake, http).connect(INBOUND)
    assert "trial" in connected.steps[-1]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"auth_token": "wrong-token"}, "20003"),
        ({"account_sid": "AC" + "f" * 32}, "20003"),
        ({"from_number": "+15550009999"}, "not a number of this account"),
        ({"from_number": "12345"}, "not a number of this account"),
        ({"from_number": None, "messaging_service_sid": "MG" + "f" * 32}, "not a service"),
    ],
)
async def test_wrong_settings_are_named(
    fake: FakeTwilio, http: aiohttp.ClientSession, config: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CredentialsRejected, match=reason) as caught:
        await connect(fake, http, **config).connect(INBOUND)
    assert fake.account.token not in repr(caught.value)
    assert fake.account.numbers[0].sms_url == ""


async def test_a_suspended_account_is_not_connected(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    fake.account.status = "suspended"
    with pytest.raises(CredentialsRejected, match="suspended"):
        await connect(fake, http).connect(INBOUND)


async def test_a_missing_account_is_not_connected(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    fake.faults.next(1, Mode.REJECTED, method="Accounts.fetch", status=404, code=20404)
    with pytest.raises(CredentialsRejected, match="no such account"):
        await connect(fake, http).connect(INBOUND)


async def test_an_address_that_was_not_kept_is_no_connection(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    number = fake.account.numbers[0]
    fake.account.numbers[0] = type(
        "Stubborn",
        (type(number),),
        {"sms_url": property(lambda self: "", lambda self, value: None)},
    )(NUMBER)
    with pytest.raises(ChannelUnavailable, match="did not keep"):
        await connect(fake, http).connect(INBOUND)


async def test_a_twilio_that_is_away_is_asked_again_later(
    fake: FakeTwilio, http: aiohttp.ClientSession
) -> None:
    fake.faults.next(1, Mode.SERVER_ERROR)
    with pytest.raises(OutcomeUnknown):
        await connect(fake, http).connect(INBOUND)
