import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coachline.local import Home, HomeInUse, LocalServerError

HOLD = """
import sys
from pathlib import Path
from coachline.local import Home
home = Home(Path(sys.argv[1]))
with home.lock():
    home.write_runtime({"database_url": "postgresql://somewhere"})
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock of ``tmp_path / 'home'``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "home")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:  # noqa: S603 (ours)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_folder_of_a_new_home_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")

    assert {_mode(folder) for folder in (home.path, home.logs, home.run, home.chroma)} == {0o700}


def test_a_home_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(LocalServerError, match="COACHLINE_HOME"):
        Home(tmp_path / "file" / "home")


def test_a_second_lock_is_refused_and_names_the_holder(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    home = Home(tmp_path / "home")

    with pytest.raises(HomeInUse, match=f"process {holder.pid}"), home.lock():
        pytest.fail("the lock was given twice")


def test_a_killed_holder_leaves_the_lock_free(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    home = Home(tmp_path / "home")
    assert home.is_locked()

    holder.kill()
    holder.wait()

    with home.lock():
        assert home.is_locked()
    assert not home.is_locked()


def test_what_runs_is_told_only_while_its_writer_lives(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    home = Home(tmp_path / "home")
    assert home.read_runtime() == {"database_url": "postgresql://somewhere"}
    assert _mode(home.path / "runtime.json") == 0o600

    holder.kill()
    holder.wait()

    assert home.read_runtime() is None


def test_nothing_is_told_after_the_writer_cleared_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")

    with home.lock():
        assert home.read_runtime() is None
        home.write_runtime({"a": "b"})
        home.clear_runtime()
        home.clear_runtime()
        assert home.read_runtime() is None


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    first = Home(tmp_path / "home").load_secrets()
    again = Home(tmp_path / "home").load_secrets()
    other = Home(tmp_path / "other").load_secrets()

    assert first == again
    assert first.master_keys != other.master_keys
    assert len({*first.role_passwords.values(), *other.role_passwords.values()}) == 6
    assert _mode(tmp_path / "home" / "secrets.json") == 0o600
    assert first.master_keys not in repr(first)


def test_damaged_secrets_are_reported_and_never_replaced(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    (home.path / "secrets.json").write_text(json.dumps({"master_keys": "k1:x"}))

    with pytest.raises(LocalServerError, match="damaged"):
        home.load_secrets()

    assert (home.path / "secrets.json").read_text() == '{"master_keys": "k1:x"}'


def test_an_interrupted_write_of_secrets_does_no_harm(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    (home.path / "secrets.json.new").write_text("half")

    made = home.load_secrets()

    assert Home(home.path).load_secrets() == made
    assert sorted(path.name for path in home.path.iterdir()) == [
        "chroma",
        "logs",
        "run",
        "secrets.json",
    ]
