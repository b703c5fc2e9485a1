"""What surrounds the gateway in a run of kills: servers, fake platforms, tenants, connections."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from coachline.app import create_app
from coachline.bootstrap import open_services
from coachline.foundation.schema import migrate
from coachline.foundation.settings import Settings
from coachline.local import PostgresServer, ValkeyServer, ensure_database
from coachline_lab import Mode
from coachline_lab.slack import FakeSlack, Installation
from coachline_lab.telegram import Bot, FakeTelegram
from coachline_lab.twilio import Account, FakeTwilio
from faults.herd import Herd, Life, open_herd
from faults.plans import Action, Plan
from fixtures.gateway import Connected
from fixtures.house import MANY, House, make_master_key
from fixtures.lab_house import LabConnection, LabHouse, LabTenant, answer_marked
from lab.callback_receiver import Answer, CallbackReceiver
from lab.scripted_ollama import ScriptedOllama

LEASE_SECONDS: Final = 3.0
TENANTS: Final = 2
_DATABASE: Final = "coachline"
_ROLES: Final = {
    "coachline_owner": "owner-password",
    "coachline_app": "app-password",
    "coachline_worker": "worker-password",
}
REFUSED: Final = 0.015
"""The share of calls of a platform that it refuses for now: 429 twice as often as 503."""
DUPLICATES: Final = 0.05
"""The share of deliveries to the gateway that come twice although they were taken."""
_TIME_SCALE: Final = 0.01
_TWILIO_PAUSE_SECONDS: Final = 0.3


@dataclass
class Stage:
    """What a run of kills is played on.

    The two tenants have the same chats, people, workspace and message ids.
    """

    folder: Path
    postgres: PostgresServer
    valkey: ValkeyServer
    telegram: FakeTelegram
    slack: FakeSlack
    twilio: FakeTwilio
    receiver: CallbackReceiver
    herd: Herd
    lab: LabHouse
    bots: list[LabConnection[Bot]] = field(default_factory=list)
    apps: list[LabConnection[Installation]] = field(default_factory=list)
    numbers: list[LabConnection[Account]] = field(default_factory=list)
    hooks: list[Connected] = field(default_factory=list)

    async def ask_database(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Rows by SQL, of all tenants.

        Raises:
            OSError, asyncpg.PostgresError: the database is away at this moment.
        """
        connection = await asyncpg.connect(self.postgres.admin_url(_DATABASE))
        try:
            return list(await connection.fetch(query, *args))
        finally:
            await connection.close()

    async def connect_all(self) -> None:
        """Make the tenants and connect each to every platform."""
        workspace = self.slack.add_team()
        for place in range(TENANTS):
            tenant = await self.lab.add_tenant(f"kills-{place}")
            await self._connect_telegram(tenant)
            app = self.slack.install(self.slack.add_app(), workspace)
            # Drafts are filled, so what Slack took is asked only of the one that shows none.
            made = await self.lab.connect_slack(tenant, self.slack, app, stream=not place)
            self.apps.append(made)
            number = self.twilio.add_account(numbers=[f"+1555000678{place}"])
            pace = {"segments_per_second": 1000.0, "burst_segments": 1000.0}
            self.numbers.append(await self.lab.connect_sms(tenant, self.twilio, number, **pace))
            self.hooks.append(await self.lab.house.connect("kills"))

    async def _connect_telegram(self, tenant: LabTenant) -> None:
        self.bots.append(await self.lab.connect_telegram(tenant, self.telegram))
        polling: dict[str, Any] = {"receive": "polling", "poll_seconds": 1}
        self.bots.append(await self.lab.connect_telegram(tenant, self.telegram, **polling))

    def disturb(self, seed: int, *, ambiguous: float) -> None:
        """Let platforms go wrong and deliveries come twice, from now on.

        Args:
            seed: of every draw.
            ambiguous: the share of calls that are carried out and then answered by a broken
                connection, or, as many, by a 500.
        """
        shares = (
            (Mode.RATE_LIMITED, Answer.RATE_LIMITED, REFUSED * 2 / 3, 429),
            (Mode.SERVER_ERROR, Answer.UNAVAILABLE, REFUSED / 3, 503),
            (Mode.CUT_AFTER_ACCEPT, Answer.CUT_AFTER_ACCEPT, ambiguous / 2, None),
            (Mode.SERVER_ERROR_AFTER_ACCEPT, Answer.ERROR_AFTER_ACCEPT, ambiguous / 2, 500),
        )
        fakes = (
            (self.telegram.faults, self.telegram.inbound),
            (self.slack.faults, self.slack.inbound),
            (self.twilio.faults, self.twilio.inbound),
        )
        for number, (faults, inbound) in enumerate(fakes):
            inbound.duplicate, inbound.seed = DUPLICATES, seed + number
            for place, (mode, _, share, status) in enumerate(shares):
                drawn = (seed * len(fakes) + number) * len(shares) + place
                faults.share(mode, share, drawn, status=status)
        self.receiver.share({answer: share for _, answer, share, _ in shares})


