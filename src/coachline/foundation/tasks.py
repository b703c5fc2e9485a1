"""Work that must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def finish(work: Coroutine[Any, Any, Result]) -> Result:
    """Await ``work`` to its end, even when the caller is cancelled meanwhile.

    The cancellation is raised then, after the end; so ``work`` must be short and bounded, such as
    one transaction. Unlike :func:`asyncio.shield` this leaves nothing running behind the caller.

    Raises:
        asyncio.CancelledError: the caller was cancelled, and ``work`` has ended.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error from None
        raise
