"""SQL of the conversation row: the lock, the states of the queue, the credit of a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, bindparam, func, select, text, union, update
from sqlalchemy.exc import IntegrityError

from coachline.foundation.database import SystemSession, TenantSession, driver_connection
from coachline.foundation.ids import ConversationId, TenantId, new_id
from coachline.messaging.tables import ConversationRow, EventRow, ReplyRow

# First halves of the key pairs of advisory locks on a tenant's credit.
_CREDIT_LOCK = 0x636F6163
_CLAIM_LOCK = 0x636C6169
# How many conversations with something unsettled one sweep of a tenant looks at.
_MOST_UNSETTLED = 5_000

# Built once: making a statement anew costs more than sending it.
_LOCK = (
    select(ConversationRow)
    .where(ConversationRow.id == bindparam("id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
# A rung row holds credit once it is due, and one that lets somebody finish five seconds earlier:
# else all that write in the same moment would be let in. What is only to be tried again holds none
# until then. Arrivals count alike.
# States stand in the SQL itself: a partial index cannot be proven to fit a parameter, and without
# it a look at a long conversation reads all of it.
_COUNT_RUNNING = "select count(*) from conversation where tenant_id = $1 and state = 'running'"
_COUNT_IN_ENGINE = """
select count(*) from conversation
where tenant_id = $1 and state in ('rung', 'running')
  and (state = 'running' or due_at <= clock_timestamp()
    + case when burst_at is null then interval '0' else interval '5 seconds' end)
"""
# Counted and admitted in one statement: deliveries wait meanwhile.
_ADMIT = f"""
with held as ({_COUNT_IN_ENGINE}), line as (
  select id, due_at as since from conversation where tenant_id = $1 and state = 'waiting'
  order by due_at limit greatest($2 - (select count from held), 0)
  for update skip locked
)
update conversation set state = 'rung', bell = gen_random_uuid(), lease_until = null,
  due_at = greatest(due_at, clock_timestamp())
from line where conversation.tenant_id = $1 and conversation.id = line.id
returning conversation.id, bell, line.since, (select count from held) as in_engine,
  extract(epoch from due_at - clock_timestamp())::float as seconds
"""  # noqa: S608 # nosec B608 - a query above
_HAS_OPEN = """
select exists (select from conversation where tenant_id = $1 and state <> 'idle')
    or exists (select from inbox_event where tenant_id = $1 and state = 'new')
    or exists (select from outbox_reply where tenant_id = $1 and state in ('pending', 'sending'))
"""
_LOCK_ALONE = "select pg_advisory_xact_lock($1, hashtext($2))"
_SHARE = "select pg_advisory_xact_lock_shared($1, hashtext($2))"
_EPOCH = "select epoch from conversation where tenant_id = $1 and id = $2"
_ADD = """
insert into conversation
  (tenant_id, id, connection_id, identity_id, learner_id, thread, is_private)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
"""
_RING = """
update conversation set state = 'rung', bell = $3, lease_until = null,
  due_at = clock_timestamp() + $4::interval
where tenant_id = $1 and id = $2
"""
_WAIT = """
update conversation set state = 'waiting', bell = null, lease_until = null,
  due_at = least(due_at, clock_timestamp() + $3::interval)
where tenant_id = $1 and id = $2
"""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A conversation that left the line: its bell, due in ``after_seconds``.

    ``in_engine`` others hold credit before it.
    """

    conversation_id: ConversationId
    bell: UUID
    after_seconds: float
    in_engine: int


