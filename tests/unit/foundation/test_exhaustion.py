"""Which errors say that a process has nothing left to work with."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from coachline.foundation.exhaustion import is_exhausted

_THREADS = """
import resource, threading, time
from coachline.foundation.exhaustion import is_exhausted
status = open("/proc/self/status").read()
size = int(status.split("VmSize:")[1].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, size + 2**26))
try:
    for _ in range(1000):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
except RuntimeError as error:
    print(is_exhausted(error), flush=True)
import os
os._exit(0)
"""


def _raised(error: Exception, before: BaseException | None = None) -> Exception:
    """An error that was raised because of another, or while another was handled."""
    try:
        try:
            if before is not None:
                raise before
        finally:
            raise error
    except Exception as caught:  # noqa: BLE001 (whatever was given)
        return caught


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.EMFILE, "too many open files"),
        OSError(errno.ENFILE, "too many open files in the system"),
        OSError(errno.ENOMEM, "cannot allocate"),
        _raised(ValueError("no"), MemoryError()),
        ExceptionGroup("several", [ValueError("no"), MemoryError()]),
    ],
    ids=repr,
)
def test_who_has_nothing_left_is_told(error: Exception) -> None:
    assert is_exhausted(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("memory"),
        RuntimeError("another"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        TimeoutError(),
        _raised(ValueError("no"), KeyError("what")),
    ],
    ids=repr,
)
def test_other_errors_are_of_what_was_tried(error: Exception) -> None:
    assert not is_exhausted(error)


def test_errors_that_stand_in_a_circle_are_looked_at_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert not is_exhausted(one)


def test_what_python_says_where_there_is_no_thread_is_known() -> None:
    done = subprocess.run(  # noqa: S603 (the program is this Python)
        [sys.executable, "-c", _THREADS], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n", done.stderr
