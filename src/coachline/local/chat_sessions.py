"""What the open demo pages of this process are shown. Memory only: the truth is PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from coachline.foundation.errors import NotFound, TooManyRequests, Unavailable

HEARTBEAT_SECONDS: Final = 15.0
MOST_SESSIONS: Final = 500
STREAMS_PER_SESSION: Final = 4
_KEPT_REPLIES: Final = 20
_RETRY_MILLISECONDS: Final = 1_000


class SessionUnknown(NotFound):
    """No message of this session came in since the server started."""

    code = "session_unknown"


@dataclass(slots=True)
class _Session:
    # (number, server-sent event); a draft is only ever the newest one, so a slow reader skips
    # drafts and nothing piles up for it.
    replies: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=_KEPT_REPLIES))
    draft: tuple[int, str] | None = None
    last: int = 0
    streams: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, event: str, data: Mapping[str, object], *, is_final: bool) -> None:
        self.last += 1
        item = (self.last, f"event: {event}\ndata: {json.dumps(data)}\n\n")
        if is_final:
            self.replies.append(item)
            self.draft = None
        else:
            self.draft = item
        self.wake()

    def wake(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def after(self, seen: int) -> str:
        items = [*self.replies, *([self.draft] if self.draft else [])]
        return "".join(text for number, text in items if number > seen)


class ChatSessions:
    """Fans replies out to the streams of each session.

    A stream begins with the last replies of its session, so one that was cut loses nothing; the
    page shows each reply once. Of the sessions beyond :data:`MOST_SESSIONS`, those that were quiet
    longest and have no stream are forgotten.
    """

    def __init__(self, *, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat_seconds = heartbeat_seconds
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._is_closed = False

    def note(self, session_id: str) -> None:
        """Remember that this session is alive."""
        self._touch(session_id)

    def publish(
        self, session_id: str, event: str, data: Mapping[str, object], *, is_final: bool
    ) -> None:
        """Show something to every stream of a session. Only final things are kept for later."""
        self._touch(session_id).publish(event, data, is_final=is_final)

    def _touch(self, session_id: str) -> _Session:
        session = self._sessions.setdefault(session_id, _Session())
        self._sessions.move_to_end(session_id)
        if len(self._sessions) > MOST_SESSIONS:
            idle = (name for name, known in self._sessions.items() if not known.streams)
            self._sessions.pop(next(idle, session_id), None)
        return session

    def open_stream(self, session_id: str) -> AsyncIterator[str]:
        """Server-sent events of a session, until the reader leaves or :meth:`close`.

        Raises:
            SessionUnknown: nothing came from it yet.
            TooManyRequests: it has as many streams as it may.
            Unavailable: the server is stopping.
        """
        if self._is_closed:
            raise Unavailable("The server is stopping.")
        session = self._sessions.get(session_id)
        if session is None:
            raise SessionUnknown("Nothing was written in this session yet.")
        if session.streams >= STREAMS_PER_SESSION:
            raise TooManyRequests("This chat is open in too many places.")
        return self._events(session)

    async def _events(self, session: _Session) -> AsyncIterator[str]:
        session.streams += 1
        try:
            yield f"retry: {_RETRY_MILLISECONDS}\n\n"
            seen = 0
            while not self._is_closed:
                changed = session.changed
                if text := session.after(seen):
                    seen = session.last
                    yield text
                    continue
                try:
                    async with asyncio.timeout(self._heartbeat_seconds):
                        await changed.wait()
                except TimeoutError:
                    # A comment: it keeps proxies from closing, and finds out who has left.
                    yield ": still here\n\n"
        finally:
            session.streams -= 1

    def close(self) -> None:
        """End every stream and open none any more."""
        self._is_closed = True
        for session in self._sessions.values():
            session.wake()
