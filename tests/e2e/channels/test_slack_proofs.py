"""Only what Slack signed counts; what it delivers again, late or in another order, counts once."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from coachline_lab.ledger import asked_in
from coachline_lab.slack import FakeSlack
from coachline_lab.slack.events import envelope_of, signature_headers
from coachline_lab.slack.world import Installation
from coachline_lab.verdict import Asked
from fixtures.lab_house import SECONDS, LabHouse
from fixtures.slack_talk import ask, wait_answered
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

JSON = {"Content-Type": "application/json"}


def message_of(app: Installation, text: str) -> bytes:
    event: dict[str, Any] = {
        "type": "message",
        "channel": "D0FORGED",
        "channel_type": "im",
        "user": "U0LEA",
        "text": text,
        "ts": f"{time.time():.6f}",
    }
    return json.dumps(envelope_of(app, event)).encode()


async def test_what_slack_did_not_sign_just_now_is_refused_and_not_stored(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    other = await lab.connect_slack(await lab.add_tenant(), slack, slack.install())
    secret = coach.account.app.signing_secret
    body = message_of(coach.account, "forged")
    genuine, stale = signature_headers(secret, body), int(time.time()) - 301
    forged: list[dict[str, str]] = [
        {},
        {**genuine, "X-Slack-Signature": ""},
        {**genuine, "X-Slack-Signature": "v0=" + "0" * 64},
        {**genuine, "X-Slack-Signature": "v0=ÿ"},
        {**genuine, "X-Slack-Request-Timestamp": "soon"},
        {**genuine, "X-Slack-Request-Timestamp": str(int(time.time()) + 7)},
        {name: value for name, value in genuine.items() if "Timestamp" not in name},
        signature_headers(secret, body + b" "),
        signature_headers(secret, body, at=stale),
        signature_headers(secret, body, at=stale + 700),
        signature_headers(other.account.app.signing_secret, body),
    ]
    http = lab.house.http
    for headers in forged:
        async with http.post(coach.inbound_url, data=body, headers=JSON | headers) as refused:
            assert refused.status == 401
    for unsigned in (
        b'{"type":"url_verification","challenge":"x"}',
        b"ssl_check=1&token=x",
        b"{",
        b"command=%2Fcoach&text=payload",
    ):
        async with http.post(coach.inbound_url, data=unsigned, headers=JSON) as refused:
            assert refused.status == 401
    assert not await lab.rows(tenant, "select id from inbox_event")
    async with http.post(
        coach.inbound_url, data=body, headers=JSON | signature_headers(secret, body)
    ) as taken:
        assert taken.status == 200
    assert len(await lab.rows(tenant, "select id from inbox_event")) == 1


async def test_the_address_is_verified_by_its_challenge(lab: LabHouse, slack: FakeSlack) -> None:
    coach = await lab.connect_slack(await lab.add_tenant(), slack)
    assert await slack.events.verify_url(coach.account.app, coach.inbound_url)
    coach.account.app.signing_secret = "0" * 32
    assert not await slack.events.verify_url(coach.account.app, coach.inbound_url)


async def test_doubled_late_and_shuffled_events_are_answered_once_and_in_order(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    people = [slack.add_user(coach.account.team, f"Person {number}") for number in range(8)]
    noise = slack.inbound
    noise.duplicate, noise.lose, noise.hold_back, noise.hold_seconds = 1.0, 0.4, 0.5, 0.4
    asked: list[Asked] = []
    ledger = slack.ledger
    for turn in range(2):
        for number, person in enumerate(people):
            where: dict[str, Any] = {"channel": room, "mention": True} if number % 2 else {}
            said = await slack.say(f"{turn} of {person.id}", user=person, **where)
            asked += asked_in(said.thread, [f"{turn} of {person.id}"])
        await wait_answered(slack, asked, 2 * SECONDS)
    noise.lose = 0.0
    for _ in range(3):
        slack.redeliver(1000)
    await slack.idle(SECONDS)
    attempts = slack.events.attempts
    assert any(one.number > 1 for one in attempts), "with the headers of a retry"
    assert {one.event_id for one in attempts if one.status == 200} == {
        one.event_id for one in attempts
    }
    # Whatever came of those is answered before this, which came last.
    await ask(slack, "last", user=people[0])
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    verdict = ledger.judge([*asked, *asked_in(asked[0].thread, ["last"])])
    assert verdict.is_perfect, str(verdict)
    assert len(await lab.rows(tenant, "select id from inbox_event")) == len(asked) + 1
