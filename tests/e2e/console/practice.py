"""A tenant whose console has something on every page: people on four channels, in every status."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from coachline.foundation.ids import ConnectionId, ConversationId, TenantId
from coachline.tenancy import StaffMember
from coachline_lab.slack import FakeSlack
from coachline_lab.telegram import FakeTelegram
from coachline_lab.twilio import FakeTwilio
from fixtures.gateway import Connected
from fixtures.house import House
from fixtures.lab_house import LabConnection, LabHouse, LabTenant
from fixtures.waiting import until

SECONDS = 30.0
HOSTILE: Final = "<b>" + "x" * 300 + "</b> e" + "\u0301" * 500

# A word of a question, and what the model answers to it.
ANSWERS: Final = MappingProxyType(
    {
        "rest day": "A rest day is part of the plan: sleep, an easy walk, nothing that makes you "
        "sweat. You come back *stronger* on Wednesday.",
        "breakfast": "Oats with yoghurt an hour before you leave. On short mornings a banana will "
        "do.",
        "evenings": "Then let us move it: **20 minutes at lunch** on Tuesday and Thursday.",
        "shoes": "Keep them for hard surfaces, and use the old pair on the forest track.",
        "race": "Two weeks before a race you run less, not more. Shall I send you the short plan?",
        "stretch": "Five minutes after the run, never before it: calves, hips, back.",
    }
)
_DOCUMENTS: Final = MappingProxyType(
    {
        "rest": "# Rest days\n\nA rest day is part of the plan. Sleep, walk, eat well.\n\n"
        "## After a short night\n\nDo the smallest version of the day's step.",
        "food": "# Eating\n\nEat an hour before a run. Drink before you are thirsty.",
    }
)
# Every time of a conversation, by table.
_TIMES: Final = MappingProxyType(
    {
        "inbox_event": ("conversation_id", ("occurred_at", "created_at")),
        "outbox_reply": ("conversation_id", ("created_at", "sent_at")),
        "feed_event": ("conversation_id", ("occurred_at",)),
        "conversation": ("id", ("said_at",)),
    }
)


@dataclass(frozen=True)
class Practice:
    """The tenant, who owns it, and the ids that addresses of pages are made of."""

    tenant_id: TenantId
    owner: StaffMember
    conversation: ConversationId
    proposed: ConversationId
    hostile: ConversationId
    asked: ConversationId
    learner: UUID
    event: UUID
    document: UUID
    connection: ConnectionId
    endpoint: UUID
    delivery: UUID


class _Making:
    """Fills the tenant."""

    def __init__(self, house: House, tenant: LabTenant) -> None:
        self._house = house
        self._tenant = tenant
        self._services = house.services
        self._seen: set[ConversationId] = set()

    async def talk(self, *said: Awaitable[object]) -> ConversationId:
        """Have somebody new say things, one after another; the conversation, when it is idle."""
        for one in said:
            await one

        async def found() -> bool:
            listed = await self._services.transcripts.list_conversations(self._tenant.id)
            return len(listed) > len(self._seen) and all(one.state == "idle" for one in listed)

        await until(found, seconds=SECONDS)
        listed = await self._services.transcripts.list_conversations(self._tenant.id)
        (made,) = {one.id for one in listed} - self._seen
        self._seen.add(made)
        return made

    async def draft(self, conversation_id: ConversationId, said: Awaitable[object]) -> None:
        """Have answers proposed from now on, and one waiting."""
        services, tenant_id = self._services, self._tenant.id
        await services.attention.set_mode(tenant_id, conversation_id, "draft", actor="test")
        await said

        async def is_proposed() -> bool:
            return bool(await services.proposals.list(tenant_id, conversation_id=conversation_id))

        await until(is_proposed, seconds=SECONDS)

    async def read(self, *conversations: ConversationId) -> None:
        """Note that a coach has read these."""
        for one in conversations:
            found = await self._services.transcripts.get_conversation(self._tenant.id, one)
            await self._services.inbox.mark_read(self._tenant.id, one, seq=found.messages)

    async def move(self, conversation_id: ConversationId, ago: timedelta) -> None:
        """Let all of a conversation have been longer ago."""
        async with self._services.database.tenant(self._tenant.id) as session:
            for table, (key, columns) in _TIMES.items():
                changes = (f"{one} = {one} - make_interval(secs => :ago)" for one in columns)
                await session.execute(
                    text(f"update {table} set {', '.join(changes)} where {key} = :id"),  # noqa: S608 - names of our own
                    {"ago": ago.total_seconds(), "id": conversation_id},
                )

    async def shelve(self) -> UUID:
        """Documents, ready to be found; one of them."""
        documents = self._services.documents
        saved = [
            await documents.save(
                self._tenant.id,
                source=f"{name}.md",
                text=written,
                media_type="text/markdown",
                actor="test",
            )
            for name, written in _DOCUMENTS.items()
        ]

        async def is_ready() -> bool:
            listed = await documents.list(self._tenant.id)
            return all(one.state == "ready" for one in listed)

        await until(is_ready, seconds=SECONDS)
        return saved[0].document_id


@asynccontextmanager
async def open_practice(house: House) -> AsyncIterator[Practice]:
    """Make the tenant; its channels are closed at the end."""
    lab, web = LabHouse(house), await house.connect("northwind")
    tenant = LabTenant(TenantId(UUID(web.tenant_id)), web.tenant, web.api_key)
    lab.keep(tenant, ConnectionId(UUID(web.connection_id)))
    await house.services.tenants.configure(
        tenant.id, {"display_name": "Northwind Running"}, actor="test"
    )
    owner = await house.services.sign_in.staff.add(
        tenant.id, name="Maria Keller", email="maria@example.org", role="owner", actor="test"
    )
    async with FakeTelegram() as telegram, FakeSlack() as slack, FakeTwilio() as twilio:
        bot = await lab.connect_telegram(tenant, telegram)
        await lab.connect_slack(tenant, slack)
        await lab.connect_sms(tenant, twilio)
        making = _Making(house, tenant)
        document = await making.shelve()
        talks = await _talk(making, house, web, telegram, slack, twilio)
        await _step_in(house, tenant, owner, talks)
        yield await _describe(house, tenant, owner, talks, document, bot)
        await lab.let_go()


async def _talk(
    making: _Making,
    house: House,
    web: Connected,
    telegram: FakeTelegram,
    slack: FakeSlack,
    twilio: FakeTwilio,
) -> dict[str, ConversationId]:
    """Eight people, the one who wrote last at the end."""
    (team,) = slack.world.teams.values()
    ask: dict[str, Any] = {"seconds": SECONDS}
    sam, ana, luca, tom = (
        telegram.add_user(first, last_name=last)
        for first, last in (("Sam", "Bailey"), ("Ana", "Silva"), ("Luca", "Rossi"), ("Tom", "Hill"))
    )
    jonas, emma = slack.add_user(team, "Jonas Weber"), slack.add_user(team, "Emma Clark")
    talks = {
        "sam": await making.talk(
            telegram.ask(HOSTILE, user=sam, **ask),
            telegram.ask("When do I stretch, before or after?", user=sam, **ask),
        ),
        "phone": await making.talk(twilio.ask("My race is in two weeks!", **ask)),
        "jonas": await making.talk(
            slack.ask("Which shoes for the forest?", user=jonas, **ask),
        ),
        "luca": await making.talk(
            telegram.ask("I don't want to live anymore", user=luca, **ask),
        ),
        "tom": await making.talk(telegram.ask("Is breakfast needed?", user=tom, **ask)),
        "ana": await making.talk(
            telegram.ask("Do I need a rest day after the long run?", user=ana, **ask),
        ),
        "emma": await making.talk(
            slack.ask("My evenings are full this month, can we move the runs?", user=emma, **ask),
        ),
        "priya": await making.talk(_write(house, web, "p-1", "Can I talk to a human?")),
    }
    await making.draft(talks["tom"], telegram.say("And which shoes on wet days?", user=tom))
    await making.read(*(talks[name] for name in ("sam", "phone", "luca", "emma")))
    for days, person in enumerate(("luca", "jonas", "phone", "sam")):
        await making.move(talks[person], timedelta(days=days, hours=2 + 5 * days))
    return talks


async def _write(house: House, web: Connected, message: str, words: str) -> None:
    replies = len(house.replies(web))
    sender = {"id": "priya", "name": "Priya Nair"}
    body = {"type": "message", "id": message, "sender": sender, "text": words}
    status, _ = await house.post_bytes(web, message, json.dumps(body).encode())
    assert status == 200
    await house.wait_replies(web, replies + 1)


async def _step_in(
    house: House, tenant: LabTenant, owner: StaffMember, talks: dict[str, ConversationId]
) -> None:
    """What coaches did and wrote down."""
    services, actor = house.services, f"staff:{owner.id}"
    taken = await services.takeovers.take(tenant.id, talks["emma"], actor=actor, name=owner.name)
    await services.takeovers.say(tenant.id, taken.id, "Hello Emma, this is Maria. Let us look.")
    await services.notes.add(tenant.id, talks["emma"], "Moves house in May.", author=actor)
    for title, words in (
        ("Welcome", "Welcome to Northwind Running!"),
        ("Injury", "Please see a doctor first; we wait for you."),
    ):
        await services.canned_replies.save(tenant.id, title, words)
    await services.keys.create(tenant.id, "website", ["read"], actor=actor)
    await services.monitors.usage.rebuild(tenant.id)


async def _describe(
    house: House,
    tenant: LabTenant,
    owner: StaffMember,
    talks: dict[str, ConversationId],
    document: UUID,
    bot: LabConnection[Any],
) -> Practice:
    said = await house.services.transcripts.tail(
        tenant.id, talks["ana"], before_seq=2**62, limit=10
    )
    shown = await house.services.transcripts.get_conversation(tenant.id, talks["ana"])
    endpoints = house.services.monitors.endpoints
    made = await endpoints.add(
        tenant.id, f"https://{'long' * 15}.example.org/{'x' * 300}", signature="ed25519", actor="t"
    )
    return Practice(
        tenant_id=tenant.id,
        owner=owner,
        conversation=talks["emma"],
        proposed=talks["tom"],
        hostile=talks["sam"],
        asked=talks["ana"],
        learner=shown.learner_id,
        event=said[0].id,
        document=document,
        connection=bot.id,
        endpoint=made.endpoint.id,
        delivery=await endpoints.send_test(tenant.id, made.endpoint.id, actor="t"),
    )
