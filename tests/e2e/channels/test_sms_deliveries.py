"""Webhooks that come twice, late or forged, and sends whose fate is unclear."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag, urlencode

import pytest

from coachline.messaging import AccountTaken
from coachline_lab import Asked, InboundFaults, Mode
from coachline_lab.twilio import NUMBER, PERSON, Account, FakeTwilio
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

FAST: dict[str, Any] = {"segments_per_second": 1000.0, "burst_segments": 1000.0}
CREATE = "Messages.create"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True)
class Forged:
    """A request that is not what Twilio signed for this connection."""

    name: str
    headers: dict[str, str]
    body: bytes
    query: str = ""


def sha1(token: str, text: str) -> str:
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def forged_variants(url: str, account: Account, other: Account) -> list[Forged]:
    """Everything that a stranger may try who knows the address and has seen a request."""
    fields = {"AccountSid": account.sid, "Body": "zanzibar", "From": PERSON, "MessageSid": "SM1"}
    fields |= {"To": NUMBER, "NumMedia": "0", "SmsStatus": "received", "Empty": ""}
    body = urlencode(fields).encode()
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    genuine = sha1(account.token, signed)
    no_blank = url + "".join(name + fields[name] for name in sorted(fields) if fields[name])

    def form(name: str, signature: str | None, **changed: str) -> Forged:
        headers = {"Content-Type": FORM} | (
            {} if signature is None else {"X-Twilio-Signature": signature}
        )
        sent = urlencode(fields | changed).encode() if changed else body
        return Forged(name, headers, sent)

    json_body = b'{"MessageSid": "SM1", "From": "+1", "Body": "zanzibar"}'
    settings = {"X-Twilio-Webhooks-Signature-Settings": "key=nobody,algorithm=HMAC_SHA256"}
    signature = {"X-Twilio-Signature": genuine}
    as_json = {"Content-Type": "application/json"}
    return [
        form("missing", None),
        form("blank", ""),
        form("garbage", "bm8="),
        form("of another account", sha1(other.token, signed)),
        form("another text", genuine, Body="something else"),
        form("a field more", genuine, Injected="1"),
        form("another address", sha1(account.token, signed.replace("/webhooks/", "/webhooks//"))),
        form("https for http", sha1(account.token, signed.replace("http://", "https://"))),
        form("a blank field dropped", sha1(account.token, no_blank)),
        Forged("an unknown key", {"Content-Type": FORM} | signature | settings, body),
        Forged("another query", {"Content-Type": FORM} | signature, body, query="?a=1"),
        Forged("json", as_json | {"X-Twilio-Signature": sha1(account.token, url)}, json_body),
        Forged(
            "json with a hash of something else",
            as_json | {"X-Twilio-Signature": sha1(account.token, f"{url}?bodySHA256=00")},
            json_body,
            query="?bodySHA256=00",
        ),
        Forged(
            "an empty body",
            {"Content-Type": FORM, "X-Twilio-Signature": sha1(account.token, url)},
            b"",
        ),
    ]


async def test_what_twilio_did_not_sign_for_this_connection_is_refused_and_not_kept(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio)
    other = twilio.add_account(numbers=["+15550006790"])
    await lab.connect_sms(await lab.add_tenant(), twilio, other)
    url, _ = urldefrag(coach.account.numbers[0].sms_url)
    for forged in forged_variants(url, coach.account, other):
        async with lab.house.http.post(
            url + forged.query, data=forged.body, headers=forged.headers
        ) as answer:
            assert answer.status == 401, forged.name
            assert "zanzibar" not in await answer.text()
    kept = "select id from inbox_event union select id from identity union select id from learner"
    assert not await lab.rows(coach.tenant, kept)
    assert not twilio.ledger.calls(CREATE)


async def settled(
    lab: LabHouse,
    twilio: FakeTwilio,
    coach: LabConnection[Account],
    asked: Sequence[Asked],
    seconds: float = 2 * SECONDS,
) -> None:
    """Wait until everything that was asked is answered, and nothing is left to do."""

    def is_answered() -> bool:
        return not twilio.ledger.judge(asked).lost

    await twilio.ledger.wait_until(is_answered, seconds=seconds)
    await until(lambda: lab.is_idle(coach.tenant), seconds=seconds)
    await twilio.settle()


def people(count: int) -> list[str]:
    return [f"+1555765{number:04}" for number in range(count)]


async def test_messages_that_come_twice_late_or_again_are_answered_once_and_in_order(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio, **FAST)
    twilio.inbound = InboundFaults(duplicate=0.4, lose=0.3, hold_back=0.5, seed=7)
    said = [(person, f"{number} of {person}") for person in people(12) for number in range(3)]
    await asyncio.gather(*(twilio.say(text, person=person) for person, text in said))
    assert {delivery.is_taken for delivery in twilio.deliveries} == {True}
    assert len(twilio.deliveries) > len(said), "some came twice"
    # The platform promises no order: what counts is the one in which they came in.
    rows = await lab.rows(
        coach.tenant,
        "select text, thread from inbox_event join conversation c on c.id = conversation_id "
        "where kind = 'message' order by thread, seq",
    )
    assert sorted((row.thread, row.text) for row in rows) == sorted(said)
    assert [(row.thread, row.text) for row in rows] != sorted(said), "some passed others"
    asked = [Asked(row.thread, row.text) for row in rows]
    await settled(lab, twilio, coach, asked)
    for again in await twilio.redeliver(2):
        assert again.is_taken
    await settled(lab, twilio, coach, asked)
    verdict = twilio.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)


async def test_a_fifth_of_all_sends_unclear_and_not_one_answer_is_lost_or_doubled(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio, **FAST)
    twilio.progress = ()
    # What could be told by a status is not: only Twilio's own list can tell.
    twilio.faults.share(Mode.CUT_AFTER_ACCEPT, 0.10, 1, method=CREATE)
    twilio.faults.share(Mode.SERVER_ERROR_AFTER_ACCEPT, 0.06, 2, method=CREATE)
    twilio.faults.share(Mode.CUT_BEFORE_ACCEPT, 0.06, 3, method=CREATE)
    asked = [Asked(person, f"question of {person}") for person in people(60)]
    await asyncio.gather(*(twilio.say(one.marker, person=one.thread) for one in asked))
    await settled(lab, twilio, coach, asked)
    verdict = twilio.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
    faults = Counter(call.fault for call in twilio.ledger.calls(CREATE))
    unclear = sum(count for fault, count in faults.items() if fault != "none")
    assert unclear >= 8, faults
    assert len(twilio.ledger.calls("Messages.list")) >= unclear
    states = await lab.rows(coach.tenant, "select distinct state from outbox_reply")
    assert [row.state for row in states] == ["sent"]


async def test_a_status_settles_what_the_answer_of_the_call_did_not(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio)
    twilio.faults.next(1, Mode.CUT_AFTER_ACCEPT, method=CREATE)
    answer = await twilio.ask("How?", seconds=SECONDS)
    await settled(lab, twilio, coach, [Asked(PERSON, "How?")])
    (row,) = await lab.rows(coach.tenant, "select state, receipt, report from outbox_reply")
    assert (row.state, row.report) == ("sent", "delivered")
    assert row.receipt["external_id"] == answer.message_id
    assert not twilio.ledger.calls("Messages.list"), "nobody had to be asked"
    assert len(twilio.ledger.calls(CREATE)) == 1


async def test_statuses_twice_and_out_of_order_are_ranked_and_shown(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio)
    twilio.progress, twilio.is_reordered, twilio.report_copies = ("sent", "delivered"), True, 2
    answer = await twilio.ask("How?", seconds=SECONDS)
    await settled(lab, twilio, coach, [Asked(PERSON, "How?")])
    for late in ("sending", "undelivered", "sent"):
        assert (await twilio.report(answer.message_id, late)).statuses == (204,)
    query = "select id from inbox_event where kind = 'message'"
    (event,) = await lab.rows(coach.tenant, query)
    status, shown = await lab.get(coach.tenant, f"/api/v1/events/{event.id}/why")
    assert (status, shown["state"]) == (200, "answered")
    reports = [
        point["details"] for point in shown["checkpoints"] if point["name"] == "reply_reported"
    ]
    assert [report["report"] for report in reports] == ["delivered"]
    learned = await lab.rows(coach.tenant, "select id from learner")
    assert len(learned) == 1


async def test_a_429_is_waited_for_as_told_and_others_are_not_stopped_for_good(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach = await lab.connect_sms(await lab.add_tenant(), twilio, **FAST)
    twilio.faults.next(1, Mode.RATE_LIMITED, method=CREATE, retry_after=2)
    asked = [Asked(person, f"question of {person}") for person in people(4)]
    await asyncio.gather(*(twilio.say(one.marker, person=one.thread) for one in asked))
    await settled(lab, twilio, coach, asked)
    assert twilio.ledger.judge(asked).is_perfect
    assert twilio.ledger.early_retries() == []
    assert [call.retry_after for call in twilio.ledger.calls(CREATE) if call.retry_after] == [2]


async def test_the_senders_pace_in_segments_is_kept(lab: LabHouse, twilio: FakeTwilio) -> None:
    pace: dict[str, Any] = {"segments_per_second": 4.0, "burst_segments": 2.0}
    coach = await lab.connect_sms(await lab.add_tenant(), twilio, **pace)
    asked = [Asked(person, f"question of {person}") for person in people(10)]
    await asyncio.gather(*(twilio.say(one.marker, person=one.thread) for one in asked))
    await settled(lab, twilio, coach, asked)
    assert twilio.ledger.judge(asked).is_perfect
    times = sorted(call.at for call in twilio.ledger.calls(CREATE))
    assert len(times) == 10
    assert times[-1] - times[0] >= (10 - 2) / 4.0 - 0.3


async def test_two_tenants_hear_the_same_person_under_the_same_ids_and_answer_each_its_own(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    numbers = [NUMBER, "+15550006790"]
    accounts = [twilio.account, twilio.add_account(numbers=numbers[1:])]
    coaches = [
        await lab.connect_sms(await lab.add_tenant(), twilio, account) for account in accounts
    ]
    same = {"MessageSid": "SM" + "5" * 32, "SmsSid": "SM" + "5" * 32}
    for account, number in zip(accounts, numbers, strict=True):
        await twilio.say(f"to {number}", to=number, account=account, fields=same)
    asked = [Asked(PERSON, f"to {number}", number) for number in numbers]
    for coach in coaches:
        await settled(lab, twilio, coach, asked)
    verdict = twilio.ledger.judge(asked)
    assert verdict.is_perfect, str(verdict)
    for coach, number in zip(coaches, numbers, strict=True):
        said = await lab.rows(coach.tenant, "select text from inbox_event where kind = 'message'")
        assert [row.text for row in said] == [f"to {number}"]
        shown = twilio.ledger.visible(PERSON, account=number)
        assert shown == [f"re: to {number}"]


async def test_a_number_that_is_connected_cannot_be_claimed_again(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    first = await lab.add_tenant("acme")
    coach = await lab.connect_sms(first, twilio)
    other = await lab.add_tenant("other")
    with pytest.raises(AccountTaken) as refused:
        await lab.connect_sms(other, twilio)
    assert "acme" not in str(refused.value)
    assert str(first.id) not in str(refused.value)
    assert not await lab.rows(other, "select id from connection")
    assert coach.account.numbers[0].sms_url.startswith(coach.inbound_url)
    assert (await twilio.ask("Still there?", seconds=SECONDS)).text == "re: Still there?"
