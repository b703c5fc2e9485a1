"""What is kept, having it all, and being forgotten everywhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Text, cast, func, select, text
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table

from channel_kit import Attachment, EventKind
from coachline.foundation.engine import RetryLater
from coachline.foundation.ids import LearnerId, TenantId
from coachline.learners import Standing
from coachline.messaging import LiveConnection
from fixtures.scripted_channel import event
from integration.conversation.conftest import Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


async def rows_with(stage: Stage, tenant_id: TenantId, canary: str) -> list[str]:
    """Every column of every tenant table that holds the canary, by a search of its text."""
    found: list[str] = []
    async with stage.database.tenant(tenant_id) as session:
        tables = await session.scalars(
            text(
                "select relation.relname from pg_class relation "
                "join pg_attribute attribute on attribute.attrelid = relation.oid "
                "where attribute.attname = 'tenant_id' and relation.relkind = 'r' "
                "and has_table_privilege(relation.oid, 'select')"
            )
        )
        for table in tables.all():
            held = (
                select(func.count())
                .select_from(sql_table(table))
                .where(cast(sql_column(table), Text).icontains(canary, autoescape=True))
            )
            found += [table] * (await session.scalar(held) or 0)
    return found


async def test_mydata_tells_what_is_kept(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "texting")
    await stage.talk(live, "Hi")
    (told,) = await stage.hear(live, text="mydata")
    assert "2 messages from you" in told.text
    assert "Texting" in told.text
    assert "FORGET" in told.text


async def test_forgetting_needs_the_question_of_the_last_minutes(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "texting")
    before = None
    (asked,) = await stage.hear(live, text="/forget yes")
    before = await stage.learner_id(live)
    assert [choice.value for choice in asked.choices] == ["/forget yes", "/forget no"]
    (kept,) = await stage.hear(live, text="2")
    assert "stays" in kept.text
    late = datetime.now(UTC) + timedelta(minutes=11)
    (again,) = await stage.hear(live, text="forget yes", occurred_at=late)
    assert again.choices
    assert await stage.learner_id(live) == before


async def test_nothing_of_a_forgotten_learner_is_left_and_the_next_message_begins_anew(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    other = await stage.connect(tenants[0], "texting")
    sender = "zanzibar-sender"
    stage.ollama.reply = "The zanzibar answer."
    await stage.hear(
        live,
        sender=sender,
        external_id="m1",
        text="my zanzibar secret",
        raw={"text": "zanzibar"},
        attachments=(Attachment(kind="photo", reference="zanzibar", name="zanzibar.jpg"),),
    )
    await stage.remember(live, "They love zanzibar.", sender=sender)
    (told,) = await stage.hear(live, sender=sender, text="/link")
    found = re.search(r"LINK ([A-Z0-9]{8})", told.text)
    assert found is not None
    await stage.hear(other, sender="zanzibar-two", text=f"link {found[1]}")
    await stage.deliver(live, sender)
    await stage.deliver(other, "zanzibar-two")
    forgotten = LearnerId((await stage.row(live, sender))["learner_id"])
    await stage.name(tenants[0], forgotten, "Zanzibar Jones")
    assert len(await rows_with(stage, tenants[0], "zanzibar")) > 6

    await stage.hear(live, sender=sender, text="/forget")
    row = await stage.row(live, sender)
    (gone,) = await stage.hear(live, sender=sender, kind=EventKind.BUTTON, text="/forget yes")
    assert "erased" in gone.text
    now = stage.clock.now()
    with pytest.raises(RetryLater):
        await stage.erasure.run(tenants[0], forgotten, asked_at=now, round_="1")
    await stage.deliver(live, sender)
    await stage.erasure.run(tenants[0], forgotten, asked_at=now, round_="1")
    await stage.erasure.run(tenants[0], forgotten, asked_at=now, round_="2")
    assert await rows_with(stage, tenants[0], "zanzibar") == []

    stage.ollama.reply = "Hello."
    await stage.hear(live, sender=sender, external_id="m2", text="Hi again")
    fresh = await stage.row(live, sender)
    assert fresh["learner_id"] != forgotten
    assert fresh["id"] != row["id"]
    await stage.take(live, sender=sender, external_id="m1", text="my zanzibar secret")
    assert await rows_with(stage, tenants[0], "my zanzibar secret") == []


async def test_an_erasure_waits_an_hour_at_most(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.hear(live, text="my zanzibar secret")
    learner_id = await stage.learner_id(live)
    asked_at = stage.clock.now() - timedelta(hours=1)
    await stage.erasure.run(tenants[0], learner_id, asked_at=asked_at, round_="1")
    assert await rows_with(stage, tenants[0], "zanzibar") == []


async def test_a_lost_erasure_is_taken_up_again(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.hear(live, text="/forget")
    learner_id = await stage.learner_id(live)
    await stage.hear(live, kind=EventKind.BUTTON, text="/forget yes")
    async with stage.database.tenant(tenants[0]) as session:
        before = await session.scalar(text("select count(*) from pgqueuer"))
    await stage.erasure.sweep(tenants[0])
    async with stage.database.tenant(tenants[0]) as session:
        # The job waits already: a key lets no second one in.
        assert await session.scalar(text("select count(*) from pgqueuer")) == before
    await stage.deliver(live)
    await stage.erasure.run(tenants[0], learner_id, asked_at=stage.clock.now(), round_="2")
    async with stage.database.tenant(tenants[0]) as session:
        thread = await session.scalar(
            text("select thread from conversation where learner_id = :l"), {"l": learner_id}
        )
    assert thread.startswith("erased:")


async def test_another_learner_and_another_tenant_keep_everything(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    foreign = await stage.connect(tenants[1], "buttons")
    for where in (live, foreign):
        await stage.hear(where, sender="bob", text="bob likes quokkas")
    await stage.hear(live, text="ann likes quokkas too")
    learner_id = await stage.learner_id(live)
    kept = await stage.messages(live, "bob")
    asked_at = stage.clock.now() - timedelta(hours=2)
    await stage.erasure.run(tenants[0], learner_id, asked_at=asked_at, round_="1")
    assert await stage.messages(live, "bob") == kept
    assert (await stage.messages(foreign, "bob"))[0].text == "bob likes quokkas"


async def test_everything_kept_can_be_handed_over(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    stage.ollama.reply = "Good."
    await stage.hear(live, text="I run")
    await stage.remember(live, "They run.")
    learner_id = await stage.learner_id(live)
    everything = await stage.export.read(tenants[0], learner_id, now=stage.clock.now())
    (talk,) = everything.talks
    assert [message.text for message in talk.messages] == ["I run", "Good."]
    assert talk.summary == "They run."
    assert everything.kept.learner.id == learner_id


async def forget(stage: Stage, live: LiveConnection, sender: str) -> None:
    """Have the sender's learner forgotten and erased."""
    learner_id = LearnerId((await stage.row(live, sender))["learner_id"])
    async with stage.database.tenant(live.tenant_id) as session:
        await stage.erasure.request(session, learner_id, actor="test")
    asked_at = stage.clock.now() - timedelta(hours=2)
    await stage.erasure.run(live.tenant_id, learner_id, asked_at=asked_at, round_="1")


