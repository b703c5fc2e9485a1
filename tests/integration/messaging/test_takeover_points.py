"""A coach takes over at each named place of a message's path, while a worker is right there.

Whatever the place: what was not under way then is never begun, by the platform's own ledger.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, get_args

import pytest
from sqlalchemy import text

from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import RetryLater
from coachline.foundation.faults import EVENT, Point
from coachline.foundation.ids import ConversationId, TenantId
from coachline.messaging import (
    DeliveryRules,
    DraftReply,
    LiveConnection,
    QueueRules,
    Takeovers,
    Turn,
)
from coachline.tenancy import AuditLog
from conftest import Servers
from fixtures.desk import TRACE, Desk, build_desk
from integration.messaging.test_worker import make_worker, payload

# Between these a reply is under way: it was marked before the coach came, and stays.
UNDER_WAY: Final = frozenset({"reply:marked", "reply:reserved", "reply:kept", "reply:accepted"})
CHANNELS: Final = ("scripted", "fillable", "placeholder")
POINTS: Final = tuple(
    point
    for point in get_args(Point)
    if not point.startswith(("poll", "intake")) and point != "reply:found"
)


class Interruption:
    """Has a coach take a conversation, in a thread of its own, when a point is passed."""

    def __init__(self) -> None:
        self._point: str | None = None
        self._take: Future[None] | None = None
        self._pool = ThreadPoolExecutor(1)
        self._how: tuple[Servers, TenantId, ConversationId, dict[str, str]] | None = None
        self._desk: Desk | None = None
        self.calls_before: int | None = None
        sys.addaudithook(self._hear)

    def arm(
        self, point: str, servers: Servers, desk: Desk, live: LiveConnection, here: ConversationId
    ) -> None:
        """Wait for a point."""
        self._point, self._desk, self._take, self.calls_before = point, desk, None, None
        self._how = servers, live.tenant_id, here, desk.platform.screen

    def disarm(self) -> bool:
        """Wait for the coach; whether the point was passed."""
        self._point = None
        if self._take is None:
            return False
        self._take.result(20)
        return True

    def close(self) -> None:
        """Hear nothing more; a hook can not be taken away."""
        self._point = None
        self._pool.shutdown()

    def _hear(self, name: str, given: tuple[object, ...]) -> None:
        if name != EVENT or given[0] != self._point or self._how is None or self._desk is None:
            return
        point, self._point = str(given[0]), None
        self._take = self._pool.submit(asyncio.run, _take(*self._how))
        if not point.endswith("ing"):
            # Within a transaction the coach waits for its lock, and is next.
            self._take.result(20)
            self.calls_before = len(self._desk.platform.names)


async def _take(
    servers: Servers, tenant_id: TenantId, conversation_id: ConversationId, screen: dict[str, str]
) -> None:
    database = Database(servers.app_url, servers.worker_url, pool_size=2)
    try:
        desk = build_desk(database, QueueRules(), DeliveryRules(), SystemClock())
        desk.platform.screen = screen
        takeovers = Takeovers(database, desk.connections, desk.queue, AuditLog(SystemClock()))
        await takeovers.take(tenant_id, conversation_id, actor="staff:eva", name="Eva")
    finally:
        await database.close()


@pytest.fixture(scope="module")
def interruption() -> Iterator[Interruption]:
    """One hook for all."""
    made = Interruption()
    yield made
    made.close()


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("point", POINTS)
async def test_no_answer_is_begun_once_a_coach_has_it(
    desk: Desk,
    tenants: tuple[TenantId, TenantId],
    servers: Servers,
    interruption: Interruption,
    point: str,
    channel: str,
) -> None:
    live = await desk.connect(tenants[0], channel)
    await desk.receive(live, "hello")
    here = ConversationId((await desk.row(live))["id"])  # type: ignore[arg-type]  # a UUID column

    async def answer(turn: Turn) -> None:
        if turn.is_held:
            await desk.ledger.save(turn, (), TRACE)
            return
        async with desk.ledger.watch(turn), desk.drafts.open(turn) as draft:
            await draft.show("bot: half an ans")
        await desk.ledger.save(turn, [DraftReply("bot: one"), DraftReply("bot: two")], TRACE)

    worker = make_worker(desk, answer)
    rung = await payload(desk, live)
    interruption.arm(point, servers, desk, live, here)
    with suppress(RetryLater):
        await worker.on_bell(rung)
    if not interruption.disarm():
        assert point.startswith(("draft", "reply"))
        assert channel != "fillable" or point in ("reply:reserved", "reply:kept")
        return
    # Whatever the coach's bell leads to, on the same worker.
    if (await desk.row(live))["bell"] is not None:
        with suppress(RetryLater):
            await worker.on_bell(await payload(desk, live))
    await _judge(desk, live, point, interruption.calls_before)


async def _judge(desk: Desk, live: LiveConnection, point: str, calls_before: int | None) -> None:
    async with desk.database.tenant(live.tenant_id) as session:
        rows = await session.execute(
            text(
                "select o.text, o.state, o.attempts, o.sending_at < t.taken_at as was_under_way "
                "from outbox_reply o cross join takeover t"
            )
        )
        replies = rows.mappings().all()
    begun = [reply for reply in replies if reply["attempts"]]
    assert all(reply["was_under_way"] for reply in begun), "a reply was marked after the takeover"
    assert all(reply["state"] in ("sent", "dropped") for reply in replies), replies
    sent = {reply["text"] for reply in begun}
    assert {reply.text for reply in desk.platform.accepted} == sent
    if calls_before is not None and point not in UNDER_WAY:
        later = desk.platform.names[calls_before:]
        # A generation hears of it within half a second; what it showed is taken away.
        assert set(later) <= {"discard", "draft"}, "the platform was called for an answer"
    assert not [shown for shown in desk.platform.screen.values() if shown not in sent]
