"""Which tasks somebody began, whatever else runs in the same loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any


@contextmanager
def watch_tasks() -> Iterator[set[asyncio.Task[Any]]]:
    """Note every task that the body begins, and what those begin; nobody else's tasks are noted.

    A task inherits the context in which it is begun, so a mark in the body's context tells them
    from those of servers that work in the same loop meanwhile.
    """
    loop = asyncio.get_running_loop()
    mark: ContextVar[bool] = ContextVar("mark", default=False)
    begun: set[asyncio.Task[Any]] = set()
    usual = loop.get_task_factory()

    def begin(
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        context: Context | None = None,
    ) -> asyncio.Future[Any]:
        make: Callable[..., asyncio.Future[Any]] = usual or _make
        task = make(loop, work) if context is None else make(loop, work, context=context)
        if mark.get() and isinstance(task, asyncio.Task):
            begun.add(task)
        return task

    token = mark.set(True)
    loop.set_task_factory(begin)
    try:
        yield begun
    finally:
        loop.set_task_factory(usual)
        mark.reset(token)


def _make(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **given: Any
) -> asyncio.Future[Any]:
    return asyncio.Task(work, loop=loop, **given)
