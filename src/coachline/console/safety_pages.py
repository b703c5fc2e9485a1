"""What was judged unsafe, with the words that it is about, and a text to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypedDict, cast, get_args
from uuid import UUID

from coachline.console.people import People
from coachline.conversation import (
    Direction,
    Judgement,
    ReviewStatus,
    Safeguard,
    SafetyReview,
    SafetyReviews,
)
from coachline.foundation.database import Database
from coachline.foundation.errors import InvalidInput
from coachline.foundation.ids import TenantId
from coachline.messaging import Texts
from coachline.tenancy import Tenants

Shown = Literal["waiting", "approved", "rejected"]

SAFETY_FIELDS: Final = frozenset(
    {
        "allowed_hosts",
        "crisis_script",
        "safety_model",
        "safety_concern_score",
        "safety_crisis_score",
    }
)
"""The fields of a profile that stand on the page of safety, not on that of the bot."""

DIRECTIONS: Final[Mapping[Direction, str]] = MappingProxyType(
    {"incoming": "a learner writes it", "outgoing": "it is about to be said to one"}
)
"""Whose words are tried, for people."""

_MOST_SHOWN: Final = 1_000


class _Wanted(TypedDict, total=False):
    status: ReviewStatus
    is_decided: bool


_WANTED: Final[Mapping[Shown, _Wanted]] = MappingProxyType(
    {
        "waiting": {"is_decided": False},
        "approved": {"status": "approved"},
        "rejected": {"status": "rejected"},
    }
)


@dataclass(frozen=True, slots=True)
class ReviewShown:
    """A review, the words that it is about, and who decided.

    ``text`` is None where nothing is left of it; ``is_cut`` says that there is more.
    """

    review: SafetyReview
    text: str | None
    is_cut: bool
    decided_by: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A text that somebody tries, and how it is judged; None before."""

    text: str = ""
    language: str = ""
    direction: str = "incoming"
    judged: Judgement | None = None
    fault: str = ""


class ReviewDesk:
    """Lists reviews with their words, and tries texts."""

    def __init__(
        self,
        reviews: SafetyReviews,
        guard: Safeguard,
        tenants: Tenants,
        people: People,
        database: Database,
    ) -> None:
        self._reviews = reviews
        self._guard = guard
        self._tenants = tenants
        self._people = people
        self._database = database
        self._texts = Texts()

    async def list(
        self, tenant_id: TenantId, shown: Shown, *, before: UUID | None, limit: int
    ) -> Sequence[ReviewShown]:
        """Reviews before an id, newest first."""
        found = await self._reviews.list(tenant_id, before=before, limit=limit, **_WANTED[shown])
        async with self._database.tenant(tenant_id) as session:
            events = [one.event_id for one in found if one.event_id is not None]
            heard = await self._texts.list_heard(session, events)
            answers = [one.turn_id for one in found if one.event_id is None]
            said = await self._texts.list_said(session, answers)
        names = await self._people.names(
            tenant_id, {one.decided_by for one in found if one.decided_by}
        )
        return [
            _shown(one, (said if one.event_id is None else heard).get(one.turn_id), names)
            for one in found
        ]

    async def judge(self, tenant_id: TenantId, tried: Tried) -> Judgement:
        """How the tenant's rules, scores and model judge a text.

        Raises:
            InvalidInput: there is nothing to judge, or not as this.
        """
        if not tried.text.strip():
            raise InvalidInput("There is no text to judge.")
        if tried.direction not in get_args(Direction):
            raise InvalidInput("Say whose words these are.")
        profile = await self._tenants.profile(tenant_id)
        return await self._guard.judge(
            profile,
            tried.text,
            language=tried.language.strip() or profile.language,
            direction=cast("Direction", tried.direction),
        )


def _shown(review: SafetyReview, text: str | None, names: Mapping[str, str]) -> ReviewShown:
    return ReviewShown(
        review=review,
        text=None if text is None else text[:_MOST_SHOWN],
        is_cut=text is not None and len(text) > _MOST_SHOWN,
        decided_by=names.get(review.decided_by or "", ""),
    )