@asynccontextmanager
async def open_stage(
    folder: Path, *, seed: int, on_fault: Callable[[Life, str, Action], None]
) -> AsyncIterator[Stage]:
    """Start everything and connect the tenants; end it all again.

    Args:
        folder: for data and logs.
        seed: of what the platforms do wrong.
        on_fault: is told every fault of a gateway process.
    """
    async with AsyncExitStack() as stack:
        postgres, valkey = await _open_servers(stack, folder)
        telegram = await stack.enter_async_context(FakeTelegram(time_scale=_TIME_SCALE))
        slack = await stack.enter_async_context(FakeSlack(time_scale=_TIME_SCALE))
        twilio = await stack.enter_async_context(FakeTwilio(pause_seconds=_TWILIO_PAUSE_SECONDS))
        receiver = await stack.enter_async_context(CallbackReceiver(seed=seed))
        ollama = await stack.enter_async_context(ScriptedOllama(reply=answer_marked))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        settings = _settings(folder, postgres, valkey, ollama.url, listener)
        herd = await stack.enter_async_context(
            open_herd(
                settings,
                listener,
                log=folder / "victims.log",
                on_fault=on_fault,
            )
        )
        services = await stack.enter_async_context(open_services(Settings.model_validate(settings)))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        house = House(
            environment={},
            logs=folder,
            url=services.public_url,
            http=http,
            services=services,
            app=create_app(services),
            valkey=valkey,
            ollama=ollama,
            receiver=receiver,
            tasks=[],
        )
        lab = LabHouse(house)
        stage = Stage(folder, postgres, valkey, telegram, slack, twilio, receiver, herd, lab)
        # One that lives for as long as the run: Slack asks at an address before it takes it.
        await herd.start(Plan("serve", {})).is_ready.wait()
        await stage.connect_all()
        yield stage


async def _open_servers(stack: AsyncExitStack, folder: Path) -> tuple[PostgresServer, ValkeyServer]:
    postgres = PostgresServer(
        folder / "pg", runtime=folder / "run", settings={"max_connections": "300"}
    )
    await postgres.start()
    stack.push_async_callback(postgres.stop)
    valkey = ValkeyServer(folder / "run")
    await valkey.start()
    stack.push_async_callback(valkey.stop)
    await ensure_database(postgres, database=_DATABASE, roles=_ROLES)
    await migrate(postgres.url("coachline_owner", _ROLES["coachline_owner"], _DATABASE))
    return postgres, valkey


def _settings(
    folder: Path,
    postgres: PostgresServer,
    valkey: ValkeyServer,
    ollama_url: str,
    listener: socket.socket,
) -> dict[str, Any]:
    """The settings of every gateway process, as text."""
    return {
        "home": str(folder / "home"),
        "port": listener.getsockname()[1],
        "database_url": postgres.url("coachline_app", _ROLES["coachline_app"], _DATABASE),
        "worker_database_url": postgres.url(
            "coachline_worker", _ROLES["coachline_worker"], _DATABASE
        ),
        "redis_url": valkey.url,
        "ollama_url": ollama_url,
        "master_keys": make_master_key(),
        "outgoing_allow": str(ip_network("127.0.0.0/8")),
        "lease_seconds": LEASE_SECONDS,
        "sweep_seconds": 1.0,
        "tenant_max_turns": 64,
        "model_concurrency": 16,
        # A turn that a kill interrupts is a try of its events: nobody could tell it from a crash.
        "turn_max_attempts": 20,
        "context_tokens": 8192,
        "failed_auth_per_minute": MANY,
        "api_requests_per_minute": MANY,
        "learner_messages_per_minute": MANY,
        "messages_per_day": MANY,
    }
