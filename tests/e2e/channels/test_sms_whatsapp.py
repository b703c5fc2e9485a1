"""WhatsApp and messaging services through the same package as SMS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coachline.foundation.ids import ConversationId
from coachline_lab import Asked, Mode
from coachline_lab.twilio import Account, FakeTwilio
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

SENDER, PERSON = "whatsapp:+15550006800", "whatsapp:+15557650001"
TEMPLATE = "HX" + "a" * 32


async def connect(
    lab: LabHouse, twilio: FakeTwilio, **config: Any
) -> tuple[LabConnection[Account], Account]:
    """Connect a sender of WhatsApp; its webhook is set by hand, as in Twilio's console."""
    account = twilio.add_account(numbers=[SENDER])
    account.templates[TEMPLATE] = "News from your coach: {{1}}"
    coach = await lab.connect_sms(await lab.add_tenant(), twilio, account, **config)
    account.numbers[0].sms_url = coach.inbound_url
    return coach, account


async def post(lab: LabHouse, coach: LabConnection[Account], text: str) -> tuple[str, str]:
    """Write something unasked; what was reported of it in the end, and the problem."""
    (row,) = await lab.rows(coach.tenant, "select id from conversation")
    reply = await lab.house.services.posting.post(
        coach.tenant.id, ConversationId(row.id), text, lane="broadcast"
    )
    found: list[Any] = []

    async def is_over() -> bool:
        query = "select state, problem, report from outbox_reply where id = :id"
        found[:] = await lab.rows(coach.tenant, query, id=reply)
        return found[0].report in ("delivered", "failed")

    await until(is_over, seconds=SECONDS)
    return found[0].report, found[0].problem or ""


async def test_a_message_by_whatsapp_is_answered_there_in_its_own_characters(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach, account = await connect(lab, twilio)
    lab.model.reply = "It’s **fine** — “really” …"
    answer = await twilio.ask("How?", person=PERSON, to=SENDER, account=account, seconds=SECONDS)
    assert (answer.account, answer.thread) == (SENDER, PERSON)
    assert answer.text == "It’s fine — “really” …", "nothing is folded"
    (named,) = await lab.rows(coach.tenant, "select name from learner")
    assert named.name == "Ada"


async def test_a_button_of_a_template_is_heard_and_stop_is_ours_to_confirm(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    coach, account = await connect(lab, twilio)
    where: dict[str, Any] = {"person": PERSON, "to": SENDER, "account": account}
    asked = await twilio.ask("pause", **where, seconds=SECONDS)
    assert asked.text.endswith("3 1 week")
    place = twilio.ledger.place
    await twilio.press("/pause 3d", "3 days", **where)
    paused = await twilio.wait_for_answer(PERSON, after=place, seconds=SECONDS)
    assert paused.text.startswith("I will not write on my own until")
    stopped = await twilio.ask("STOP", **where, seconds=SECONDS)
    assert stopped.text.startswith("You will get no more messages here")
    lines = await lab.rows(coach.tenant, "select change from consent order by id")
    assert [line.change for line in lines] == ["paused", "withdrawn"]


@pytest.mark.parametrize("has_template", [False, True])
async def test_outside_the_window_a_template_is_the_only_way(
    lab: LabHouse, twilio: FakeTwilio, has_template: bool
) -> None:
    config = {"content_sid": TEMPLATE} if has_template else {}
    coach, account = await connect(lab, twilio, **config)
    where: dict[str, Any] = {"person": PERSON, "to": SENDER, "account": account}
    await twilio.ask("Hello", **where, seconds=SECONDS)
    assert (await post(lab, coach, "A *thought*\n\nfor today."))[0] == "delivered"
    account.last_heard[SENDER, PERSON] = datetime.now(UTC) - timedelta(hours=25)
    if has_template:
        twilio.faults.next(1, Mode.REJECTED, method="Messages.create", code=63016)
        report, _ = await post(lab, coach, "A *thought*\n\nfor tomorrow.")
        assert report == "delivered"
        assert twilio.ledger.visible(PERSON)[-1] == (
            "News from your coach: A thought for tomorrow."
        )
    else:
        report, problem = await post(lab, coach, "A *thought*\n\nfor tomorrow.")
        assert report == "failed"
        assert problem.startswith("63016: outside WhatsApp's 24-hour window")
        assert (await lab.find(coach)).state == "active"
    answer = await twilio.ask("I am back", **where, seconds=SECONDS)
    assert answer.text == "re: I am back", "the window is open again"


async def test_a_messaging_service_is_called_at_its_own_address_and_answers_from_its_pool(
    lab: LabHouse, twilio: FakeTwilio
) -> None:
    service = twilio.add_service(twilio.account, has_advanced_opt_out=True)
    coach = await lab.connect_sms(await lab.add_tenant(), twilio, messaging_service_sid=service.sid)
    assert service.inbound_request_url.startswith(coach.inbound_url)
    answer = await twilio.ask("How?", seconds=SECONDS)
    assert answer.text == "re: How?"
    twilio.faults.next(1, Mode.CUT_AFTER_ACCEPT, method="Messages.create")
    twilio.progress = ()
    await twilio.ask("Again?", seconds=SECONDS)
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    thread = answer.thread
    asked = [Asked(thread, "How?"), Asked(thread, "Again?")]
    assert twilio.ledger.judge(asked).is_perfect
    await twilio.say("HELP")
    await twilio.say("stop")
    query = "select change from consent"
    await until(lambda: _has_rows(lab, coach, query), seconds=SECONDS)
    await until(lambda: lab.is_idle(coach.tenant), seconds=SECONDS)
    assert len(twilio.ledger.accepted) == 2, "Advanced Opt-Out has said all that is to be said"


async def _has_rows(lab: LabHouse, coach: LabConnection[Account], query: str) -> bool:
    return bool(await lab.rows(coach.tenant, query))
