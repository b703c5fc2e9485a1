"""Endpoints as they are typed in, and their deliveries with what became of the last attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast, get_args
from uuid import UUID

from coachline.foundation.errors import CoachlineError
from coachline.foundation.ids import TenantId
from coachline.learners import LearnerNotFound
from coachline.monitoring import (
    EVENT_TYPES,
    Deliveries,
    DeliveryState,
    Endpoint,
    EndpointChanges,
    EndpointInvalid,
    Endpoints,
    EventTypeUnknown,
    MadeAttempt,
    MonitorDelivery,
    NewSecret,
    Redaction,
    Signature,
    TooManyEndpoints,
)

REDACTIONS: Final[Mapping[Redaction, str]] = MappingProxyType(
    {
        "none": "as it was said",
        "masked": "every letter and digit hidden",
        "ids": "left out",
    }
)
"""What an endpoint may be told of texts, for people."""

SIGNATURES: Final[Mapping[Signature, str]] = MappingProxyType(
    {
        "shared": "a secret that both sides know",
        "ed25519": "our key; the receiver knows its public half",
    }
)
"""How deliveries are signed, for people."""

DISABLED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "asked": "Somebody disabled it.",
        "gone": "It answered 410: it is there no more.",
        "failing": "It took nothing for five days.",
    }
)
"""Why an endpoint is told nothing, for people."""

_NO_FAULTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EndpointTyped:
    """What stands in the form of an endpoint, and what is wrong with it.

    ``faults`` are by field; ``fault`` is about the whole.
    """

    url: str = ""
    types: tuple[str, ...] = ()
    learner_id: str = ""
    redaction: str = "none"
    signature: str = "shared"
    faults: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointTyped:
        """The form of an endpoint as it is."""
        return cls(
            url=endpoint.url,
            types=endpoint.types,
            learner_id=str(endpoint.learner_id or ""),
            redaction=endpoint.redaction,
            signature=endpoint.signature,
        )


class NotKept(Exception):
    """What was typed makes no endpoint; ``faults`` are by field, ``fault`` is about the whole."""

    def __init__(self, faults: Mapping[str, str], fault: str = "", status: int = 422) -> None:
        super().__init__()
        self.faults = faults
        self.fault = fault
        self.status = status


@dataclass(frozen=True, slots=True)
class DeliveryShown:
    """A delivery, and the latest attempt that was made."""

    delivery: MonitorDelivery
    last: MadeAttempt | None


class MonitorDesk:
    """Reads the form of an endpoint, and lists what an endpoint was told."""

    def __init__(self, endpoints: Endpoints, deliveries: Deliveries) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries

    async def add(self, tenant_id: TenantId, typed: EndpointTyped, *, actor: str) -> NewSecret:
        """Have an address told what happens.

        Raises:
            NotKept: what was typed cannot be used.
        """
        wanted = _read(typed)
        if typed.signature not in get_args(Signature):
            raise NotKept({"signature": "Choose one of these."})
        try:
            return await self._endpoints.add(
                tenant_id, **wanted, signature=cast("Signature", typed.signature), actor=actor
            )
        except (EndpointInvalid, EventTypeUnknown, LearnerNotFound, TooManyEndpoints) as error:
            raise _blame(error) from None

    async def change(
        self, tenant_id: TenantId, endpoint: Endpoint, typed: EndpointTyped, *, actor: str
    ) -> bool:
        """Change what differs from the endpoint as it is; whether anything did.

        Raises:
            NotKept: what was typed cannot be used.
        """
        wanted = _read(typed)
        present = _read(EndpointTyped.of(endpoint))
        changes = {name: value for name, value in wanted.items() if value != present[name]}
        if not changes:
            return False
        try:
            await self._endpoints.change(
                tenant_id, endpoint.id, cast("EndpointChanges", changes), actor=actor
            )
        except (EndpointInvalid, EventTypeUnknown, LearnerNotFound) as error:
            raise _blame(error) from None
        return True

    async def list_deliveries(
        self,
        tenant_id: TenantId,
        endpoint_id: UUID,
        *,
        state: DeliveryState | None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[DeliveryShown]:
        """What an endpoint was told before an id, newest first."""
        found = await self._deliveries.list(
            tenant_id, endpoint_id=endpoint_id, state=state, before=before, limit=limit
        )
        last = await self._deliveries.list_last_attempts(tenant_id, [one.id for one in found])
        return [DeliveryShown(one, last.get(one.id)) for one in found]


def event_groups() -> Mapping[str, Sequence[str]]:
    """Every type of event, by what comes before the dot."""
    groups: dict[str, list[str]] = {}
    for name in EVENT_TYPES:
        groups.setdefault(name.partition(".")[0], []).append(name)
    return groups


def about(name: str) -> str:
    """The first sentence of what a type of event says."""
    words = (EVENT_TYPES[name].__doc__ or "").strip().split("\n")[0]
    return words.partition("`")[0].strip()


def written(body: Mapping[str, Any]) -> str:
    """A body as people read it."""
    return json.dumps(body, ensure_ascii=False, indent=2)


def _read(typed: EndpointTyped) -> dict[str, Any]:
    """The values of a form as the service takes them."""
    faults = {}
    learner_id = None
    if typed.learner_id.strip():
        try:
            learner_id = UUID(typed.learner_id.strip())
        except ValueError:
            faults["learner_id"] = "This is no id of a learner."
    if typed.redaction not in get_args(Redaction):
        faults["redaction"] = "Choose one of these."
    if faults:
        raise NotKept(faults)
    return {
        "url": typed.url.strip(),
        "types": tuple(sorted(set(typed.types))),
        "learner_id": learner_id,
        "redaction": typed.redaction,
    }


def _blame(error: CoachlineError) -> NotKept:
    """Where to say what the service refused."""
    if isinstance(error, LearnerNotFound):
        return NotKept({"learner_id": error.message})
    if isinstance(error, EventTypeUnknown):
        return NotKept({"types": error.message})
    if isinstance(error, EndpointInvalid):
        return NotKept({"url": error.message})
    return NotKept(_NO_FAULTS, error.message, error.status)
