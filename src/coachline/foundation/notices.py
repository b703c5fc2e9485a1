"""What PostgreSQL tells those who listen: a word on a channel, once the teller has committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from coachline.foundation.database import DatabaseUnavailable, translate_outages

_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 5.0
# A connection that broke without a word is found out by a question after so long a silence.
_SILENCE_SECONDS = 10.0


class Notices:
    """What was heard on one channel and not yet asked for. Made by :func:`listen`."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection
        self._heard: asyncio.Queue[str | None] = asyncio.Queue()

    def put(self, payload: str | None) -> None:
        """Keep what was told; None: nothing will be told any more."""
        self._heard.put_nowait(payload)

    async def take(self) -> set[str]:
        """Everything that was told since the last call, at least one; each once.

        Raises:
            DatabaseUnavailable: the connection is lost; what was told meanwhile is not known.
        """
        found = {await self._next()}
        while not self._heard.empty():
            found.add(self._told(self._heard.get_nowait()))
        return found

    async def _next(self) -> str:
        while True:
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    payload = await self._heard.get()
            except TimeoutError:
                with translate_outages():
                    await self._connection.execute("select 1")
                continue
            return self._told(payload)

    @staticmethod
    def _told(payload: str | None) -> str:
        if payload is None:
            raise DatabaseUnavailable("The connection that listened is lost.")
        return payload


@asynccontextmanager
async def listen(url: str, channel: str) -> AsyncIterator[Notices]:
    """Listen on a channel until the end of the block.

    Args:
        url: PostgreSQL, direct: no transaction pooler hands notifications on.
        channel: a name of ours, in lower case.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached.
    """
    with translate_outages():
        connection = await asyncpg.connect(
            url,
            timeout=_CONNECT_SECONDS,
            command_timeout=_STATEMENT_SECONDS,
            server_settings={"application_name": channel},
        )
    try:
        notices = Notices(connection)
        connection.add_termination_listener(lambda _: notices.put(None))
        with translate_outages():
            await connection.add_listener(
                channel, lambda _connection, _pid, _channel, payload: notices.put(str(payload))
            )
        yield notices
    finally:
        # Not `close`: nobody waits for the word of a server that may be gone.
        connection.terminate()


__all__ = ["Notices", "listen"]
