"""`coachline connect` and `connection`: from a token to a bot that answers its first message."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from coachline.cli import app
from coachline.foundation import logs
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.ids import TenantId
from coachline.tenancy import Keys, Tenants
from coachline_lab.telegram import Bot, FakeTelegram
from coachline_lab.twilio import FakeTwilio
from conftest import Servers

Pair = tuple[TenantId, TenantId]
KEYS = "test:" + base64.b64encode(bytes(32)).decode()


@pytest.fixture(autouse=True)
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, servers: Servers
) -> Callable[..., None]:
    """A gateway on this run's servers; sets more COACHLINE_… names when called."""
    # The runner's output ends with the command; logs of later tests must not go there.
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"COACHLINE_{name.upper()}", value)

    put(
        home=str(tmp_path),
        database_url=servers.app_url,
        worker_database_url=servers.worker_url,
        redis_url=servers.redis_url,
        ollama_url="http://127.0.0.1:1",
        master_keys=KEYS,
        public_url="https://coach.test",
        outgoing_allow="127.0.0.0/8",
    )
    return put


@pytest.fixture
async def tenant(database: Database, tenants: Pair) -> str:
    return await name_of(database, tenants[0])


async def name_of(database: Database, tenant_id: TenantId) -> str:
    service = Tenants(database, Keys(database, SystemClock()), SystemClock())
    return next(found.name for found in await service.list() if found.id == tenant_id)


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as fake:
        yield fake


@pytest.fixture
def bot(telegram: FakeTelegram) -> Bot:
    """One that no other test has: an account is connected once."""
    return telegram.add_bot(f"{secrets.randbelow(10**12) + 10**6}:{secrets.token_urlsafe(24)}")


