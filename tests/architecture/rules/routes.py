"""Which routes of an application stand behind a key or a seat, and which do not."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from coachline.console.routes import SeatCheck
from coachline.foundation.http import ScopeCheck


def every_route(app: FastAPI, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Each path with whether a key or seat is asked for, routers and mounts looked through.

    What is mounted and is no FastAPI application counts as one open path.
    """
    for context in iter_route_contexts(app.routes):
        path = prefix + str(context.path or "")
        mounted = getattr(context.original_route, "app", None)
        if isinstance(mounted, FastAPI):
            yield from every_route(mounted, path)
        else:
            yield path, _is_guarded(context)


def unguarded_routes(app: FastAPI) -> set[str]:
    """Paths that anybody may call."""
    return {path for path, guarded in every_route(app) if not guarded}


def _is_guarded(context: RouteContext) -> bool:
    dependant = getattr(context, "dependant", None)
    return isinstance(dependant, Dependant) and any(_checks(dependant))


def _checks(dependant: Dependant) -> Iterator[bool]:
    for inner in dependant.dependencies:
        yield isinstance(inner.call, ScopeCheck | SeatCheck)
        yield from _checks(inner)