async def standing_of(stage: Stage, live: LiveConnection, sender: str) -> Standing:
    """What holds for the learner that the sender is now."""
    learner_id = LearnerId((await stage.row(live, sender))["learner_id"])
    async with stage.database.tenant(live.tenant_id) as session:
        return await stage.consent.standing(session, learner_id, live.id)


async def test_who_wanted_no_messages_wants_none_after_being_forgotten_either(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "texting")
    other = await stage.connect(tenants[0], "texting")
    foreign = await stage.connect(tenants[1], "texting")
    everybody = [(live, "zanzibar"), (live, "bob"), (other, "zanzibar"), (foreign, "zanzibar")]
    await stage.hear(live, sender="zanzibar", text="stop")
    for where, who in everybody[1:]:
        await stage.hear(where, sender=who, text="Hi")
    for where, who in everybody:
        await forget(stage, where, who)
    assert await rows_with(stage, tenants[0], "zanzibar") == [], "nobody can read who it was"
    for where, who in everybody:
        await stage.hear(where, sender=who, text="Hello, I am new")
    for where, who in everybody[1:]:
        assert (await standing_of(stage, where, who)).is_allowed
    standing = await standing_of(stage, live, "zanzibar")
    assert (standing.is_allowed, standing.reason) == (False, "withdrawn (stop)")
    await forget(stage, live, "zanzibar")
    await stage.hear(live, sender="zanzibar", text="start")
    assert (await standing_of(stage, live, "zanzibar")).is_allowed, "they took it back"
    await forget(stage, live, "zanzibar")
    await stage.hear(live, sender="zanzibar", text="Once more")
    assert (await standing_of(stage, live, "zanzibar")).is_allowed


async def test_a_block_outlives_being_forgotten_until_it_is_lifted(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "texting")
    await stage.hear(live, sender="zanzibar", kind=EventKind.CONSENT, consent="blocked")
    await forget(stage, live, "zanzibar")
    await stage.hear(live, sender="zanzibar", kind=EventKind.CONSENT, consent="blocked")
    standing = await standing_of(stage, live, "zanzibar")
    assert (standing.is_allowed, standing.reason) == (False, "withdrawn (blocked)")
    await forget(stage, live, "zanzibar")
    await stage.hear(live, sender="zanzibar", kind=EventKind.CONSENT, consent="unblocked")
    assert (await standing_of(stage, live, "zanzibar")).is_allowed
    await forget(stage, live, "zanzibar")
    await stage.hear(live, sender="zanzibar", text="Once more")
    assert (await standing_of(stage, live, "zanzibar")).is_allowed, "no mark is left"


async def test_who_stopped_and_was_forgotten_stays_so_through_a_block(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "texting")
    await stage.hear(live, sender="zanzibar", text="stop")
    await forget(stage, live, "zanzibar")
    for word in ("blocked", "unblocked"):
        await stage.hear(live, sender="zanzibar", kind=EventKind.CONSENT, consent=word)
    standing = await standing_of(stage, live, "zanzibar")
    assert (standing.is_allowed, standing.reason) == (False, "withdrawn (stop)")


async def test_an_erased_message_that_comes_again_is_known_without_its_id(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.hear(live, external_id="m:12345:1", text="my secret")
    learner_id = await stage.learner_id(live)
    await stage.deliver(live)
    asked_at = stage.clock.now() - timedelta(hours=2)
    await stage.erasure.run(tenants[0], learner_id, asked_at=asked_at, round_="1")
    assert await rows_with(stage, tenants[0], "12345") == []
    known = await stage.intake.accept(
        live, [event("m:12345:1", "ann", "my secret"), event("m:12345:2", "ann", "new")]
    )
    assert (len(known.events), known.duplicates) == (1, 1)
    assert await rows_with(stage, tenants[0], "my secret") == []
