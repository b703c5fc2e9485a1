"""Row 49: a gateway is lost after its backup, and another one goes on from that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from coachline.bootstrap import Backups
from coachline.foundation.ids import ReplyId, TenantId
from coachline.foundation.seal import parse_master_keys
from coachline.local import ensure_database
from faults.findings import Figures, Finding, Run, Scale
from faults.premises import DATABASE, ROLES, Servers, open_servers
from fixtures.gateway import Connected
from fixtures.house import House, ground_on, make_master_key, open_house
from fixtures.waiting import until
from lab.callback_receiver import Answer, CallbackReceiver

_TALKS: Final[Mapping[Scale, int]] = MappingProxyType(
    {"pull-request": 3, "nightly": 100, "release": 500}
)
"""Of each of the two tenants."""
_WAIT_SECONDS: Final = 120.0
_RESTORED: Final = "coachline_restored"
_UNSETTLED: Final = "select count(*) from outbox_reply where state in ('pending', 'sending')"
_UNSEEN: Final = "select count(*) from inbox_event where state = 'new'"
_IDS: Final = "select external_id from inbox_event"
_HELD: Final = "select id, tenant_id from outbox_reply where state = 'unknown'"


@dataclass
class _Loss:
    """One loss and what came back from it. Words are kinds of messages: one in every talk."""

    servers: Servers
    receiver: CallbackReceiver
    talks: int
    backup: Path
    keys: str = field(default_factory=make_master_key)
    to: list[Connected] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    sent_since: set[str] = field(default_factory=set)
    """Replies that the old gateway sent after the backup."""

    async def live_and_die(self) -> None:
        """Back up when every talk has a message answered, one whose answer waits, and a new one.

        The old gateway sends a half of what waited after that, and is gone.
        """
        ground = ground_on(self.servers.postgres, ROLES, DATABASE)
        keys = SecretStr(self.keys)
        async with open_house(ground, receiver=self.receiver, master_keys=keys) as house:
            self.to = [await house.connect(f"restore-{word}") for word in ("a", "b")]
            await self.write(house, "answered")
            await self.wait_answered("answered")
            self.receiver.share({Answer.RATE_LIMITED: 1.0})
            await self.write(house, "waiting")
            await self.wait_for(DATABASE, _UNSETTLED, self.talks * len(self.to))
            # No turn begins before the answer to the one before it is out.
            await self.write(house, "new")
            await Backups(self.owner_url(DATABASE)).write(self.backup)
            known = {reply.webhook_id for reply in self.receiver.accepted}
            self.receiver.plan(*[Answer.OK] * self.talks)
            half = len(known) + self.talks
            await until(lambda: len(self.receiver.accepted) == half, seconds=_WAIT_SECONDS)
        self.sent_since = {reply.webhook_id for reply in self.receiver.accepted} - known
        self.receiver.share({})

    async def come_back(self) -> Figures:
        """Let another gateway go on from the backup, and a person decide; what came of it."""
        await ensure_database(self.servers.postgres, database=_RESTORED, roles=ROLES)
        seal = parse_master_keys(self.keys)
        await Backups(self.owner_url(_RESTORED)).restore(self.backup, seal)
        before = set(self.accepted)
        held = {str(row[0]): TenantId(row[1]) for row in await self.rows(_RESTORED, _HELD)}
        calls = self.calls({*held})
        ground = ground_on(self.servers.postgres, ROLES, _RESTORED)
        keys = SecretStr(self.keys)
        async with open_house(ground, receiver=self.receiver, master_keys=keys) as house:
            # What comes now is answered, and so is what was accepted and not answered.
            for to in self.to:
                to.inbound_url = f"{house.url}/webhooks/{to.connection_id}"
            await self.write(house, "after")
            await self.wait_answered("after")
            await self.wait_for(_RESTORED, _UNSEEN, 0)
            resent = self.calls({*held}) - calls
            released = await self._decide(house, held)
        stored = {row[0] for row in await self.rows(_RESTORED, _IDS)}
        return {
            "accepted_before_backup": len(before),
            "lost": len(before - stored | before - self.answers().keys()),
            "replies_held": len(held),
            "sent_by_the_old_gateway_since": len(self.sent_since),
            "re_sent": resent.total(),
            "released_by_a_person": len(released),
            "released_and_taken_once": self.taken_once(released),
            "answered_twice": sum(count > 1 for count in self.answers().values()),
        }

    async def _decide(self, house: House, held: Mapping[str, TenantId]) -> list[str]:
        """As a person who knows what arrived: drop what did, send the rest; what was sent."""
        troubles = house.services.troubles
        for reply, tenant_id in held.items():
            reply_id = ReplyId(UUID(reply))
            if reply in self.sent_since:
                await troubles.drop(tenant_id, reply_id, actor="test")
            else:
                await troubles.retry(tenant_id, reply_id, actor="test")
        released = [reply for reply in held if reply not in self.sent_since]
        # What never comes is counted; that says more than a time-out.
        with suppress(TimeoutError):
            await until(lambda: self.taken_once(released) == len(released), seconds=_WAIT_SECONDS)
        return released

    async def write(self, house: House, word: str) -> None:
        """Have one message of every talk accepted."""
        for to in self.to:
            for talk in range(self.talks):
                name = f"{word}-{talk}-{to.tenant}"
                status, found = await house.post(to, name, word, sender=f"learner-{talk}")
                if status != 200:
                    raise RuntimeError(f"a message was refused: {status} {found}")
                self.accepted.add(name)

    async def wait_answered(self, word: str) -> None:
        """Wait until the answers to all messages of this kind were taken."""
        wanted = {name for name in self.accepted if name.startswith(word)}
        await until(lambda: not wanted - self.answers().keys(), seconds=_WAIT_SECONDS)

    def answers(self) -> Counter[str]:
        """How many different answers to each message were taken."""
        taken = self.receiver.accepted
        return Counter(event for reply in taken for event in reply.body["in_reply_to"])

    def taken_once(self, replies: list[str]) -> int:
        """How many of these were taken exactly once."""
        taken = Counter(reply.webhook_id for reply in self.receiver.accepted)
        return sum(taken[reply] == 1 for reply in replies)

    def calls(self, replies: set[str]) -> Counter[str]:
        """How often the receiver was asked to take each of these."""
        tried = self.receiver.attempts
        return Counter(one.webhook_id for one in tried if one.webhook_id in replies)

    async def wait_for(self, database: str, query: str, count: int) -> None:
        """Wait until a count over the rows of all tenants is so."""

        async def is_so() -> bool:
            return bool((await self.rows(database, query))[0][0] == count)

        await until(is_so, seconds=_WAIT_SECONDS)

    async def rows(self, database: str, query: str) -> list[asyncpg.Record]:
        """Rows of all tenants."""
        connection = await asyncpg.connect(self.servers.postgres.admin_url(database))
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    def owner_url(self, database: str) -> str:
        """A database as the owner of its schema."""
        return self.servers.postgres.url("coachline_owner", ROLES["coachline_owner"], database)


async def check_restores(run: Run) -> Finding:
    """Back up while answers wait, lose the gateway, restore, and let a person decide."""
    async with open_servers(run.folder) as servers, CallbackReceiver() as receiver:
        loss = _Loss(servers, receiver, _TALKS[run.scale], run.folder / "all.backup")
        run.say("restores: a gateway with answers that wait")
        await loss.live_and_die()
        run.say("restores: another one goes on from the backup")
        figures = await loss.come_back()
    return _judge(figures, waiting=loss.talks * len(loss.to))


def _judge(figures: Figures, *, waiting: int) -> Finding:
    wanted = {
        "lost": 0,
        "re_sent": 0,
        "replies_held": waiting,
        "released_and_taken_once": figures["released_by_a_person"],
    }
    wrong = [
        f"{name}: {figures[name]} instead of {value}"
        for name, value in wanted.items()
        if figures[name] != value
    ]
    if not figures["released_by_a_person"]:
        wrong.append("everything had been sent: nothing was left to be decided")
    return Finding(49, "restores", figures, is_met=not wrong, problem="; ".join(wrong))
