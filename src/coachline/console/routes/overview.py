"""The page of pictures: how many, how fast, how well."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from coachline.console.overview import SPANS, overview
from coachline.console.pages import Pages
from coachline.console.routes.desk import Desk, Seated
from coachline.foundation.errors import InvalidInput
from coachline.monitoring import Usage


class OverviewRoutes:
    """``/console/overview``."""

    def __init__(self, usage: Usage, pages: Pages, desk: Desk) -> None:
        self._usage = usage
        self._pages = pages
        self.router = APIRouter(
            prefix="/console",
            include_in_schema=False,
            dependencies=[Depends(desk.seat("read"))],
        )
        self.router.add_api_route("/overview", self.show, methods=["GET"])

    async def show(
        self, request: Request, seat: Seated, days: Annotated[int, Query()] = 30
    ) -> Response:
        """The last days, in the organisation's time zone."""
        if days not in SPANS:
            raise InvalidInput(f"Look at {', '.join(map(str, SPANS))} days.")
        report = await self._usage.read(seat.tenant_id, days=days, time_zone=seat.time_zone.key)
        return self._pages.render(
            request,
            "overview.html",
            seat,
            spans=SPANS,
            days=days,
            report=report,
            pictures=overview(report),
        )