async def call(*words: str, typed: str | None = None) -> Result:
    result = await asyncio.to_thread(CliRunner().invoke, app, list(words), input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


async def ask(*words: str, typed: str | None = None) -> Any:
    result = await call(*words, "--json", typed=typed)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def connect(telegram: FakeTelegram, bot: Bot, tenant: str, *words: str) -> Any:
    return await ask(
        "connect", "telegram", "-t", tenant, "--api-url", telegram.url, *words, typed=bot.token
    )


async def test_a_bot_is_connected_with_a_token_from_stdin(
    telegram: FakeTelegram, bot: Bot, tenant: str
) -> None:
    told = await connect(telegram, bot, tenant)
    assert (told["state"], told["receive"], told["channel"]) == ("active", "webhook", "telegram")
    assert told["write_to"] == f"https://t.me/{bot.person.username}"
    assert told["inbound_url"] == f"https://coach.test/webhooks/{told['connection_id']}"
    assert any("press Start" in step for step in told["steps"])
    assert bot.token not in json.dumps(told)
    shown = await ask("connection", "show", "telegram", "-t", tenant)
    assert shown["connection_id"] == told["connection_id"]
    assert (shown["health"], shown["problem"]) == ("unknown", None)
    assert await ask("connection", "list", "-t", tenant) == [shown]
    by_id = await ask("connection", "show", told["connection_id"], "-t", tenant)
    assert by_id == shown


async def test_what_is_left_to_click_is_printed_for_a_person_too(
    telegram: FakeTelegram, bot: Bot, tenant: str
) -> None:
    words = ("connect", "telegram", "-t", tenant, "--api-url", telegram.url, "--token", "-")
    result = await call(*words, typed=f"{bot.token}\n")
    assert result.exit_code == 0
    assert f"https://t.me/{bot.person.username}" in result.stdout
    assert "1. Open https://t.me/" in result.stdout
    assert bot.token not in result.output


async def test_without_an_https_address_events_are_fetched_and_that_is_said(
    telegram: FakeTelegram, bot: Bot, tenant: str, environment: Callable[..., None]
) -> None:
    environment(public_url="http://127.0.0.1:8765")
    words = ("connect", "telegram", "-t", tenant, "--api-url", telegram.url, "--json")
    result = await call(*words, typed=bot.token)
    assert json.loads(result.stdout)["receive"] == "polling"
    assert "not an https address" in result.stderr


async def test_a_wrong_token_is_one_line_and_leaves_nothing(
    telegram: FakeTelegram, bot: Bot, tenant: str
) -> None:
    wrong = f"{bot.token}x"
    words = ("connect", "telegram", "-t", tenant, "--api-url", telegram.url)
    result = await call(*words, typed=wrong)
    assert result.exit_code == 1
    assert "does not take these credentials" in result.stderr
    assert wrong not in result.output
    assert await ask("connection", "list", "-t", tenant) == []


async def test_wrong_use_is_exit_code_two(tenant: str) -> None:
    for words in (
        ("connect", "telegram"),
        ("connect", "telegram", "-t", tenant),  # nothing on stdin
        ("connect", "slack", "-t", tenant, "--install"),
        ("connect", "sms", "-t", tenant, "--account-sid", "AC1"),
        ("connect", "sms", "-t", tenant, "--account-sid", "A", "--from", "1", "--service", "M"),
        ("connect", "sms", "-t", tenant, "--account-sid", "A", "--service", "M", "--whatsapp"),
    ):
        assert (await call(*words)).exit_code == 2, words


async def test_a_bot_that_another_tenant_has_is_refused(
    telegram: FakeTelegram, bot: Bot, tenant: str, database: Database, tenants: Pair
) -> None:
    await connect(telegram, bot, await name_of(database, tenants[1]))
    words = ("connect", "telegram", "-t", tenant, "--api-url", telegram.url)
    result = await call(*words, typed=bot.token)
    assert (result.exit_code, "This account is connected already." in result.stderr) == (1, True)


async def test_a_bot_gets_a_new_token_under_its_old_name(
    telegram: FakeTelegram, bot: Bot, tenant: str
) -> None:
    told = await connect(telegram, bot, tenant)
    other = telegram.add_bot()
    wrong = ("connect", "telegram", "-t", tenant, "--api-url", telegram.url)
    result = await call(*wrong, typed=other.token)
    assert (result.exit_code, "already" in result.stderr) == (1, True)
    changed = await connect(telegram, other, tenant, "--replace")
    assert changed["connection_id"] == told["connection_id"]
    assert changed["write_to"] == f"https://t.me/{other.person.username}"
    result = await call(*wrong, "--replace", typed="123456:nobody-has-this-token-anywhere-1234")
    assert result.exit_code == 1
    kept = await ask("connection", "show", "telegram", "-t", tenant)
    assert (kept["state"], kept["write_to"]) == ("active", changed["write_to"])


async def test_a_test_message_is_sent_while_connecting_and_later(
    telegram: FakeTelegram, bot: Bot, tenant: str
) -> None:
    ann = telegram.add_user("Ann")
    await telegram.say("/start", user=ann, bot=bot)
    told = await connect(telegram, bot, tenant, "--test-to", str(ann.id), "--name", "coach")
    assert told["test_message"]
    sent = await ask(
        "connection", "test", "coach", "-t", tenant, "--to", str(ann.id), "--text", "Once more"
    )
    assert sent["external_id"]
    assert telegram.ledger.visible(str(ann.id)) == [
        "This is a test message. The connection works.",
        "Once more",
    ]
    result = await call("connection", "test", "coach", "-t", tenant, "--to", "404404404")
    assert result.exit_code == 1
    assert (await call("connection", "test", "nothing", "-t", tenant, "--to", "1")).exit_code == 1


async def test_a_connection_is_closed_and_opened_by_its_name(
    telegram: FakeTelegram, bot: Bot, tenant: str
) -> None:
    await connect(telegram, bot, tenant)
    assert (await ask("connection", "disable", "telegram", "-t", tenant))["state"] == "disabled"
    assert (await ask("connection", "enable", "telegram", "-t", tenant))["state"] == "active"


async def test_an_app_waits_for_its_installation_behind_a_link(tenant: str) -> None:
    told = await ask(
        "connect", "slack", "-t", tenant, "--install", "--client-id", "1.2", typed="signing\nclient"
    )
    assert (told["state"], told["problem"]) == ("disabled", "waiting for installation")
    connection = told["connection_id"]
    assert told["install_url"].startswith(f"https://coach.test/connect/{connection}?ticket=")
    assert any(f"https://coach.test/connect/{connection}/done" in step for step in told["steps"])
    again = await ask("connection", "install", "slack", "-t", tenant)
    assert again["install_url"] != told["install_url"]
    refused = await call("connect", "slack", "-t", tenant, "--events", typed="signing\nnope")
    assert (refused.exit_code, "nope" in refused.output) == (1, False)


async def test_a_number_is_connected(tenant: str) -> None:
    async with FakeTwilio() as twilio:
        number = "+15550006789"
        account = twilio.add_account(numbers=[number])
        told = await ask(
            *("connect", "sms", "-t", tenant, "--account-sid", account.sid, "--from", number),
            *("--api-url", twilio.url),
            typed=account.token,
        )
    assert (told["state"], told["write_to"]) == ("active", number)
    assert account.token not in json.dumps(told)
