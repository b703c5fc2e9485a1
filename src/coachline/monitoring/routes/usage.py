"""REST of what the tenant's days add up to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from coachline.foundation.http import Caller, Guard
from coachline.monitoring.histogram import Histogram
from coachline.monitoring.usage import MOST_DAYS, Usage
from coachline.monitoring.usage_figures import Figures
from coachline.monitoring.usage_report import UsageReport
from coachline.monitoring.usage_schemas import FiguresOut, UsageDayOut, UsageOut, WaitsOut
from coachline.tenancy import Tenants


class UsageRoutes:
    """``/api/v1/usage`` of the caller's tenant."""

    def __init__(self, usage: Usage, tenants: Tenants, guard: Guard) -> None:
        self._usage = usage
        self._tenants = tenants
        self.router = APIRouter(prefix="/api/v1", tags=["monitoring"])
        self.router.add_api_route(
            "/usage", self.read, methods=["GET"], dependencies=[Depends(guard.scope("read"))]
        )

    async def read(
        self,
        caller: Caller,
        days: Annotated[int, Query(ge=1, le=MOST_DAYS, description="The last one is today.")] = 30,
    ) -> UsageOut:
        """Read what happened day by day, in days of the tenant's time zone."""
        profile = await self._tenants.profile(caller.tenant_id)
        report = await self._usage.read(caller.tenant_id, days=days, time_zone=profile.time_zone)
        return usage_out(report)


def usage_out(report: UsageReport) -> UsageOut:
    """A report as it is told outside."""
    return UsageOut(
        time_zone=report.time_zone,
        total=_figures(report.total),
        by_channel={name: _figures(found) for name, found in report.by_channel.items()},
        days=[
            UsageDayOut(
                day=day.day,
                total=_figures(day.total),
                by_channel={name: _figures(found) for name, found in day.by_channel.items()},
            )
            for day in report.days
        ],
    )


def _figures(found: Figures) -> FiguresOut:
    return FiguresOut(
        messages=found.messages,
        bot_replies=found.bot_replies,
        coach_replies=found.coach_replies,
        notices=found.notices,
        bot_answers=found.bot_answers,
        coach_answers=found.coach_answers,
        failed_replies=found.failed_replies,
        failed_turns=found.failed_turns,
        opt_outs=found.opt_outs,
        learners=found.learners,
        conversations=found.conversations,
        first_answer=_waits(found.first_answers),
        model=_waits(found.model_times),
    )


def _waits(found: Histogram) -> WaitsOut:
    return WaitsOut(
        count=found.total,
        median_seconds=_rounded(found.quantile(0.5)),
        p90_seconds=_rounded(found.quantile(0.9)),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
