"""The demo that ``coachline up`` makes: a tenant, what its coach knows, and a web chat."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import structlog

from channel_kit.signing import generate_secret
from coachline.foundation.errors import Conflict, NotFound
from coachline.foundation.ids import ConnectionId, TenantId

if TYPE_CHECKING:
    # By name only: the embedded model server is started from this room too, and would otherwise
    # carry the database and the vector store in its memory.
    from coachline.knowledge import Documents
    from coachline.messaging import Connections
    from coachline.tenancy import Tenants

TENANT: Final = "demo"
CONNECTION: Final = "web chat"
CALLBACK_PATH: Final = "/demo/callback"
_SHELF: Final = "getting-moving-again"
_ACTOR: Final = "demo"
_PERSONA: Final = (
    "You are Robin, the coach of the programme Getting moving again, for people who want to walk "
    "or run again after a long break. You are warm and calm, you praise small steps, and you "
    "never make anybody feel guilty about a missed day. You take numbers and rules from the notes "
    "of the programme and suggest one small next step."
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DemoChat:
    """The demo's web chat. ``secret`` signs what the page sends and what it is sent."""

    tenant_id: TenantId
    connection_id: ConnectionId
    inbound_url: str
    secret: str = field(repr=False)


class Demo:
    """Makes the demo, or brings the one of the last run up to date."""

    def __init__(self, tenants: Tenants, documents: Documents, connections: Connections) -> None:
        self._tenants = tenants
        self._documents = documents
        self._connections = connections

    async def prepare(self, base_url: str) -> DemoChat | None:
        """Make the tenant, its documents and its web chat; what is there already stays.

        The chat gets a new secret and the callback of this run, as its port may be another one.
        A profile that somebody changed is not changed back.

        Args:
            base_url: the address of this server, as it can reach itself.

        Returns:
            The chat, or None when the webhook channel is not installed.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        tenant_id = await self._prepare_tenant()
        for name, text in await asyncio.to_thread(_read_documents):
            await self._documents.save(
                tenant_id,
                source=f"{_SHELF}/{name}",
                text=text,
                media_type="text/markdown",
                actor=_ACTOR,
            )
        base_url = base_url.rstrip("/")
        secret = generate_secret()
        config = {
            "secrets": [secret],
            "callback_url": f"{base_url}{CALLBACK_PATH}",
            "stream": True,
        }
        connection_id = await self._prepare_connection(tenant_id, config)
        if connection_id is None:
            return None
        return DemoChat(tenant_id, connection_id, f"{base_url}/webhooks/{connection_id}", secret)

    async def _prepare_tenant(self) -> TenantId:
        try:
            made = await self._tenants.create(
                TENANT, display_name="Robin", persona=_PERSONA, language="en", actor=_ACTOR
            )
        except Conflict:
            return (await self._tenants.get_by_name(TENANT)).id
        return made.tenant_id

    async def _prepare_connection(
        self, tenant_id: TenantId, config: dict[str, object]
    ) -> ConnectionId | None:
        known = await self._connections.find_named(tenant_id, CONNECTION)
        try:
            if known is None:
                known = await self._connections.add(
                    tenant_id, "webhook", CONNECTION, config, actor=_ACTOR
                )
            else:
                await self._connections.configure(tenant_id, known.id, config, actor=_ACTOR)
        except NotFound:
            log.error("demo.no_chat", reason="channel-webhook is not installed: run make setup")
            return None
        return known.id


def _read_documents() -> list[tuple[str, str]]:
    """Name and text of every document of the programme, by name."""
    folder = files("coachline.local") / "demo"
    return sorted(
        (found.name, found.read_text(encoding="utf-8"))
        for found in folder.iterdir()
        if found.name.endswith(".md")
    )
