"""What ``coachline up`` finds of its demo, at the first start and at every later one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import aiohttp
import pytest

from channel_kit import Channel
from channel_webhook import WebhookChannel
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.ids import TenantId
from coachline.foundation.seal import parse_master_keys
from coachline.knowledge import Documents
from coachline.local import Demo
from coachline.messaging import Connections, Registry
from coachline.tenancy import AuditLog, Keys, ProfileChanges, Tenants

MASTER_KEYS = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
FIRST, SECOND = "http://127.0.0.1:8765", "http://127.0.0.1:9999/"


@dataclass(frozen=True)
class _Parts:
    tenants: Tenants
    documents: Documents
    connections: Connections

    @property
    def demo(self) -> Demo:
        return Demo(self.tenants, self.documents, self.connections)


@contextmanager
def _parts(
    database: Database, http: aiohttp.ClientSession, channels: dict[str, type[Channel]]
) -> Iterator[_Parts]:
    clock = SystemClock()
    audit = AuditLog(clock)
    seal = parse_master_keys(MASTER_KEYS)
    yield _Parts(
        Tenants(database, Keys(database, clock), clock),
        Documents(database, Engine(), audit),
        Connections(
            database, Registry(channels), seal, audit, clock, http, public_url="http://coach.test"
        ),
    )


@pytest.fixture
async def parts(database: Database) -> AsyncIterator[_Parts]:
    async with aiohttp.ClientSession() as http:
        with _parts(database, http, {"webhook": WebhookChannel}) as parts:
            yield parts


async def _documents(parts: _Parts, tenant_id: TenantId) -> dict[str, tuple[UUID, object]]:
    found = await parts.documents.list(tenant_id)
    return {one.source: (one.id, one.updated_at) for one in found}


async def test_the_demo_is_made_once_and_its_chat_renewed(
    parts: _Parts, tenants: tuple[TenantId, TenantId]
) -> None:
    first = await parts.demo.prepare(FIRST)
    assert first is not None
    documents = await _documents(parts, first.tenant_id)
    assert 4 <= len(documents) <= 6
    assert "getting-moving-again/setbacks.md" in documents
    profile = await parts.tenants.profile(first.tenant_id)
    assert profile.display_name == "Robin"
    assert profile.persona

    second = await parts.demo.prepare(SECOND)
    assert second is not None
    assert (second.tenant_id, second.connection_id) == (first.tenant_id, first.connection_id)
    assert second.inbound_url == f"http://127.0.0.1:9999/webhooks/{first.connection_id}"
    assert second.secret != first.secret
    assert second.secret not in repr(second)
    assert await _documents(parts, first.tenant_id) == documents
    for other in tenants:
        assert not await _documents(parts, other)
        assert await parts.connections.find_named(other, "web chat") is None


async def test_what_the_operator_changed_stays(parts: _Parts) -> None:
    made = await parts.demo.prepare(FIRST)
    assert made is not None
    await parts.tenants.configure(made.tenant_id, ProfileChanges(persona="Be short."), "test")
    await parts.demo.prepare(FIRST)
    assert (await parts.tenants.profile(made.tenant_id)).persona == "Be short."


async def test_without_the_webhook_channel_there_is_no_chat(
    database: Database, parts: _Parts
) -> None:
    async with aiohttp.ClientSession() as http:
        with _parts(database, http, {}) as bare:
            assert await bare.demo.prepare(FIRST) is None
