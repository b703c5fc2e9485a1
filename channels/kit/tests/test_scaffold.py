"""A new channel works as it is written."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from channel_kit.scaffold import write_skeleton

ROOT = Path(__file__).parents[3]


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_new_channel_passes_the_conformance_suite_at_once(skeleton: Path) -> None:
    result = run(
        "pytest",
        *("tests", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:randomly"),
        cwd=skeleton,
        PYTHONPATH=str(skeleton / "src"),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "failed" not in result.stdout
    assert "skipped" not in result.stdout


def test_a_new_channel_keeps_the_rules_of_this_repository(skeleton: Path) -> None:
    configuration = ROOT / "pyproject.toml"
    # Where an import is sorted depends on the channel's name: `ruff check --fix` does it.
    for command in (["check", "--extend-ignore", "I001"], ["format", "--check"]):
        result = run(
            "ruff", *command, "--no-cache", "--config", str(configuration), ".", cwd=skeleton
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_a_name_of_several_words_is_spelt_as_each_place_needs_it(tmp_path: Path) -> None:
    package = write_skeleton("my_chat", tmp_path)
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["name"] == "channel-my-chat"
    assert project["entry-points"] == {
        "coachline.channels": {"my_chat": "channel_my_chat:MyChatChannel"}
    }
    assert (package / "src" / "channel_my_chat" / "py.typed").is_file()
    texts = [p.read_text() for p in package.rglob("*") if p.is_file()]
    assert not [text for text in texts if "skeleton" in text.lower()]


def test_it_is_a_workspace_member_only_beside_the_kit(tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    alone = write_skeleton("alone", tmp_path / "elsewhere")
    (tmp_path / "kit" / "pyproject.toml").touch()
    member = write_skeleton("member", tmp_path)
    assert "workspace" not in (alone / "pyproject.toml").read_text()
    assert "workspace" in (member / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "My",
        "1a",
        "a-b",
        "a b",
        "_a",
        "a_",
        "a__b",
        "../x",
        "é",
        "x" * 41,
        "kit",
        "class",
        "a\n",
    ],
)
def test_a_bad_name_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="channel name"):
        write_skeleton(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        write_skeleton("acme", tmp_path)
    assert list((tmp_path / "acme").iterdir()) == []
