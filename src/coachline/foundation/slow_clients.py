"""HTTP connections that end when their client is too slow, sends too long a head, or never reads.

The server below waits for a request's head, its body and the taking of its answer for as long as a
client likes: a few hundred connections that drip a byte now and then would keep their sockets for
ever (CWE-400, "slowloris").
"""

from __future__ import annotations

import asyncio
import fcntl
import resource
import struct
import termios
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

_MOST_CONNECTIONS = 4096
# For the log, the databases, the platforms and what else this process opens.
_RESERVED_FILES = 224


def _most_connections() -> int:
    """What the process may open, less what it needs for itself, and never without bound."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(32, min(_MOST_CONNECTIONS, allowed - _RESERVED_FILES))


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What a client may take its time for.

    Attributes:
        head_seconds: from a connection, or the first byte of a next request, to the end of its
            head.
        head_bytes: the longest head.
        window_seconds: in each of these a body must bring ``window_bytes``, and so must a client
            take of an answer that waits for it.
        window_bytes: see ``window_seconds``.
        most_connections: above this the one that has waited longest for a head is closed, be it
            the first or the next of a connection.
    """

    head_seconds: float = 8.0
    head_bytes: int = 65_536
    window_seconds: float = 5.0
    window_bytes: int = 10_240
    most_connections: int = field(default_factory=_most_connections)


class ImpatientHttp(HttpToolsProtocol):
    """One connection of the server, closed when its client keeps it waiting.

    Args:
        limits: what a client may take its time for.
        waiting: the connections of this server that wait for a head, the oldest first.
        config: of the server, as are the others.
    """

    def __init__(
        self,
        limits: ClientLimits,
        waiting: dict[ImpatientHttp, None],
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._waiting = waiting
        self._reading: Literal["nothing", "head", "body"] = "nothing"
        self._received_bytes = 0
        self._began_with_us = False
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # as uvicorn's own
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for a first head, in the place of another if there are too many."""
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self._limits.most_connections:
            oldest = next(iter(self._waiting))
            # At once: it is told of its end later, and until then others may come.
            del self._waiting[oldest]
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._await_nothing()
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what came, and read it."""
        if self._reading == "nothing":
            # Also bytes that begin no request, such as empty lines: they would put off the end of
            # an idle connection for ever.
            self._await_head()
        self._received_bytes += len(data)
        super().data_received(data)
        if self._reading == "head" and self._received_bytes > self._limits.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The head is whole: now the body has to come."""
        self._await_nothing()
        self._reading = "body"
        super().on_headers_complete()
        self._watch_body()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._await_nothing()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is written: the client has to take what is left of it."""
        super().on_response_complete()
        self._watch_writing()

    def pause_writing(self) -> None:
        """The client does not take the answer as fast as it is made."""
        super().pause_writing()
        self._watch_writing()

    def _await_head(self) -> None:
        self._reading = "head"
        self._received_bytes = 0
        self._waiting[self] = None
        self._read_timer = self.loop.call_later(self._limits.head_seconds, self._judge_head)

    def _await_nothing(self) -> None:
        self._reading = "nothing"
        self._waiting.pop(self, None)
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _judge_head(self) -> None:
        if self.flow.read_paused:
            # It is this server that does not read on: an earlier request is under way.
            self._read_timer = self.loop.call_later(self._limits.head_seconds, self._judge_head)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _watch_body(self) -> None:
        self._received_bytes = 0
        self._began_with_us = self._waits_for_us()
        self._read_timer = self.loop.call_later(self._limits.window_seconds, self._judge_body)

    def _judge_body(self) -> None:
        # Whoever was asked for the body in the midst of a window has a whole one from then on.
        is_ours = self._began_with_us or self._waits_for_us()
        if self._received_bytes >= self._limits.window_bytes or is_ours:
            self._watch_body()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _waits_for_us(self) -> bool:
        """Whether it is this server that does not read on, or has not yet asked for the body."""
        asks_later = self.cycle is not None and self.cycle.waiting_for_100_continue
        return self.flow.read_paused or asks_later

    def _watch_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if size := self._untaken_bytes():
            seconds = self._limits.window_seconds
            self._write_timer = self.loop.call_later(seconds, self._judge_writing, size)
        elif self._is_idle():
            # It waits for its next head, and makes room like those that wait for their first.
            self._waiting[self] = None

    def _is_idle(self) -> bool:
        is_answered = self.cycle is not None and self.cycle.response_complete
        return is_answered and self._reading == "nothing" and not self.transport.is_closing()

    def _untaken_bytes(self) -> int:
        """What lies here of the answer, with what the system keeps of it; 0: nothing lies here."""
        size = self.transport.get_write_buffer_size()
        if not size:
            return 0
        # The system takes more only once a good part of its own, often megabytes, is gone, which
        # a client that takes steadily needs many windows for.
        peer = self.transport.get_extra_info("socket")
        try:
            kept = fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:
            # Its end is on the way.
            return size
        return size + int(struct.unpack("i", kept)[0])

    def _judge_writing(self, before: int) -> None:
        size = self._untaken_bytes()
        if size > max(0, before - self._limits.window_bytes) and self._is_left_behind():
            self.transport.abort()
        else:
            self._watch_writing()

    def _is_left_behind(self) -> bool:
        """Whether nothing new was written meanwhile, so that what is there is what was there."""
        if self.flow.write_paused or self.transport.is_closing():
            return True
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, status: HTTPStatus) -> None:
        self._await_nothing()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            # RFC 9110, section 15.5.9: the connection ends with it.
            self.transport.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\n"
                "connection: close\r\ncontent-length: 0\r\n\r\n".encode()
            )
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.close()
        # What is left of an answer is still to be taken, and nobody writes on.
        self._watch_writing()
