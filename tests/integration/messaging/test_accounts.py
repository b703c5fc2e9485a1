"""Connecting an account: the platform is asked first, and one account is connected once."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from channel_kit import (
    ChannelError,
    ChannelUnavailable,
    OutcomeUnknown,
    RateLimited,
    ReplyRejected,
)
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database, DatabaseUnavailable
from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import ConnectionId, TenantId, new_id
from coachline.messaging import (
    AccountTaken,
    ConnectionConfigInvalid,
    ConnectionNotFound,
    CredentialsRefused,
    NotInstallable,
    PlatformUnavailable,
)
from coachline.messaging.repository import ConnectionRouteRepository
from coachline.tenancy import AuditLog
from fixtures.scripted_accounts import PUBLIC_URL, BureauChannel, Office, build_office
from fixtures.time import FakeClock

Pair = tuple[TenantId, TenantId]


@pytest.fixture
def office(database: Database) -> Office:
    return build_office(database, SystemClock())


@pytest.fixture
def account() -> str:
    """A name that no other test claims: an account is unique in the whole installation."""
    return f"acc-{new_id()}"


async def routes(office: Office, tenant_id: TenantId) -> list[tuple[object, ...]]:
    async with office.database.system() as session:
        rows = await session.execute(
            text("select account, polls, holder from connection_route where tenant_id = :t"),
            {"t": tenant_id},
        )
        return [tuple(row) for row in rows]


async def audited(office: Office, tenant_id: TenantId) -> list[str]:
    async with office.database.tenant(tenant_id) as session:
        return list(await session.scalars(text("select action from audit_entry order by seq")))


async def config_of(office: Office, made: object) -> BureauChannel:
    live = await office.connections.resolve(made.id)  # type: ignore[attr-defined]  # a Connection
    assert isinstance(live.channel, BureauChannel)
    return live.channel


async def test_connecting_checks_sets_the_webhook_and_keeps_what_was_found_out(
    office: Office, tenants: Pair, account: str
) -> None:
    made = await office.connect(tenants[0], account)
    assert (made.state, made.problem) == ("active", None)
    assert made.title == f"Bureau of {account}[31m"
    assert made.write_to == f"bureau.test/{account}"
    assert made.steps == ("Click the green button.",)
    assert office.bureau.webhooks == {account: f"{PUBLIC_URL}/webhooks/{made.id}"}
    assert (await config_of(office, made)).config.account == account
    assert await routes(office, tenants[0]) == [(account, False, None)]
    again = await office.connections.get(tenants[0], made.id)
    assert (again.title, again.steps) == (made.title, ())
    assert "connection.add" in await audited(office, tenants[0])


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        (ChannelUnavailable("dns"), PlatformUnavailable),
        (OutcomeUnknown("cut"), PlatformUnavailable),
        (RateLimited("slow", retry_after=7), PlatformUnavailable),
        (ReplyRejected("bad url"), ConnectionConfigInvalid),
        (ChannelError("odd"), PlatformUnavailable),
        (ValueError("https://api.test/botSECRET/x"), PlatformUnavailable),
        (TimeoutError(), PlatformUnavailable),
    ],
)
async def test_a_platform_that_does_not_help_leaves_nothing_behind(
    office: Office,
    tenants: Pair,
    account: str,
    fault: Exception,
    refusal: type[CoachlineError],
) -> None:
    office.bureau.fault = fault
    with pytest.raises(refusal) as refused:
        await office.connect(tenants[0], account)
    assert "SECRET" not in refused.value.message
    assert await office.connections.list(tenants[0]) == []
    assert await routes(office, tenants[0]) == []
    assert "connection.add" not in await audited(office, tenants[0])
    office.bureau.fault = None
    assert (await office.connect(tenants[0], account)).state == "active"


async def test_an_account_is_free_again_whatever_becomes_of_a_connecting_that_failed(
    office: Office, tenants: Pair, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "record", fail)
        patch.setattr(ConnectionRouteRepository, "remove", fail)
        with pytest.raises(DatabaseUnavailable):
            await office.connect(tenants[0], account)
    assert await office.connections.list(tenants[0]) == []
    assert (await office.connect(tenants[1], account)).state == "active"


async def test_wrong_credentials_are_refused_and_leave_nothing_behind(
    office: Office, tenants: Pair
) -> None:
    with pytest.raises(CredentialsRefused) as refused:
        await office.connections.add(tenants[0], "bureau", "one", {"token": "s3cret"}, actor="test")
    assert (refused.value.code, refused.value.status) == ("credentials_rejected", 422)
    assert "s3cret" not in refused.value.message
    assert await routes(office, tenants[0]) == []


async def test_a_second_claim_is_refused_without_saying_whose_and_changes_nothing(
    office: Office, tenants: Pair, account: str
) -> None:
    first = await office.connect(tenants[0], account, name="quiet name")
    with pytest.raises(AccountTaken) as refused:
        await office.connect(tenants[1], account)
    assert refused.value.message == "This account is connected already."
    assert await office.connections.list(tenants[1]) == []
    # The handshake of the refused one had led the platform elsewhere.
    assert office.bureau.webhooks == {account: f"{PUBLIC_URL}/webhooks/{first.id}"}
    with pytest.raises(AccountTaken, match="as 'quiet name'"):
        await office.connect(tenants[0], account, name="again")


async def test_of_many_claims_at_once_one_wins(office: Office, tenants: Pair, account: str) -> None:
    claims = [office.connect(tenants[n % 2], account, name=f"c{n}") for n in range(6)]
    ends = await asyncio.gather(*claims, return_exceptions=True)
    made = [end for end in ends if not isinstance(end, BaseException)]
    assert len(made) == 1
    assert {type(end) for end in ends} - {type(made[0])} == {AccountTaken}
    assert office.bureau.webhooks == {account: f"{PUBLIC_URL}/webhooks/{made[0].id}"}


async def test_a_disabled_connection_lets_go_of_its_account_and_asks_again_when_enabled(
    office: Office, tenants: Pair, account: str
) -> None:
    mine = await office.connect(tenants[0], account, listens=True)
    await office.connections.set_state(tenants[0], mine.id, "disabled", actor="test")
    assert office.bureau.webhooks == {}
    assert await routes(office, tenants[0]) == [(None, False, None)]
    theirs = await office.connect(tenants[1], account)
    with pytest.raises(AccountTaken):
        await office.connections.set_state(tenants[0], mine.id, "active", actor="test")
    assert (await office.connections.get(tenants[0], mine.id)).state == "disabled"
    await office.connections.set_state(tenants[1], theirs.id, "disabled", actor="test")
    back = await office.connections.set_state(tenants[0], mine.id, "active", actor="test")
    assert (back.state, back.problem) == ("active", None)
    assert await routes(office, tenants[0]) == [(account, True, None)]


async def test_a_connection_that_the_gateway_disables_does_not_ask_the_platform(
    office: Office, tenants: Pair, account: str
) -> None:
    made = await office.connect(tenants[0], account)
    office.bureau.fault = AssertionError("asked")
    await office.connections.set_state(
        tenants[0], made.id, "disabled", actor="gateway", problem="bad token"
    )
    assert (await office.connections.get(tenants[0], made.id)).problem == "bad token"


async def test_a_configuration_that_the_platform_refuses_leaves_the_old_one(
    office: Office, tenants: Pair, account: str
) -> None:
    made = await office.connect(tenants[0], account)
    with pytest.raises(CredentialsRefused):
        await office.connections.configure(tenants[0], made.id, {"token": "no"}, actor="test")
    kept = await config_of(office, made)
    assert kept.config.token is not None
    assert kept.config.token.get_secret_value() == f"token-of-{account}"
    other = office.bureau.open_account(f"{account}-2")
    changed = await office.connections.configure(
        tenants[0], made.id, {"token": other}, actor="test"
    )
    assert changed.write_to == f"bureau.test/{account}-2"
    assert await routes(office, tenants[0]) == [(f"{account}-2", False, None)]


async def test_the_channel_object_lives_as_long_as_its_configuration(
    database: Database, tenants: Pair, account: str
) -> None:
    clock = FakeClock()
    office = build_office(database, clock)
    made = await office.connect(tenants[0], account)
    first = await config_of(office, made)
    for _ in range(3):
        clock.advance(5)
        await office.connections.note_health(tenants[0], made.id, "hearing", clock.now())
        assert await config_of(office, made) is first
    await office.connections.set_state(tenants[0], made.id, "disabled", actor="test")
    with pytest.raises(ConnectionNotFound):
        await office.connections.resolve(made.id)
    token = office.bureau.open_account(account)
    await office.connections.configure(
        tenants[0], made.id, {"token": token, "secret": "new"}, actor="test"
    )
    assert await config_of(office, made) is not first


async def test_only_an_installable_channel_waits_for_its_installation(
    office: Office, tenants: Pair
) -> None:
    waiting = await office.connections.add(
        tenants[0], "bureau", "one", {}, actor="test", install=True
    )
    assert (waiting.state, waiting.problem) == ("disabled", "waiting for installation")
    with pytest.raises(CredentialsRefused):
        await office.connections.set_state(tenants[0], waiting.id, "active", actor="test")
    with pytest.raises(NotInstallable):
        await office.connections.add(
            tenants[0], "scripted", "two", {"secret": "s"}, actor="test", install=True
        )
    with pytest.raises(ConnectionNotFound):
        await office.connections.resolve(ConnectionId(waiting.id))


async def test_a_caller_who_gives_up_leaves_nothing_behind(
    office: Office, tenants: Pair, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never_answer(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(BureauChannel, "connect", never_answer)
    adding = asyncio.create_task(office.connect(tenants[0], account))
    await asked.wait()
    (row,) = await office.connections.list(tenants[0])
    assert (row.state, row.problem) == ("disabled", "connecting")
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert await office.connections.list(tenants[0]) == []
    assert await routes(office, tenants[0]) == []
