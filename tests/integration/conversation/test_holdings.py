"""No table, of whatever migration, holds something of a learner that nobody exports and erases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from coachline.conversation import FREE_OF_LEARNERS, HOLDINGS
from coachline.conversation.holdings import NAMES
from coachline.foundation.database import Database, TenantSession, driver_connection
from coachline.foundation.holdings import Holding, find_untreated
from coachline.foundation.ids import TenantId, new_id
from conftest import Servers

pytestmark = pytest.mark.integration


@pytest.fixture
async def owner(servers: Servers) -> AsyncIterator[TenantSession]:
    """The owner of the schema, whose changes are all undone."""
    database = Database(servers.owner_url, servers.owner_url, pool_size=1)
    try:
        async with database.tenant(TenantId(new_id())) as session:
            yield session
            await session.rollback()
    finally:
        await database.close()


async def untreated(
    session: TenantSession,
    holdings: tuple[Holding, ...] = HOLDINGS,
    free: Mapping[str, str] = FREE_OF_LEARNERS,
) -> list[str]:
    return await find_untreated(session, holdings, free, NAMES)


async def test_every_table_and_every_column_that_can_hold_words_is_treated(
    owner: TenantSession,
) -> None:
    assert await untreated(owner) == []


def test_every_table_says_what_stays_and_why() -> None:
    assert all(holding.why for holding in HOLDINGS)
    assert all(FREE_OF_LEARNERS.values())


_PLANTED = """
create table planted (tenant_id uuid not null, id uuid not null, {}, primary key (tenant_id, id));
alter table planted enable row level security;
"""
_OF_TURN = "foreign key (tenant_id, of_turn) references turn (tenant_id, id)"


@pytest.mark.parametrize(
    "columns",
    [
        "n integer",
        "learner_id uuid",
        "conversation_id uuid not null, note text",
        f"of_turn uuid, {_OF_TURN}",
    ],
)
async def test_a_table_that_nobody_told_of_is_found(owner: TenantSession, columns: str) -> None:
    await run(owner, _PLANTED.format(columns))
    assert await untreated(owner) == ["planted: unknown"]


@pytest.mark.parametrize(
    "columns",
    ["conversation_id uuid", f"of_turn uuid, {_OF_TURN}", "inbox_event_id uuid", "reply_id uuid"],
)
async def test_a_table_that_only_seems_free_of_learners_is_found(
    owner: TenantSession, columns: str
) -> None:
    await run(owner, _PLANTED.format(columns))
    free = {**FREE_OF_LEARNERS, "planted": "nothing"}
    assert await untreated(owner, free=free) == ["planted: is not free, the walk reaches it"]


async def test_a_table_that_hangs_on_one_of_those_is_found(owner: TenantSession) -> None:
    await run(owner, _PLANTED.format("summary_id uuid, conversation_summary_id uuid"))
    free = {**FREE_OF_LEARNERS, "planted": "nothing"}
    assert await untreated(owner, free=free) == ["planted: is not free, the walk reaches it"]


async def test_a_new_column_that_can_hold_words_is_found(owner: TenantSession) -> None:
    await run(owner, "alter table turn add quoted text, add seen integer, add parts jsonb")
    assert await untreated(owner) == [
        "turn.parts: what becomes of it?",
        "turn.quoted: what becomes of it?",
    ]


async def test_a_second_way_to_a_learner_is_found_where_the_first_may_be_empty(
    owner: TenantSession,
) -> None:
    await run(owner, _PLANTED.format("conversation_id uuid, learner_id uuid"))
    planted = Holding("planted", links={"conversation_id": "conversation"}, why="ids")
    assert await untreated(owner, (*HOLDINGS, planted)) == [
        "planted.learner_id: may be the only way"
    ]
    both = {"conversation_id": "conversation", "learner_id": "learner"}
    assert await untreated(owner, (*HOLDINGS, replace(planted, links=both))) == []
    await run(owner, "alter table planted alter conversation_id set not null")
    assert await untreated(owner, (*HOLDINGS, planted)) == []


async def test_what_the_list_says_of_nothing_is_found(owner: TenantSession) -> None:
    assert await untreated(owner, (*HOLDINGS, Holding("planted"))) == ["planted: there is none"]
    await run(owner, _PLANTED.format("learner_id uuid not null"))
    wrong = Holding("planted", links=MappingProxyType({"owner_id": "learner"}))
    assert "planted.owner_id: leads nowhere" in await untreated(owner, (*HOLDINGS, wrong))


async def run(session: TenantSession, statements: str) -> None:
    await (await driver_connection(session)).execute(statements)
