"""The first moments of an embedded server's process: runs as a script, then becomes the server.

It is a program of its own, not a ``preexec_fn``: Python code between fork and exec can hang in a
process that has threads, and the gateway has many. It imports the standard library only, so that
``python -I -S launch.py`` starts in about 20 ms.

What it can do, in this order (Linux; other systems skip what they do not have):

- for a server that refuses to run as root: enter a user namespace in which root's files belong to
  an ordinary account, or, where the system refuses that, become that account (see `Unprivileged`);
- ask the kernel to signal the server when the thread that started it ends, so that a ``kill -9``
  of the gateway leaves nothing running (``PR_SET_PDEATHSIG`` of prctl(2)). Credential changes
  clear that wish, so it is made last.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pwd
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000  # unshare(2)
PR_SET_PDEATHSIG = 1  # prctl(2), as all PR_ names
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1  # capabilities(7)
CAPABILITY_VERSION_3 = 0x20080522  # capget(2)
REFUSED = 78  # EX_CONFIG of sysexits.h


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


class Unprivileged:
    """Makes root an ordinary account in the eyes of a server that refuses to run as root.

    Two ways, both without changing the permission of any folder and without a new account:

    - *namespace*: a user namespace that maps one ordinary id to root. Files stay root's.
    - *account*: the process becomes an existing account and keeps the one capability to pass
      folders that only root may enter. The data folder is given to that account.
    """

    def __init__(self, libc: ctypes.CDLL, owned: Path) -> None:
        self._libc = libc
        self._owned = owned
        self._account = self._choose_account()

    def enter(self, way: str) -> None:
        if way == "account" or not self._enter_namespace():
            self._own(self._account.pw_uid, self._account.pw_gid)
            self._become_account()

    @staticmethod
    def _choose_account() -> pwd.struct_passwd:
        """An account that exists: PostgreSQL's initdb looks its name up."""
        ordinary = {a.pw_name: a for a in pwd.getpwall() if a.pw_uid != 0 and a.pw_gid != 0}
        for name in ("postgres", "nobody"):
            if name in ordinary:
                return ordinary[name]
        if not ordinary:
            raise OSError("this system has no account beside root; add one (useradd coachline)")
        return next(iter(ordinary.values()))

    def _enter_namespace(self) -> bool:
        uid, gid = os.geteuid(), os.getegid()
        self._own(uid, gid)  # inside, the files of another account could not be given away
        if self._libc.unshare(CLONE_NEWUSER) != 0:
            return False  # most containers forbid it
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{self._account.pw_uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{self._account.pw_gid} {gid} 1", encoding="ascii")
        return True

    def _own(self, uid: int, gid: int) -> None:
        """Give the data folder to the account that will use it, when the way has changed."""
        if self._owned.stat().st_uid == uid:
            return
        for folder, _, files in os.walk(self._owned, topdown=False):
            for name in files:
                os.lchown(Path(folder, name), uid, gid)
            os.lchown(folder, uid, gid)

    def _become_account(self) -> None:
        self._prctl(PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setgid(self._account.pw_gid)
        os.setuid(self._account.pw_uid)
        bit = 1 << CAP_DAC_OVERRIDE
        header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
        data = (_CapabilityData * 2)(_CapabilityData(bit, bit, bit))
        if self._libc.capset(ctypes.byref(header), data) == 0:
            self._prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)
        # Without the capability it still works wherever the account can reach the folders.

    def _prctl(self, *arguments: int) -> None:
        if self._libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl failed")


def end_with_starter(libc: ctypes.CDLL, death_signal: int, starter: int) -> None:
    """Have ``death_signal`` sent when the starter ends; give up if it has ended already."""
    libc.prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != starter:
        sys.exit(REFUSED)


def main() -> None:
    """Prepare this process as the arguments say and replace it by the command."""
    parser = argparse.ArgumentParser(prog="launch")
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--starter", type=int, required=True)
    parser.add_argument("--unprivileged", type=Path, metavar="OWNED_FOLDER")
    parser.add_argument("--way", choices=("any", "account"), default="any")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    try:
        if sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            if given.unprivileged is not None and os.geteuid() == 0:
                Unprivileged(libc, given.unprivileged).enter(given.way)
            end_with_starter(libc, given.death_signal, given.starter)
        os.execv(given.command[0], given.command)  # noqa: S606 (becoming the server is the job)
    except OSError as error:
        sys.stderr.write(f"launch: {given.command[0]}: {error}\n")
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
