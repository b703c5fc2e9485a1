"""``coachline usage``: what a tenant's days add up to, and adding it up anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from coachline.cli.support import WRONG_USE, emit, fail, open_services, run

if TYPE_CHECKING:
    from coachline.monitoring import Figures, Histogram

app = typer.Typer(help="Show what a tenant's days add up to.")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
TenantName = Annotated[str | None, typer.Option("--tenant", "-t", help="The tenant's name.")]


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    tenant: TenantName = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many; the last is today.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Show a tenant's days, quiet ones left out, in its time zone."""
    if context.invoked_subcommand is not None:
        return
    name = _named(tenant)

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(name)
            profile = await services.tenants.profile(found.id)
            report = await services.monitors.usage.read(
                found.id, days=days, time_zone=profile.time_zone
            )
        rows = [
            {"day": day.day.isoformat(), **_shown(day.total)}
            for day in report.days
            if as_json or any(day.by_channel)
        ]
        total = {"day": "total", **_shown(report.total)}
        if as_json:
            told = {"time_zone": report.time_zone, "total": _shown(report.total), "days": rows}
            emit(told, as_json)
        else:
            emit([*rows, total], as_json)

    run(work)


@app.command()
def rebuild(tenant: TenantName = None, as_json: AsJson = False) -> None:
    """Add a tenant's days up anew, in the time zone that it has now."""
    name = _named(tenant)

    async def work() -> None:
        async with open_services() as services:
            found = await services.tenants.get_by_name(name)
            emit({"days": await services.monitors.usage.rebuild(found.id)}, as_json)

    run(work)


def _named(tenant: str | None) -> str:
    if tenant is None:
        fail("Say whose: --tenant NAME.", code=WRONG_USE)
    return tenant or ""


def _shown(figures: Figures) -> dict[str, Any]:
    share = figures.share_without_coach
    return {
        "messages": figures.messages,
        "learners": figures.learners,
        "replies": figures.replies,
        "without_coach": None if share is None else round(share, 3),
        "failures": figures.failures,
        "opt_outs": figures.opt_outs,
        "first_answer_seconds": _middle(figures.first_answers),
        "model_seconds": _middle(figures.model_times),
    }


def _middle(times: Histogram) -> float | None:
    median = times.quantile(0.5)
    return None if median is None else round(median, 2)
