"""Test messages: sent at once, counted, explained, and never to who does not want them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    ReplyRejected,
    ThreadMoved,
)
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.messaging import (
    Connection,
    ConnectionClosed,
    ConnectionNotFound,
    CredentialsRefused,
    PlatformUnavailable,
    TrialRefused,
    TrialsUsedUp,
    TrialUnclear,
)
from fixtures.scripted_accounts import Office, build_office
from fixtures.scripted_channel import event
from fixtures.seals import make_identities
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def office(database: Database, clock: FakeClock) -> Office:
    return build_office(database, clock)


@pytest.fixture
async def made(office: Office, tenants: Pair) -> Connection:
    return await office.connect(tenants[0], f"acc-{new_id()}")


async def noted_tests(office: Office, tenant_id: TenantId) -> int:
    async with office.database.tenant(tenant_id) as session:
        found: int = (
            await session.execute(
                text("select count(*) from audit_entry where action = 'connection.test'")
            )
        ).scalar_one()
    return found


async def send(office: Office, made: Connection, to: str = "ann") -> None:
    await office.trials.send(made.tenant_id, made.id, to=to, actor="test")


async def test_a_test_message_is_sent_noted_and_in_no_conversation(
    office: Office, made: Connection
) -> None:
    await send(office, made)
    (reply,) = office.bureau.sent
    assert (reply.thread, reply.text) == ("ann", "This is a test message. The connection works.")
    assert await noted_tests(office, made.tenant_id) == 1
    async with office.database.tenant(made.tenant_id) as session:
        assert await session.scalar(text("select count(*) from conversation")) == 0


async def test_ten_a_minute_and_no_more(office: Office, made: Connection, clock: FakeClock) -> None:
    for _ in range(10):
        await send(office, made)
    with pytest.raises(TrialsUsedUp) as refused:
        await send(office, made)
    assert 0 < (refused.value.retry_after_seconds or 0) <= 60
    assert len(office.bureau.sent) == 10
    clock.advance(61)
    await send(office, made)


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        (CredentialsRejected("gone"), CredentialsRefused),
        (ReplyRejected("no such chat"), TrialRefused),
        (RecipientUnreachable("blocked"), TrialRefused),
        (ThreadMoved("moved", thread="new"), TrialRefused),
        (RateLimited("slow", retry_after=3), PlatformUnavailable),
        (RateLimited("slow", retry_after=-1), PlatformUnavailable),
        (ChannelUnavailable("dns"), PlatformUnavailable),
        (OutcomeUnknown("cut"), TrialUnclear),
        (ChannelError("odd"), TrialUnclear),
        (TimeoutError(), TrialUnclear),
        (ValueError("https://x/botSECRET"), TrialUnclear),
    ],
)
async def test_every_trouble_is_explained(
    office: Office, made: Connection, fault: Exception, refusal: type[CoachlineError]
) -> None:
    office.bureau.fault = fault
    with pytest.raises(refusal) as refused:
        await send(office, made)
    assert refused.value.status < 504
    assert "SECRET" not in refused.value.message


async def test_nothing_is_sent_on_a_closed_or_foreign_connection(
    office: Office, made: Connection, tenants: Pair
) -> None:
    with pytest.raises(ConnectionNotFound):
        await office.trials.send(tenants[1], made.id, to="ann", actor="test")
    with pytest.raises(ConnectionNotFound):
        await office.trials.send(tenants[0], ConnectionId(new_id()), to="ann", actor="test")
    await office.connections.set_state(tenants[0], made.id, "disabled", actor="test")
    with pytest.raises(ConnectionClosed):
        await send(office, made)
    assert office.bureau.sent == []


async def test_who_withdrew_consent_gets_no_test_message_either(
    database: Database, tenants: Pair
) -> None:
    office = build_office(database, SystemClock())
    made = await office.connect(tenants[0], f"acc-{new_id()}")
    live = await office.connections.live(tenants[0], made.id)
    await office.intake.accept(live, [event("e", "ann", "stop")])
    async with database.tenant(tenants[0]) as session:
        identity = await make_identities().find(session, made.id, "ann")
        assert identity is not None
        await office.consent.record(
            session, identity.learner_id, made.id, "withdrawn", source="learner"
        )
    with pytest.raises(TrialRefused, match="does not want"):
        await send(office, made)
    assert office.bureau.sent == []
