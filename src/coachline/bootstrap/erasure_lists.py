"""Who was erased, as a file beside the backups, so that a restore can do it again.

The file holds ids and keyed marks, nothing that says who somebody was. It can be kept for as long
as the oldest backup, and read without the master keys.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from coachline.bootstrap.tenant_erasure import remove_tenant
from coachline.conversation import Overwriting
from coachline.foundation.clock import SystemClock
from coachline.foundation.database import Database, TenantSession
from coachline.foundation.engine import Engine
from coachline.foundation.errors import InvalidInput
from coachline.foundation.ids import ConnectionId, IdentityId, LearnerId, TenantId
from coachline.foundation.seal import Seal
from coachline.learners import (
    Consent,
    ErasureLedger,
    LearnerRights,
    LinkCodes,
    Tombstone,
)
from coachline.messaging import Belonging
from coachline.tenancy import AuditLog, ErasedTenants, Keys, Tenants

_FORMAT: Final = 1
_ACTOR: Final = "cli"


class ErasureListUnreadable(InvalidInput):
    """The file is no list of erasures."""

    code = "erasure_list_unreadable"


@dataclass(frozen=True, slots=True)
class ErasedLearner:
    """Who is to be erased again wherever they are found."""

    tenant_id: TenantId
    learner_id: LearnerId
    learners: tuple[LearnerId, ...]
    identities: tuple[IdentityId, ...]
    actor: str
    asked_at: datetime
    tombstones: tuple[Tombstone, ...]


@dataclass(frozen=True, slots=True)
class ErasureList:
    """Every erasure of an installation."""

    learners: tuple[ErasedLearner, ...] = ()
    tenants: tuple[TenantId, ...] = ()

    def __add__(self, other: ErasureList) -> ErasureList:
        """Return both, each learner and tenant once."""
        learners = {(one.tenant_id, one.learner_id): one for one in other.learners + self.learners}
        return ErasureList(
            tuple(learners.values()), tuple(dict.fromkeys(self.tenants + other.tenants))
        )


@dataclass(frozen=True, slots=True)
class Redone:
    """How many learners and tenants were there again and are erased now."""

    learners: int = 0
    tenants: int = 0


class ErasureLists:
    """Reads who was erased, and erases them again.

    Args:
        database: any role's to read; the owner's to erase again.
        seal: the master keys, for marks.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        clock = SystemClock()
        consent = Consent(clock)
        self._database = database
        self._clock = clock
        self._belonging = Belonging(seal)
        self._rights = LearnerRights(clock, consent, LinkCodes(clock, consent), seal)
        self._overwriting = Overwriting(self._belonging)
        self._ledger = ErasureLedger()
        self._erased = ErasedTenants(database)
        self._tenants = Tenants(database, Keys(database, clock), clock)
        self._audit = AuditLog(clock)

    async def read(self) -> ErasureList:
        """Return every erasure that the database knows.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        found: list[ErasedLearner] = []
        for tenant in await self._tenants.list():
            async with self._database.tenant(tenant.id) as session:
                for one in await self._ledger.list_all(session):
                    stones = await self._ledger.list_tombstones(session, one.id)
                    found.append(
                        ErasedLearner(
                            one.tenant_id,
                            one.learner_id,
                            one.learners,
                            one.identities,
                            one.actor,
                            one.asked_at,
                            tuple(stones),
                        )
                    )
        return ErasureList(tuple(found), tuple(one.id for one in await self._erased.list()))

    async def redo(self, erasures: ErasureList) -> Redone:
        """Erase again who is there and was erased; doing it twice changes nothing.

        Call it as the owner of the schema. What is under way of these learners is given up.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached; calling again helps.
        """
        there = {tenant.id for tenant in await self._tenants.list()}
        tenants = 0
        for tenant_id in erasures.tenants:
            if tenant_id in there:
                await remove_tenant(self._database, Engine(), tenant_id, actor=_ACTOR)
                there.discard(tenant_id)
                tenants += 1
        learners = 0
        for erased in erasures.learners:
            if erased.tenant_id in there:
                async with self._database.tenant(erased.tenant_id) as session:
                    learners += await self._redo(session, erased)
        return Redone(learners, tenants)

    async def _redo(self, session: TenantSession, erased: ErasedLearner) -> bool:
        """Erase one learner again; whether they were there."""
        erasure_id = await self._ledger.add(
            session, erased.learner_id, actor=erased.actor, asked_at=erased.asked_at
        )
        if erasure_id is None:
            return False
        # A backup may know them under another learner: of before a link, or of after one.
        is_there = False
        for identity_id in erased.identities:
            if await self._rights.bring_home(session, identity_id, erased.learner_id):
                await self._belonging.move(session, identity_id, erased.learner_id)
                is_there = True
        await self._rights.forget(session, erased.learner_id, heard={})
        await self._ledger.note_person(
            session, erased.learner_id, erased.learners, erased.identities
        )
        await self._ledger.bury(session, erasure_id, erased.tombstones)
        record = await self._ledger.find(session, erased.learner_id)
        if record is not None:
            await self._overwriting.look(session, record, now=self._clock.now(), is_final=True)
        await self._audit.record(
            session,
            actor=_ACTOR,
            action="learner.erase",
            object=f"learner:{erased.learner_id}",
            details={"again": True},
        )
        return is_there


def write_list(erasures: ErasureList, *, made_at: datetime) -> str:
    """The list as the text of a file."""
    found = {"format": _FORMAT, "made_at": made_at, **asdict(erasures)}
    return json.dumps(found, default=_as_text, indent=1) + "\n"


def read_list(text: str) -> ErasureList:
    """The list in the text of a file.

    Raises:
        ErasureListUnreadable: it is none.
    """
    try:
        found = json.loads(text)
        if found["format"] != _FORMAT:
            raise ErasureListUnreadable("The list has a format that this version does not know.")
        return ErasureList(
            tuple(_learner(one) for one in found["learners"]),
            tuple(TenantId(UUID(one)) for one in found["tenants"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ErasureListUnreadable("This file is no list of erasures.") from error


def _learner(one: dict[str, Any]) -> ErasedLearner:
    return ErasedLearner(
        tenant_id=TenantId(UUID(one["tenant_id"])),
        learner_id=LearnerId(UUID(one["learner_id"])),
        learners=tuple(LearnerId(UUID(id_)) for id_ in one["learners"]),
        identities=tuple(IdentityId(UUID(id_)) for id_ in one["identities"]),
        actor=str(one["actor"]),
        asked_at=datetime.fromisoformat(one["asked_at"]),
        tombstones=tuple(_tombstones(one["tombstones"])),
    )


def _tombstones(found: Sequence[dict[str, str]]) -> list[Tombstone]:
    return [
        Tombstone(
            ConnectionId(UUID(one["connection_id"])),
            one["mark"],
            datetime.fromisoformat(one["until"]),
        )
        for one in found
    ]


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