class ConversationRepository:
    """Reads and writes conversation rows; every writer holds the row's lock."""

    async def lock(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> ConversationRow | None:
        """The row, locked until the transaction ends."""
        return await session.scalar(_LOCK, {"id": conversation_id})

    async def add(
        self,
        session: TenantSession,
        *,
        connection_id: UUID,
        identity_id: UUID,
        learner_id: UUID,
        thread: str,
        is_private: bool,
    ) -> None:
        """Make the row of this learner in this thread, unless another transaction just did."""
        driver = await driver_connection(session)
        await driver.execute(
            _ADD,
            session.tenant_id,
            new_id(),
            connection_id,
            identity_id,
            learner_id,
            thread,
            is_private,
        )

    async def ring(
        self,
        session: TenantSession,
        conversation_id: ConversationId,
        bell: UUID,
        *,
        after_seconds: float,
    ) -> None:
        """As :meth:`set_rung`, for a locked row that was not read."""
        driver = await driver_connection(session)
        await driver.execute(
            _RING, session.tenant_id, conversation_id, bell, timedelta(seconds=after_seconds)
        )

    async def wait(
        self, session: TenantSession, conversation_id: ConversationId, *, after_seconds: float
    ) -> None:
        """Put a locked row that was not read in line for its tenant's credit, due by then."""
        driver = await driver_connection(session)
        after = timedelta(seconds=after_seconds)
        await driver.execute(_WAIT, session.tenant_id, conversation_id, after)

    def set_rung(self, row: ConversationRow, bell: UUID, *, after_seconds: float) -> None:
        """Name the one bell that may claim the row, and when."""
        row.state, row.bell, row.lease_until = "rung", bell, None
        row.due_at = func.clock_timestamp() + timedelta(seconds=after_seconds)

    def set_running(self, row: ConversationRow, epoch: int, *, lease_seconds: float) -> None:
        """Give the row to the holder of ``epoch``."""
        row.state, row.epoch, row.burst_at = "running", epoch, None
        row.lease_until = func.clock_timestamp() + timedelta(seconds=lease_seconds)

    def set_waiting(self, row: ConversationRow) -> None:
        """Put the row in line for its tenant's credit, due now."""
        row.state, row.bell, row.lease_until = "waiting", None, None
        row.due_at = func.clock_timestamp()

    def flag(self, row: ConversationRow, *, holds_bot: bool) -> None:
        """Say of a locked row that a coach has to look; ``holds_bot`` only ever adds the hold."""
        if row.attention != "flagged":
            row.attention, row.attention_at = "flagged", func.clock_timestamp()
        row.is_bot_held = row.is_bot_held or holds_bot

    async def renew(
        self, session: TenantSession, conversation_id: ConversationId, epoch: int, seconds: float
    ) -> bool:
        """Prolong the lease of ``epoch``; False when a higher epoch has the conversation."""
        done = await session.scalar(
            update(ConversationRow)
            .where(
                ConversationRow.id == conversation_id,
                ConversationRow.epoch == epoch,
                ConversationRow.state == "running",
            )
            .values(lease_until=func.clock_timestamp() + timedelta(seconds=seconds))
            .returning(ConversationRow.id)
        )
        return done is not None

    async def find_epoch(
        self, session: TenantSession, conversation_id: ConversationId
    ) -> int | None:
        """The epoch as it is committed: higher than a lease's when somebody else has it."""
        driver = await driver_connection(session)
        epoch: int | None = await driver.fetchval(_EPOCH, session.tenant_id, conversation_id)
        return epoch

    async def move(
        self, session: TenantSession, conversation_id: ConversationId, epoch: int, thread: str
    ) -> bool:
        """Give a conversation its new address; False when another one has that, or the lease."""
        try:
            async with session.begin_nested():
                done = await session.scalar(
                    update(ConversationRow)
                    .where(ConversationRow.id == conversation_id, ConversationRow.epoch == epoch)
                    .values(thread=thread)
                    .returning(ConversationRow.id)
                )
        except IntegrityError:
            return False
        return done is not None

    async def now(self, session: TenantSession) -> datetime:
        """The database's clock, read now: the one clock that all holders share."""
        driver = await driver_connection(session)
        now: datetime = await driver.fetchval("select clock_timestamp()")
        return now

    async def lock_credit(self, session: TenantSession) -> None:
        """Let no other transaction of this tenant admit from the line or join it till this ends."""
        driver = await driver_connection(session)
        await driver.execute(_LOCK_ALONE, _CREDIT_LOCK, str(session.tenant_id))

    async def lock_claims(self, session: TenantSession) -> None:
        """Let no other transaction of this tenant claim until this ends; the line goes on."""
        driver = await driver_connection(session)
        await driver.execute(_LOCK_ALONE, _CLAIM_LOCK, str(session.tenant_id))

    async def share_credit(self, session: TenantSession) -> None:
        """Let no other transaction of this tenant admit from the line until this one ends.

        Many may join the line at once; only who admits from it must be alone.
        """
        driver = await driver_connection(session)
        await driver.execute(_SHARE, _CREDIT_LOCK, str(session.tenant_id))

    async def count_in_engine(self, session: TenantSession) -> int:
        """How many conversations hold credit: running, or rung and due, or about to be.

        One that waits for a retry holds none, or a receiver that refuses would stop a tenant.
        """
        driver = await driver_connection(session)
        count: int = await driver.fetchval(_COUNT_IN_ENGINE, session.tenant_id)
        return count

    async def count_running(self, session: TenantSession) -> int:
        """How many conversations are worked on."""
        driver = await driver_connection(session)
        count: int = await driver.fetchval(_COUNT_RUNNING, session.tenant_id)
        return count

    async def admit_waiting(self, session: TenantSession, credit: int) -> list[Admitted]:
        """Ring for those in line that are due first, as many as there is credit for.

        What somebody else is looking at is passed over. The caller has the credit to itself, and
        gives the bells to the engine.
        """
        driver = await driver_connection(session)
        rows = await driver.fetch(_ADMIT, session.tenant_id, credit)
        return [
            Admitted(
                ConversationId(row["id"]),
                row["bell"],
                max(row["seconds"], 0.0),
                row["in_engine"] + at,
            )
            for at, row in enumerate(sorted(rows, key=lambda row: row["since"]))
        ]

    async def has_open(self, session: TenantSession) -> bool:
        """Whether the tenant has anything that is not settled; most have nothing most of the time.

        Only then something may be forgotten, or wait in line.
        """
        driver = await driver_connection(session)
        is_open: bool = await driver.fetchval(_HAS_OPEN, session.tenant_id)
        return is_open

    async def lock_forgotten(
        self, session: TenantSession, *, grace_seconds: float, limit: int
    ) -> list[ConversationRow]:
        """Conversations with work that nothing will look at any more.

        Idle with unsettled rows, or in the engine, overdue, and without a job of their bell.
        """
        late = func.clock_timestamp() - timedelta(seconds=grace_seconds)
        unsettled = union(
            select(EventRow.conversation_id).where(text("inbox_event.state = 'new'")),
            select(ReplyRow.conversation_id).where(
                text(
                    "outbox_reply.state in ('pending', 'sending') and (lane = 'conversation' "
                    "or not_before is null or not_before <= clock_timestamp())"
                )
            ),
        )
        # Asked for first and by themselves: joined, they are looked for in every conversation of a
        # tenant as soon as averages make that seem cheap. Of too many a random lot, so that busy
        # ones never hide a forgotten one for ever.
        some = select(unsettled.subquery()).order_by(func.random()).limit(_MOST_UNSETTLED)
        waiting = list(await session.scalars(some))
        idle = (ConversationRow.state == "idle") & ConversationRow.id.in_(waiting)
        lost = and_(
            text("conversation.state in ('rung', 'running')"),
            func.coalesce(ConversationRow.lease_until, ConversationRow.due_at) < late,
            text(
                "not exists (select 1 from pgqueuer where dedupe_key = conversation.bell::text "
                "and status in ('queued', 'picked'))"
            ),
        )
        found: list[ConversationRow] = []
        # Two queries, so that each has an index to begin from.
        for condition in (idle, lost):
            found += await session.scalars(
                select(ConversationRow)
                .where(condition, ConversationRow.updated_at < late)
                .order_by(ConversationRow.updated_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
        return found

    async def list_tenants(
        self, session: SystemSession, *, after: TenantId | None, limit: int
    ) -> list[TenantId]:
        """Active tenants by id, for the sweep."""
        rows = await session.execute(
            text(
                "select id from tenant where status = 'active' "
                "and (cast(:after as uuid) is null or id > :after) order by id limit :limit"
            ),
            {"after": after, "limit": limit},
        )
        return [TenantId(row[0]) for row in rows]

    async def prune_engine(self, session: SystemSession, *, keep_hours: int) -> None:
        """Drop the engine's log of jobs that ended long ago."""
        await session.execute(
            text("delete from pgqueuer_log where created < now() - make_interval(hours => :hours)"),
            {"hours": keep_hours},
        )
