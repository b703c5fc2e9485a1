"""An erasure: proven table by table, asked for twice, never undone from outside."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from coachline.conversation import HOLDINGS, ErasureNotFound
from coachline.foundation.database import Database
from coachline.foundation.engine import RetryLater
from coachline.foundation.ids import LearnerId, TenantId, new_id
from coachline.foundation.redis import open_redis
from coachline.learners import LearnerNotFound
from coachline.messaging import LiveConnection
from fixtures.scripted_channel import event
from fixtures.tenant_state import read_state
from integration.conversation.conftest import Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]
SECRET = "quokka-secret-of-mine"


async def link(stage: Stage, live: LiveConnection, other: LiveConnection) -> LearnerId:
    """Have ann of one connection and ann of another be one learner, with everything there is."""
    await stage.hear(live, text=f"my {SECRET}", raw={"said": SECRET})
    (told,) = await stage.hear(live, text="/link")
    code = told.text.split("LINK ")[1][:8]
    await stage.hear(other, text=f"link {code}")
    await stage.hear(other, text=f"the other {SECRET}")
    await stage.remember(live, f"Has a {SECRET}.")
    for where in (live, other):
        await stage.deliver(where)
    learner_id = await stage.learner_id(live)
    await stage.name(live.tenant_id, learner_id, f"Ann {SECRET}")
    return learner_id


async def erase(stage: Stage, tenant_id: TenantId, learner_id: LearnerId) -> dict[str, Any]:
    """Have a learner erased with both looks; the proof by table."""
    await stage.erasure.ask(tenant_id, learner_id, actor="key:1")
    asked_at = stage.clock.now()
    for round_ in ("1", "2"):
        await stage.erasure.run(tenant_id, learner_id, asked_at=asked_at, round_=round_)
    asked = await stage.erasure.ask(tenant_id, learner_id, actor="key:2")
    assert (asked.state, asked.actor) == ("proven", "key:1"), "who asks again changes nothing"
    return {line["table"]: line for line in asked.report["tables"]} | {"whole": asked.report}


async def count_by_walk(database: Database, tenant_id: TenantId, learner_id: LearnerId) -> Any:
    """Rows of a learner by table, counted without the list: along the foreign keys only."""
    edges = (
        "select c.conrelid::regclass::text as child, c.confrelid::regclass::text as parent, "
        "(select a.attname from pg_attribute a where a.attrelid = c.conrelid "
        " and a.attnum = any (c.conkey) and a.attname <> 'tenant_id' limit 1) as by "
        "from pg_constraint c where c.contype = 'f' and c.conrelid <> c.confrelid"
    )
    async with database.tenant(tenant_id) as session:
        keys = [tuple(row) for row in await session.execute(text(edges)) if row[2] is not None]
        found: dict[str, set[Any]] = {"learner": {learner_id}}
        while True:
            before = sum(map(len, found.values()))
            for child, parent, by in keys:
                ids = list(found.get(parent, ()))
                rows = await session.scalars(
                    text(f"select id from {child} where {by} = any (:ids)"),  # noqa: S608 (names of the catalogue)
                    {"ids": ids},
                )
                found.setdefault(child, set()).update(rows)
            if sum(map(len, found.values())) == before:
                return {table: len(ids) for table, ids in found.items() if ids}


async def test_an_export_holds_every_row_that_the_foreign_keys_lead_to(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.hear(live, text="I run")
    await stage.hear(live, text="stop")
    await stage.remember(live, "They run.")
    await stage.hear(live, text="/link")
    await stage.hear(live, sender="bob", text="Bob is somebody else")
    learner_id = await stage.learner_id(live)
    everything = await stage.export.read(tenants[0], learner_id, now=stage.clock.now())
    exported = {table: len(rows) for table, rows in everything.tables.items()}
    walked = await count_by_walk(stage.database, tenants[0], learner_id)
    assert len(walked) >= 8
    assert {table: exported[table] for table in walked} == walked
    assert exported == await stage.export.count(tenants[0], learner_id)
    assert set(exported) == {holding.table for holding in HOLDINGS}
    assert "somebody else" not in str(everything)
    assert "tenant_id" not in everything.tables["inbox_event"][0]


async def test_an_export_goes_on_past_a_page(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0])
    await stage.talk(live, "Hello")
    row = await stage.row(live)
    async with stage.database.tenant(tenants[0]) as session:
        await session.execute(
            text(
                "insert into inbox_event (tenant_id, id, connection_id, conversation_id, "
                "external_id, kind, text, occurred_at, seq, state) "
                "select app_tenant(), gen_random_uuid(), :c, :v, 'x' || n, 'message', 'n' || n, "
                "now(), 1000 + n, 'answered' from generate_series(1, 1200) n"
            ),
            {"c": live.id, "v": row["id"]},
        )
    learner_id = await stage.learner_id(live)
    everything = await stage.export.read(tenants[0], learner_id, now=stage.clock.now())
    assert len({one["id"] for one in everything.tables["inbox_event"]}) == 1_201


async def test_a_proof_tells_table_by_table_what_was_found_and_what_became_of_it(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    other = await stage.connect(tenants[0], "texting")
    learner_id = await link(stage, live, other)
    before = await stage.export.count(tenants[0], learner_id)
    assert (before["identity"], before["conversation"], before["learner"]) == (2, 2, 2)
    proof = await erase(stage, tenants[0], learner_id)
    for table in ("learner", "identity", "conversation", "inbox_event", "outbox_reply", "turn"):
        assert proof[table]["found"] == before[table], table
        assert proof[table]["kept"] == before[table]
    assert proof["inbox_event"]["overwritten"] == before["inbox_event"]
    assert proof["outbox_reply"]["overwritten"] == before["outbox_reply"]
    assert proof["conversation_summary"]["removed"] == 1
    assert (proof["tombstone"]["found"], proof["erasure"]["found"]) == (2, 1)
    whole = proof["whole"]
    assert (whole["looks"], whole["vectors"]["hits"]) == (2, 0)
    assert whole["vectors"]["words"] >= 6
    assert whole["vectors"]["bytes"] > 0
    assert whole["caches"]["is_reachable"] is True
    assert SECRET not in str(whole)
    assert SECRET not in str(await stage.export.read(tenants[0], learner_id, now=datetime.now()))  # noqa: DTZ005 (any moment)


async def test_nothing_of_anybody_else_changes_and_a_second_time_changes_nothing(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    other = await stage.connect(tenants[0], "texting")
    foreign = await stage.connect(tenants[1], "buttons")
    await stage.talk(live, f"bob's {SECRET}", sender="bob")
    await stage.talk(foreign, f"my {SECRET}")
    learner_id = await link(stage, live, other)
    bob = LearnerId((await stage.row(live, "bob"))["learner_id"])
    theirs = await read_state(stage.database, str(tenants[1]))
    bobs = await stage.export.read(tenants[0], bob, now=stage.clock.now())
    await erase(stage, tenants[0], learner_id)
    assert await read_state(stage.database, str(tenants[1])) == theirs
    assert await stage.export.read(tenants[0], bob, now=stage.clock.now()) == bobs
    mine = dict(await read_state(stage.database, str(tenants[0])))
    await stage.erasure.ask(tenants[0], learner_id, actor="key:3")
    assert await read_state(stage.database, str(tenants[0])) == mine


async def test_an_erasure_that_was_killed_is_ended_by_the_next_run(
    stage: Stage, tenants: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    other = await stage.connect(tenants[0], "texting")
    learner_id = await link(stage, live, other)
    asked = await stage.erasure.ask(tenants[0], learner_id, actor="cli")

    class KilledError(Exception):
        """The process ended here."""

    async def die(*_: object, **__: object) -> None:
        raise KilledError

    now = stage.clock.now()
    for where in ("coachline.foundation.holdings.Holdings._erase",):
        with monkeypatch.context() as patch:
            patch.setattr(where, die)
            with pytest.raises(KilledError):
                await stage.erasure.run(tenants[0], learner_id, asked_at=now, round_="1")
    assert (await stage.erasure.get(tenants[0], asked.id)).state == "asked"
    with monkeypatch.context() as patch:
        patch.setattr("coachline.conversation.erasure_traces.ErasureTraces.look", die)
        with pytest.raises(KilledError):
            await stage.erasure.run(tenants[0], learner_id, asked_at=now, round_="1")
    found = await stage.erasure.get(tenants[0], asked.id)
    assert (found.state, "vectors" in found.report) == ("erased", False)
    await stage.erasure.run(tenants[0], learner_id, asked_at=now, round_="1")
    await stage.erasure.run(tenants[0], learner_id, asked_at=now, round_="2")
    found = await stage.erasure.get(tenants[0], asked.id)
    assert (found.state, found.report["looks"]) == ("proven", 3)
    assert found.report["vectors"]["hits"] == 0


async def test_what_was_said_before_an_erasure_is_not_taken_in_again_by_any_id(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    foreign = await stage.connect(tenants[1], "buttons")
    await stage.talk(live, f"my {SECRET}")
    await stage.deliver(live)
    learner_id = await stage.learner_id(live)
    await erase(stage, tenants[0], learner_id)
    old = event("never-seen", "ann", f"older {SECRET}")
    old = old.model_copy(update={"occurred_at": old.occurred_at - timedelta(hours=1)})
    accepted = await stage.intake.accept(live, [old])
    assert (accepted.events, accepted.dropped) == ((), 1)
    async with stage.database.tenant(tenants[0]) as session:
        count = "select count(*) from identity where sender = 'ann'"
        assert await session.scalar(text(count)) == 0, "not even who said it"
    await stage.talk(live, "I am back")
    accepted = await stage.intake.accept(live, [old.model_copy(update={"external_id": "again"})])
    assert (accepted.events, accepted.duplicates) == ((), 1)
    assert len((await stage.intake.accept(foreign, [old])).events) == 1, "another tenant's ann"
    texts = [message.text for message in await stage.messages(live)]
    assert texts[0] == "I am back"


async def test_an_erasure_waits_for_a_reply_that_is_under_way(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.say(live, f"my {SECRET}")
    turn = await stage.begin(live)
    learner_id = await stage.learner_id(live)
    await stage.erasure.ask(tenants[0], learner_id, actor="cli")
    now = stage.clock.now()
    with pytest.raises(RetryLater):
        await stage.erasure.run(tenants[0], learner_id, asked_at=now, round_="1")
    await stage.orchestrator.answer(turn)
    await stage.queue.release(turn.lease)
    with pytest.raises(RetryLater):
        await stage.erasure.run(tenants[0], learner_id, asked_at=now, round_="1")
    await stage.deliver(live)
    await stage.erasure.run(tenants[0], learner_id, asked_at=now, round_="1")
    assert SECRET not in str(await stage.export.read(tenants[0], learner_id, now=now))


async def test_keys_that_name_a_learner_go_and_others_stay(
    stage: Stage, tenants: Two, redis_url: str
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.talk(live, "Hello")
    await stage.deliver(live)
    learner_id = await stage.learner_id(live)
    redis = open_redis(redis_url)
    try:
        mine, pace = f"t:{tenants[0]}:guess:{learner_id}", f"t:{tenants[0]}:pace:{live.id}:chat:ann"
        others = [
            f"t:{tenants[0]}:guess:{new_id()}",
            f"t:{tenants[0]}:pace:{live.id}:chat:annabel",
            f"t:{tenants[1]}:guess:{learner_id}",
        ]
        for key in (mine, pace, *others):
            await redis.set(key, "1", ex=600)
        proof = await erase(stage, tenants[0], learner_id)
        assert await redis.exists(mine, pace) == 0
        assert await redis.exists(*others) == 3
    finally:
        await redis.aclose()
    assert proof["whole"]["caches"]["keys"] >= 2
    assert 500 < proof["whole"]["caches"]["longest_seconds"] <= 600


async def test_readers_of_the_feed_are_told_once_when_all_is_overwritten(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.talk(live, "Hello")
    await stage.deliver(live)
    learner_id = await stage.learner_id(live)
    await erase(stage, tenants[0], learner_id)
    async with stage.database.tenant(tenants[0]) as session:
        rows = await session.execute(
            text("select learner_id, data::text from feed_event where type = 'learner.erased'")
        )
        assert [tuple(row) for row in rows] == [(learner_id, "{}")]


async def test_a_learner_or_an_erasure_of_another_tenant_is_like_none(
    stage: Stage, tenants: Two
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    await stage.talk(live, "Hello")
    learner_id = await stage.learner_id(live)
    with pytest.raises(LearnerNotFound):
        await stage.erasure.ask(tenants[1], learner_id, actor="cli")
    with pytest.raises(LearnerNotFound):
        await stage.export.count(tenants[1], learner_id)
    asked = await stage.erasure.ask(tenants[0], learner_id, actor="cli")
    with pytest.raises(ErasureNotFound):
        await stage.erasure.get(tenants[1], asked.id)
