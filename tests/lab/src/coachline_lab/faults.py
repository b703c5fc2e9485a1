"""What goes wrong with calls of a fake platform's API: on demand, and the same again by a seed."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """What happens to one call. "Accepted" means that the platform did what was asked."""

    NONE = "none"
    RATE_LIMITED = "rate_limited"
    """Not accepted: 429, asking for ``Fault.retry_after`` seconds."""
    SERVER_ERROR = "server_error"
    """Not accepted: a 5xx in the platform's own words."""
    SERVER_ERROR_AFTER_ACCEPT = "server_error_after_accept"
    """Accepted, and answered with a 5xx all the same."""
    HTML_ERROR = "html_error"
    """Not accepted: 502 with a page of HTML, as a proxy in front of the platform sends it."""
    CUT_BEFORE_ACCEPT = "cut_before_accept"
    """Not accepted: the TCP connection breaks without an answer."""
    CUT_AFTER_ACCEPT = "cut_after_accept"
    """Accepted: the TCP connection breaks instead of the answer."""
    SLOW = "slow"
    """Accepted at once, answered after ``Fault.seconds``."""
    REJECTED = "rejected"
    """Not accepted: the platform's refusal ``Fault.error``, with ``Fault.status`` or ``code``."""
    DYING_STREAM = "dying_stream"
    """The stream that the call is about is no longer one; for other calls as NONE."""


AFTER_ACCEPT: Final = frozenset(
    {Mode.NONE, Mode.SERVER_ERROR_AFTER_ACCEPT, Mode.CUT_AFTER_ACCEPT, Mode.SLOW}
)
"""The modes under which a valid call has its effect."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    ``seconds`` belongs to SLOW and ``retry_after`` (seconds) to RATE_LIMITED; ``error``, ``status``
    (HTTP) and ``code`` (the platform's own number) to REJECTED, where the platform has them;
    ``status`` also replaces the 500 of the server errors.
    """

    mode: Mode = Mode.NONE
    seconds: float = 0.5
    retry_after: int = 1
    error: str = ""
    status: int | None = None
    code: int | None = None

    @property
    def is_accepting(self) -> bool:
        """Whether a valid call under this fault has its effect."""
        return self.mode in AFTER_ACCEPT


NO_FAULT: Final = Fault()


@dataclass(slots=True)
class _Planned:
    fault: Fault
    method: str | None
    left: int


@dataclass(slots=True)
class _Share:
    fault: Fault
    method: str | None
    fraction: float
    draw: random.Random


@dataclass(slots=True)
class Faults:
    """Decides about every call of one fake platform. Planned faults go before shares.

    A ``method`` is the platform's name of a call (``sendMessage``, ``chat.postMessage``,
    ``Messages.create``) in any case; None means every call.
    """

    _planned: deque[_Planned] = field(default_factory=deque)
    _shares: list[_Share] = field(default_factory=list)

    def next(
        self,
        times: int,
        mode: Mode,
        *,
        method: str | None = None,
        seconds: float = 0.5,
        retry_after: int = 1,
        error: str = "",
        status: int | None = None,
        code: int | None = None,
    ) -> None:
        """Let the next ``times`` calls of ``method`` go wrong like this; then as before."""
        fault = Fault(mode, seconds, retry_after, error, status, code)
        self._planned.append(_Planned(fault, _folded(method), times))

    def share(
        self,
        mode: Mode,
        fraction: float,
        seed: int,
        method: str | None = None,
        *,
        seconds: float = 0.5,
        retry_after: int = 1,
        status: int | None = None,
    ) -> None:
        """Let this fraction (0 to 1) of the calls of ``method`` go wrong like this.

        Drawn by ``seed`` in the order of the calls. Every share draws by itself; the first hit in
        the order in which they were given decides.
        """
        fault = Fault(mode, seconds, retry_after, "", status)
        # Repeatable on purpose: this is no secret.
        draw = random.Random(seed)
        self._shares.append(_Share(fault, _folded(method), fraction, draw))

    def clear(self) -> None:
        """Let everything go right again."""
        self._planned.clear()
        self._shares.clear()

    def take(self, method: str) -> Fault:
        """Return what happens to this call of ``method``. Asked once per call, by the fake."""
        name = method.casefold()
        for planned in self._planned:
            if planned.method in (None, name) and planned.left > 0:
                planned.left -= 1
                if not planned.left:
                    self._planned.remove(planned)
                return planned.fault
        hit = NO_FAULT
        for share in self._shares:
            # Each draws at each of its calls, hit or not: one share does not move another.
            if share.method in (None, name) and share.draw.random() < share.fraction:
                hit = hit if hit is not NO_FAULT else share.fault
        return hit


def _folded(method: str | None) -> str | None:
    return None if method is None else method.casefold()
