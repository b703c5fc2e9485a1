"""A learner's rights, for owners: everything that is kept, and forgetting it."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import TypeAdapter

from coachline.console.errors import NotConfirmed
from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.conversation import Erasure, Export
from coachline.foundation.clock import Clock
from coachline.foundation.ids import LearnerId
from coachline.learners import Learners

WORD: Final = "ERASE"
"""What has to be typed before a learner is erased."""

_JSON: Final = TypeAdapter[Any](Any)


class LearnerPages:
    """``/console/learners/{id}/export`` and ``…/erase``."""

    def __init__(
        self,
        learners: Learners,
        export: Export,
        erasure: Erasure,
        clock: Clock,
        pages: Pages,
        desk: Desk,
    ) -> None:
        self._learners = learners
        self._export = export
        self._erasure = erasure
        self._clock = clock
        self._pages = pages
        self.router = APIRouter(
            prefix="/console/learners/{learner_id}",
            include_in_schema=False,
            dependencies=[Depends(desk.seat("admin"))],
        )
        self.router.add_api_route("/export", self.export, methods=["GET"])
        self.router.add_api_route("/erase", self.ask, methods=["GET"])
        self.router.add_api_route("/erase", self.erase, methods=["POST"])

    async def export(self, seat: Seated, learner_id: UUID) -> Response:
        """Everything that is kept of a learner, as a file."""
        found = await self._export.read(
            seat.tenant_id, LearnerId(learner_id), now=self._clock.now()
        )
        return Response(
            _JSON.dump_json(found, indent=2),
            media_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="learner-{learner_id}.json"'},
        )

    async def ask(self, request: Request, seat: Seated, learner_id: UUID) -> Response:
        """Say what erasing does, and ask for the word."""
        learner = await self._learners.get(seat.tenant_id, LearnerId(learner_id))
        return self._pages.render(request, "erase.html", seat, learner=learner, word=WORD)

    async def erase(
        self,
        request: Request,
        seat: Seated,
        learner_id: UUID,
        word: Annotated[str, Form(max_length=20)] = "",
    ) -> Response:
        """Forget a learner, once the word was typed."""
        if word.strip() != WORD:
            raise NotConfirmed(f"Nothing was erased: type {WORD} to confirm.")
        learner = await self._learners.get(seat.tenant_id, LearnerId(learner_id))
        await self._erasure.ask(seat.tenant_id, learner.id, actor=seat.actor)
        return self._pages.done(
            request,
            "/console/inbox",
            "The learner is forgotten. What was said is erased within the hour.",
        )
