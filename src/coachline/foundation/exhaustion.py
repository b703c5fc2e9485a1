"""Tells a process that has nothing left to work with from what is wrong with one job."""

from __future__ import annotations

import errno

from coachline.foundation.errors import CoachlineError

EXHAUSTED = "This process has no memory, files or threads left; start it anew, or allow more."
"""What a person is told."""

_NO_MORE = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE})
# All that CPython says where the system gives it no thread.
_NO_THREAD = "can't start new thread"


class ResourcesExhausted(CoachlineError):
    """This process met a limit of the system; only a new one can go on."""

    code = "resources_exhausted"


def is_exhausted(error: BaseException) -> bool:
    """Whether memory, files or threads ran out, here or in what ``error`` came from.

    Who meets such a limit fails at whatever it is given, sooner than others succeed: left alone,
    it would take the jobs of a whole installation and fail each.
    """
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, MemoryError):
            return True
        if isinstance(one, OSError) and one.errno in _NO_MORE:
            return True
        if isinstance(one, RuntimeError) and str(one) == _NO_THREAD:
            return True
        left += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
    return False
