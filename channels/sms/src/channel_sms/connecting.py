"""Are the credentials right, is the sender the tenant's, and does Twilio call us?"""

from __future__ import annotations

from typing import Any, Final

from channel_kit import (
    ChannelUnavailable,
    Connected,
    CredentialsRejected,
)
from channel_kit.accounts import vouched
from channel_sms.config import WHATSAPP, SmsConfig
from channel_sms.problems import Refused
from channel_sms.signature import OVERRIDES

_NOT_FOUND: Final = 404
_ACTIVE: Final = "active"
_TRIAL: Final = "trial"
_LONGEST_SHORT_CODE: Final = 8

_SERVICE_FIRST: Final = (
    "If the number is in a Messaging Service, connect the service instead: its own address goes "
    "before the number's."
)
_OPT_OUT: Final = (
    "Advanced Opt-Out (Messaging > Services > Opt-Out Management) lets you word Twilio's answers "
    "to STOP, START and HELP."
)
_REGISTER: Final = (
    "For numbers of the United States: register a brand and a campaign (A2P 10DLC) or verify the "
    "toll-free number; carriers refuse messages of others (30034)."
)
_MEDIA: Final = (
    "Console > Messaging > Settings: switch on HTTP authentication for media, so that pictures "
    "cannot be opened by whoever has their address."
)
_COMMON_STEPS: Final = (_REGISTER, _MEDIA)


async def connect_sender(client: Any, config: SmsConfig, inbound_url: str) -> Connected:
    """Prove the credentials and the sender, and give Twilio the address to call.

    Raises:
        CredentialsRejected: the token, the account or the sender is not right.
        ChannelUnavailable: Twilio did not keep the address.
        ChannelError: Twilio cannot be asked now.
    """
    account = await _account(client, config)
    write_to: str | None
    if config.is_whatsapp:
        write_to, steps = config.sender.removeprefix(WHATSAPP), [_whatsapp_step(inbound_url)]
    elif config.messaging_service_sid is not None:
        write_to, steps = await _set_service(client, config.messaging_service_sid, inbound_url)
    else:
        write_to, steps = await _set_number(client, config.sender, inbound_url)
    if str(account.type).lower() == _TRIAL:
        steps.append("A trial account writes to verified numbers only: verify yours, or upgrade.")
    return Connected(
        account=vouched(
            f"{config.account_sid}:{config.sender}",
            api_url=str(config.api_url),
            platform="twilio.com",
        ),
        title=f"{account.friendly_name} {write_to or config.sender}",
        config={"inbound_url": inbound_url},
        steps=tuple(steps),
        write_to=write_to,
    )


async def disconnect_sender(client: Any, config: SmsConfig) -> None:
    """Take our address back, if it is still there. WhatsApp senders are a person's to change.

    Raises:
        ChannelError: Twilio goes on calling.
    """
    ours = f"{config.inbound_url}{OVERRIDES}"
    if config.inbound_url is None or config.is_whatsapp:
        return
    if config.messaging_service_sid is not None:
        service = await client.messaging.v1.services(config.messaging_service_sid).fetch_async()
        if service.inbound_request_url == ours:
            await service.update_async(inbound_request_url="")
        return
    for number in await client.incoming_phone_numbers.list_async(
        phone_number=config.sender, limit=1
    ):
        if number.sms_url == ours:
            await number.update_async(sms_url="")


async def _account(client: Any, config: SmsConfig) -> Any:
    try:
        account = await client.api.v2010.accounts(config.account_sid).fetch_async()
    except Refused as error:
        if error.status == _NOT_FOUND:
            raise CredentialsRejected("there is no such account") from None
        raise
    if str(account.status).lower() != _ACTIVE:
        raise CredentialsRejected(f"the account is {account.status}")
    return account


async def _set_number(client: Any, number: str, inbound_url: str) -> tuple[str, list[str]]:
    found = await client.incoming_phone_numbers.list_async(phone_number=number, limit=1)
    if not found:
        return await _set_short_code(client, number, inbound_url)
    if not (found[0].capabilities or {}).get("sms"):
        raise CredentialsRejected(f"{number} cannot send or receive SMS")
    # An application would be asked instead of the address, silently.
    kept = await found[0].update_async(
        sms_url=inbound_url + OVERRIDES, sms_method="POST", sms_application_sid=""
    )
    _check_kept(kept.sms_url, inbound_url)
    return number, [_SERVICE_FIRST, *_COMMON_STEPS]


async def _set_short_code(client: Any, number: str, inbound_url: str) -> tuple[str, list[str]]:
    found = []
    if len(number) <= _LONGEST_SHORT_CODE:
        found = await client.short_codes.list_async(short_code=number, limit=1)
    if not found:
        raise CredentialsRejected(f"{number} is not a number of this account")
    kept = await found[0].update_async(sms_url=inbound_url + OVERRIDES, sms_method="POST")
    _check_kept(kept.sms_url, inbound_url)
    return number, [*_COMMON_STEPS]


async def _set_service(client: Any, sid: str, inbound_url: str) -> tuple[str | None, list[str]]:
    context = client.messaging.v1.services(sid)
    try:
        kept = await context.update_async(
            inbound_request_url=inbound_url + OVERRIDES,
            inbound_method="POST",
            use_inbound_webhook_on_number=False,
        )
    except Refused as error:
        if error.status == _NOT_FOUND:
            raise CredentialsRejected(f"{sid} is not a service of this account") from None
        raise
    _check_kept(kept.inbound_request_url, inbound_url)
    numbers = await context.phone_numbers.list_async(limit=1)
    if not numbers:
        return None, ["Add a number to the service's sender pool.", *_COMMON_STEPS]
    return numbers[0].phone_number, [_OPT_OUT, *_COMMON_STEPS]


def _check_kept(kept: object, inbound_url: str) -> None:
    if kept != inbound_url + OVERRIDES:
        raise ChannelUnavailable("Twilio did not keep the address that was set")


def _whatsapp_step(inbound_url: str) -> str:
    return (
        "Console > Messaging > Senders > WhatsApp senders > this number: set the webhook for "
        f"incoming messages to {inbound_url}{OVERRIDES} with POST."
    )
