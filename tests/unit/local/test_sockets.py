import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coachline.local import LocalServerError
from coachline.local.sockets import socket_folder


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short temporary folder of this test's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_a_short_path_is_used_as_it_is(temporary: Path) -> None:
    wanted = temporary / "run"

    assert socket_folder(wanted, "a.sock") == wanted
    assert stat.S_IMODE(wanted.stat().st_mode) == 0o700


def test_a_long_path_gets_the_same_short_private_folder_each_time(temporary: Path) -> None:
    wanted = temporary / ("long" * 30) / "run"

    short = socket_folder(wanted, "a.sock")

    assert short.parent == temporary
    assert stat.S_IMODE(short.stat().st_mode) == 0o700
    assert socket_folder(wanted, "a.sock") == short
    assert socket_folder(wanted.with_name("other"), "a.sock") != short


def test_a_short_folder_that_others_can_enter_is_refused(temporary: Path) -> None:
    wanted = temporary / ("long" * 30)
    socket_folder(wanted, "a.sock").chmod(0o777)

    with pytest.raises(LocalServerError, match="belongs to somebody else"):
        socket_folder(wanted, "a.sock")


def test_a_link_in_place_of_the_short_folder_is_refused(temporary: Path, tmp_path: Path) -> None:
    wanted = temporary / ("long" * 30)
    short = socket_folder(wanted, "a.sock")
    short.rmdir()
    short.symlink_to(tmp_path)

    with pytest.raises(LocalServerError, match="belongs to somebody else"):
        socket_folder(wanted, "a.sock")


def test_a_temporary_folder_that_is_too_long_says_what_to_set(temporary: Path) -> None:
    with pytest.raises(LocalServerError, match="COACHLINE_HOME"):
        socket_folder(temporary / ("long" * 30), "a" * 90)
