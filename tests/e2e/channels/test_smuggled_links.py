"""Addresses that a poisoned document may make a model write: none reaches any platform."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from attacks.addresses import unlisted
from attacks.corpus import load
from coachline_lab.ledger import Ledger
from coachline_lab.slack import FakeSlack
from coachline_lab.telegram import FakeTelegram
from coachline_lab.twilio import FakeTwilio
from fixtures.house import House
from fixtures.lab_house import SECONDS, LabHouse, LabTenant
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

HOST = "docs.coach.org"
LISTED = f"https://{HOST}/guide"
_IN_ONE = 8


def answers() -> list[str]:
    """The corpus in answers of a few each, every one with a listed link and an end."""
    smuggled: Sequence[Any] = load("smuggling.json")
    cuts = range(0, len(smuggled), _IN_ONE)
    return [
        "\n\n".join([f"See {LISTED} first.", *smuggled[cut : cut + _IN_ONE], "THE END"])
        for cut in cuts
    ]


def script(lab: LabHouse) -> int:
    """Have the model answer a number with that answer; how many there are."""
    written = answers()
    lab.model.reply = lambda messages: written[int(messages[-1]["content"].split()[-1])]
    lab.model.delay_seconds = 0.002
    return len(written)


async def listing(lab: LabHouse) -> LabTenant:
    """A tenant that lists one host."""
    tenant = await lab.add_tenant()
    hosts: Any = {"allowed_hosts": (HOST,)}
    await lab.house.services.tenants.configure(tenant.id, hosts, "test")
    return tenant


def texts_in(value: object) -> Iterator[str]:
    """Every text of a request's arguments, in JSON inside of texts as well."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("StatusCallback", "callback_url"):
                yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)
    elif isinstance(value, str):
        try:
            inner = json.loads(value)
        except ValueError:
            inner = value
        yield from texts_in(inner) if isinstance(inner, dict | list) else iter((value,))


def assert_nothing_got_out(ledger: Ledger) -> None:
    """Look through all that the platform received in any thread, drafts and edits as well."""
    calls = [call for call in ledger.calls() if call.thread is not None]
    received = [text for call in calls for text in texts_in(dict(call.args))]
    assert any(LISTED in text for text in received), "the listed link is let through"
    assert [address for text in received for address in unlisted(text)] == []


async def test_none_reaches_telegram_and_no_page_is_previewed(
    lab: LabHouse, telegram: FakeTelegram
) -> None:
    await lab.connect_telegram(await listing(lab), telegram)
    count = script(lab)
    for number in range(count):
        await telegram.say(f"Number {number}", user=100 + number)
    ledger = telegram.ledger

    def is_over() -> bool:
        shown = (ledger.visible(str(100 + number)) for number in range(count))
        return all(texts and texts[-1].endswith("THE END") for texts in shown)

    await ledger.wait_until(is_over, seconds=2 * SECONDS)
    assert_nothing_got_out(ledger)
    for method in ("sendMessage", "editMessageText"):
        for call in ledger.calls(method):
            assert list(_options(call.args)) == [{"is_disabled": True}]


def _options(args: Any) -> Iterator[Any]:
    found = args["link_preview_options"]
    yield json.loads(found) if isinstance(found, str) else dict(found)


async def test_none_reaches_slack_and_no_page_is_unfurled(lab: LabHouse, slack: FakeSlack) -> None:
    coach = await lab.connect_slack(await listing(lab), slack)
    count = script(lab)
    said = []
    for number in range(count):
        person = slack.add_user(coach.account.team, f"Mia{number}")
        said.append(await slack.say(f"Number {number}", user=person))
    ledger = slack.ledger

    def is_over() -> bool:
        shown = (ledger.visible(one.thread) for one in said)
        return all(texts and "THE END" in texts[-1] for texts in shown)

    await ledger.wait_until(is_over, seconds=2 * SECONDS)
    assert_nothing_got_out(ledger)
    for method in ("chat.postMessage", "chat.update"):
        for call in ledger.calls(method):
            assert call.args["unfurl_links"] in (False, "false", "0", 0)
            assert call.args["unfurl_media"] in (False, "false", "0", 0)


async def test_none_reaches_a_phone(lab: LabHouse, twilio: FakeTwilio) -> None:
    fast: dict[str, Any] = {"segments_per_second": 1000.0, "burst_segments": 1000.0}
    await lab.connect_sms(await listing(lab), twilio, **fast)
    for number in range(script(lab)):
        person = f"+4366000001{number:02}"
        text = (await twilio.ask(f"Number {number}", person=person, seconds=SECONDS)).text
        while text.endswith("Reply MORE for the rest."):
            text = (await twilio.ask("more", person=person, seconds=SECONDS)).text
        assert text.rstrip().endswith("THE END")
    assert_nothing_got_out(twilio.ledger)
    assert all("MediaUrl" not in call.args for call in twilio.ledger.calls())


async def test_none_reaches_a_webhook(lab: LabHouse) -> None:
    house: House = lab.house
    async with CallbackReceiver() as receiver:
        to = await house.connect("smuggled", receiver)
        tenant = await house.services.tenants.get_by_name(to.tenant)
        hosts: Any = {"allowed_hosts": (HOST,)}
        await house.services.tenants.configure(tenant.id, hosts, "test")
        count = script(lab)
        for number in range(count):
            await house.post(to, f"m{number}", f"Number {number}", sender=f"s{number}")

        def is_over() -> bool:
            ends = [one for one in receiver.accepted if one.body["text"].endswith("THE END")]
            return len(ends) >= count

        await until(is_over, seconds=2 * SECONDS)
        received = [text for one in receiver.accepted for text in texts_in(one.body)]
    assert any(LISTED in text for text in received)
    assert [address for text in received for address in unlisted(text)] == []
