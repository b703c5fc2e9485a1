"""Forgetting, asked for by SMS or on Telegram: nothing is left, and the next message is new."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Text, cast, func, select, text
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table

from coachline.conversation.repository import ConversationMemory
from coachline.foundation.ids import ConversationId
from coachline.foundation.redis import open_redis
from coachline_lab.telegram import FakeTelegram
from coachline_lab.twilio import PERSON, FakeTwilio, File
from fixtures.lab_house import SECONDS, LabHouse, LabTenant
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

CANARY = "zanzibar"
# The digits of a short one stand by chance in what is sealed.
LONG_ID = 7_340_551_928
PACE: dict[str, Any] = {"segments_per_second": 100.0, "burst_segments": 100.0}


async def tables_with(lab: LabHouse, tenant: LabTenant, canary: str) -> list[str]:
    """Every table of the tenant that holds the canary in any column, as text or as its bytes."""
    found: list[str] = []
    async with lab.house.services.database.tenant(tenant.id) as session:
        tables = await session.scalars(
            text(
                "select relation.relname from pg_class relation "
                "join pg_attribute attribute on attribute.attrelid = relation.oid "
                "where attribute.attname = 'tenant_id' and relation.relkind = 'r' "
                "and has_table_privilege(relation.oid, 'select')"
            )
        )
        for name in tables.all():
            row = cast(sql_column(name), Text)
            is_held = row.icontains(canary, autoescape=True) | row.contains(canary.encode().hex())
            held = select(func.count()).select_from(sql_table(name)).where(is_held)
            found += [name] * (await session.scalar(held) or 0)
    return found


async def keys_with(lab: LabHouse, canary: str) -> list[str]:
    """Every key of Valkey that holds the canary, in its name or in what is kept under it."""
    redis = open_redis(lab.house.valkey.url)
    try:
        found: list[str] = []
        async for key in redis.scan_iter():
            dumped = await redis.dump(key) or b""
            if canary in str(key) or canary.encode() in dumped:
                found.append(str(key))
        return found
    finally:
        await redis.aclose()


async def wait_forgotten(lab: LabHouse, trace: str) -> None:
    """Return when Valkey holds it no more: a rate goes by itself when its bucket is full again."""

    async def is_forgotten() -> bool:
        return not await keys_with(lab, trace)

    await until(is_forgotten, seconds=SECONDS)


async def summarise_all(lab: LabHouse, tenant: LabTenant) -> None:
    """Let a memory be kept of every conversation, as of long ones."""
    for row in await lab.rows(tenant, "select id from conversation"):
        async with lab.house.services.database.tenant(tenant.id) as session:
            await ConversationMemory().save_summary(
                session, ConversationId(row.id), upto_seq=1, text=f"Loves {CANARY}.", model="m"
            )


async def test_forgetting_by_sms_leaves_nothing_anywhere_and_begins_anew(
    lab: LabHouse, twilio: FakeTwilio, telegram: FakeTelegram
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_sms(tenant, twilio, **PACE)
    bot = await lab.connect_telegram(tenant, telegram)
    person = telegram.add_user(f"{CANARY} Jones", id=LONG_ID)
    lab.model.reply = f"The {CANARY} answer."

    async def chat(words: str) -> str:
        return (await telegram.ask(words, user=person, bot=bot.account, seconds=SECONDS)).text

    async def texted(words: str, *files: File) -> str:
        return (await twilio.ask(words, files=files, seconds=SECONDS)).text

    await chat(f"my {CANARY} secret")
    await texted(f"another {CANARY}", File(f"{CANARY} diary".encode(), "text/plain"))
    found = re.search(r"/link ([A-Z0-9]{8})", await chat("/link"))
    assert found is not None
    await texted(f"link {found[1]}")
    await texted("1")
    await summarise_all(lab, tenant)
    assert len(await tables_with(lab, tenant, CANARY)) >= 8
    assert await tables_with(lab, tenant, PERSON)

    before = await lab.rows(tenant, "select id, learner_id from conversation")
    asked = await texted("forget")
    assert "FORGET YES" in asked
    assert await texted("forget yes") == (
        "Everything about you is being erased now. If you write again, we begin anew."
    )

    async def is_erased() -> bool:
        return not await tables_with(lab, tenant, CANARY)

    await until(is_erased, seconds=SECONDS)
    await twilio.settle()
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    for trace in (CANARY, PERSON, str(person.id)):
        assert await tables_with(lab, tenant, trace) == [], "no address of theirs either"
        await wait_forgotten(lab, trace)

    lab.model.reply = "Hello."
    assert await texted("Hi again") == "Hello."
    prompt = "\n".join(message["content"] for message in lab.model.chats[-1].messages)
    assert CANARY not in prompt
    query = "select id, learner_id from conversation where thread = :t"
    (fresh,) = await lab.rows(tenant, query, t=PERSON)
    assert fresh.id not in {row.id for row in before}
    assert fresh.learner_id not in {row.learner_id for row in before}


async def test_forgetting_on_telegram_needs_the_button_and_spares_everybody_else(
    lab: LabHouse, twilio: FakeTwilio, telegram: FakeTelegram
) -> None:
    tenant, other = await lab.add_tenant(), await lab.add_tenant()
    bot = await lab.connect_telegram(tenant, telegram)
    foreign = await lab.connect_telegram(other, telegram)
    for user, coach in ((7, bot), (8, bot), (7, foreign)):
        await telegram.ask(f"{CANARY} {user}", user=user, bot=coach.account, seconds=SECONDS)
    kept = len(await tables_with(lab, other, CANARY))

    async def press(label: str) -> str:
        place = telegram.ledger.place
        await telegram.press(label, user=7, bot=bot.account)
        return (await telegram.wait_for_answer("7", after=place, seconds=SECONDS)).text

    asked = await telegram.ask("/forget", user=7, bot=bot.account, seconds=SECONDS)
    assert "Shall I forget everything" in asked.text
    assert await press("No") == "Good, everything stays as it is."
    assert len(await tables_with(lab, tenant, f"{CANARY} 7")) > 0
    await telegram.ask("/forget", user=7, bot=bot.account, seconds=SECONDS)
    assert (await press("Yes, forget everything")).startswith("Everything about you")

    async def is_erased() -> bool:
        return not await tables_with(lab, tenant, f"{CANARY} 7")

    await until(is_erased, seconds=SECONDS)
    assert await tables_with(lab, tenant, f"{CANARY} 8")
    assert len(await tables_with(lab, other, CANARY)) == kept
    again = await telegram.ask("Hi", user=7, bot=bot.account, seconds=SECONDS)
    assert again.text == "re: Hi"
