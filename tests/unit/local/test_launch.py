"""The order of what the launcher asks of the system; the integration tests see that it works."""

import ctypes
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coachline.local import launch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems skip all of this")


class System:
    """Takes the place of libc and of the calls in ``os``; refuses namespaces; keeps a record."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.prctl_result = 0

    def unshare(self, flags: int) -> int:
        self.asked.append("unshare")
        return -1

    def prctl(self, *arguments: int) -> int:
        names = {launch.PR_SET_PDEATHSIG: f"death signal {arguments[1]}"}
        self.asked.append(names.get(arguments[0], f"prctl {arguments[0]}"))
        return self.prctl_result

    def capset(self, header: object, data: object) -> int:
        self.asked.append("capset")
        return 0

    def note(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.asked.append(name)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: system)
    for name in ("setgroups", "setgid", "setuid", "execv"):
        monkeypatch.setattr(os, name, system.note(name))
    monkeypatch.setattr(os, "lchown", lambda path, uid, gid: system.asked.append("lchown"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return system


def _start(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["launch", "--death-signal", "2", *arguments])
    launch.main()


def test_the_death_signal_is_asked_for_after_every_change_of_credentials(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "PG_VERSION").write_text("18")
    monkeypatch.setattr(pwd, "getpwall", lambda: [_account("some", 4321)])
    _start(
        monkeypatch,
        *("--starter", str(os.getppid()), "--unprivileged", str(tmp_path), "--", "/bin/server"),
    )

    assert system.asked[-2:] == ["death signal 2", "execv"]
    after_refusal = system.asked[system.asked.index("unshare") + 1 :]
    assert after_refusal == [
        *("lchown", "lchown", f"prctl {launch.PR_SET_KEEPCAPS}"),
        *("setgroups", "setgid", "setuid", "capset", f"prctl {launch.PR_CAP_AMBIENT}"),
        *("death signal 2", "execv"),
    ]


def test_a_server_that_may_run_as_root_keeps_its_account(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    _start(monkeypatch, "--starter", str(os.getppid()), "--", "/bin/server")

    assert system.asked == ["death signal 2", "execv"]


def test_nothing_is_started_for_a_starter_that_is_gone(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as ended:
        _start(monkeypatch, "--starter", "1234567", "--", "/bin/server")

    assert ended.value.code == launch.REFUSED
    assert "execv" not in system.asked


def test_what_the_system_refuses_is_said(
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    system.prctl_result = -1

    with pytest.raises(SystemExit) as ended:
        _start(
            monkeypatch,
            *("--starter", "1", "--unprivileged", str(tmp_path), "--way", "account"),
            *("--", "/bin/server"),
        )

    assert ended.value.code == launch.REFUSED
    assert "launch: /bin/server:" in capsys.readouterr().err


def _account(name: str, number: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", number, number, "", "/", "/bin/sh"))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["daemon", "nobody", "postgres"], "postgres"), (["daemon", "nobody"], "nobody")],
)
def test_an_existing_account_is_chosen(
    names: list[str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [_account("root", 0), *(_account(name, n + 1) for n, name in enumerate(names))]
    monkeypatch.setattr(pwd, "getpwall", lambda: accounts)

    assert launch.Unprivileged._choose_account().pw_name == chosen


def test_any_account_will_do_and_none_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwall", lambda: [_account("root", 0), _account("bin", 2)])
    assert launch.Unprivileged._choose_account().pw_name == "bin"

    monkeypatch.setattr(pwd, "getpwall", lambda: [_account("root", 0)])
    with pytest.raises(OSError, match="useradd"):
        launch.Unprivileged._choose_account()
