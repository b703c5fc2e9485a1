"""Files that come along, and the token that opens them, which is shown nowhere."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import text

from coachline.foundation.logs import configure_logs
from coachline_lab import Mode
from coachline_lab.telegram import FakeTelegram
from fixtures.lab_house import SECONDS, LabHouse, LabTenant
from fixtures.tenant_state import read_state
from fixtures.waiting import until

pytestmark = pytest.mark.e2e


async def test_a_text_file_reaches_the_model(lab: LabHouse, telegram: FakeTelegram) -> None:
    await lab.connect_telegram(await lab.add_tenant(), telegram)
    notes = "Monday: ran. Tuesday: rested \N{RUNNER}.".encode()
    said = await telegram.media.send_document(
        notes, name="log.txt", mime_type="text/plain", caption="My week", user=7
    )
    answer = await telegram.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    assert answer.text == "re: My week"
    prompt = lab.model.chats[-1].messages[-1]["content"]
    assert '<file name="log.txt">\nMonday: ran. Tuesday: rested \N{RUNNER}.\n</file>' in prompt
    assert prompt.endswith("My week")


@pytest.mark.parametrize("fault", [Mode.NONE, Mode.HTML_ERROR])
async def test_a_file_that_cannot_be_had_is_said_to_be_unseen(
    lab: LabHouse, telegram: FakeTelegram, fault: Mode
) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    data = bytes((20 << 20) + 1) if fault is Mode.NONE else b"words"
    telegram.faults.next(3, fault, method="file")
    said = await telegram.media.send_document(
        data, name="big.txt", mime_type="text/plain", caption="Read this", user=7
    )
    answer = await telegram.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    assert "Read this" in answer.text
    assert "[the person sent a document, which you cannot see]" in answer.text
    asked = len(telegram.ledger.calls("getFile"))
    assert asked == (0 if fault is Mode.NONE else 1), "what is too large is not asked for"
    assert (await lab.find(coach)).state == "active"


async def test_what_cannot_be_read_is_told_once(lab: LabHouse, telegram: FakeTelegram) -> None:
    coach = await lab.connect_telegram(await lab.add_tenant(), telegram)
    await telegram.media.send_sticker(user=7)
    answer = await telegram.wait_for_answer("7", seconds=SECONDS)
    assert "text files" in answer.text
    await telegram.media.send_location(user=7)
    await telegram.idle(SECONDS)

    async def is_recorded() -> bool:
        rows = await lab.rows(coach.tenant, "select state from inbox_event order by seq")
        return [row.state for row in rows] == ["recorded", "recorded"]

    await until(is_recorded, seconds=SECONDS)
    assert telegram.ledger.visible("7") == [answer.text]


async def everything_kept(lab: LabHouse, tenant: LabTenant) -> str:
    """All rows of the tenant, as text."""
    database = lab.house.services.database
    tables = await read_state(database, str(tenant.id))
    found: list[Any] = []
    async with database.tenant(tenant.id) as session:
        for table in tables:
            found += await session.scalars(text(f"select t::text from {table} t"))  # noqa: S608 - of the catalogue
    return "\n".join(map(str, found))


async def test_the_token_is_in_no_log_no_row_and_no_answer(
    lab: LabHouse,
    telegram: FakeTelegram,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A command that ran in this process may have left the logs pointing at a closed stream.
    configure_logs("debug", "text")
    caplog.set_level(logging.DEBUG)
    tenant = await lab.add_tenant()
    coach = await lab.connect_telegram(tenant, telegram)
    for mode in (Mode.CUT_BEFORE_ACCEPT, Mode.HTML_ERROR, Mode.SERVER_ERROR, Mode.CUT_AFTER_ACCEPT):
        telegram.faults.next(1, mode, method="sendMessage")
    telegram.faults.next(1, Mode.CUT_BEFORE_ACCEPT, method="getFile")
    telegram.faults.next(2, Mode.CUT_AFTER_ACCEPT, method="file")
    telegram.faults.next(1, Mode.HTML_ERROR, method="editMessageText")
    for user in range(51, 56):
        await telegram.media.send_document(
            b"words", name="a.txt", mime_type="text/plain", caption=f"of {user}", user=user
        )
    for user in range(51, 56):
        await telegram.wait_for_answer(str(user), seconds=SECONDS)
    token = coach.account.token
    telegram.world.bots["1:gone-for-good"] = telegram.world.bots.pop(token)
    await telegram.say("One more", user=51, bot=coach.account)

    async def is_disabled() -> bool:
        return (await lab.find(coach)).state == "disabled"

    await until(is_disabled, seconds=SECONDS)
    printed = "".join(capfd.readouterr()) + caplog.text
    assert "turn.ended" in printed, "the logs are seen at all"
    _, shown = await lab.get(tenant, "/api/v1/connections")
    places = {
        "logs": printed,
        "rows": await everything_kept(lab, tenant),
        "answers": str(shown),
        "platform": str([(call.args, call.outcome) for call in telegram.ledger.calls()]),
    }
    assert "telegram" in places["rows"]
    for secret in (token, token.partition(":")[2], coach.account.webhook.secret):  # type: ignore[union-attr]  # set by connecting
        for place, words in places.items():
            given = (
                words.replace(f"'secret_token': '{secret}'", "") if place == "platform" else words
            )
            assert secret not in given, place
