"""Every CI runs the same verbs, and the verbs explain themselves and bring what they need."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from architecture.rules.source import ROOT

pytestmark = pytest.mark.architecture

_VERBS = {"up", "test", "check", "bench", "mutants", "format", "docs", "setup", "help"} | {
    f"faults{scale}" for scale in ("", "-nightly", "-release")
}


def _make(*arguments: str, folder: Path = ROOT, **environment: str) -> str:
    return subprocess.run(  # noqa: S603 - our own Makefile with fixed arguments
        ["make", "--no-print-directory", *arguments],  # noqa: S607 - make of the PATH
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_make_alone_lists_every_verb() -> None:
    listed = re.findall(r"^make ([\w-]+) +\S", _make(), re.MULTILINE)
    assert set(listed) == _VERBS


def test_arguments_are_passed_through() -> None:
    shown = _make("--dry-run", "up", "ARGS=--port 9000")
    assert "coachline up --port 9000" in shown


@pytest.mark.parametrize("file", [".github/workflows/ci.yml", ".gitlab-ci.yml"])
def test_each_ci_calls_check_and_test_and_nothing_else(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    assert set(re.findall(r"(?:run:|-) +(make .*)$", text, re.MULTILINE)) == {
        "make check",
        "make test",
    }


def test_the_local_gate_and_pre_commit_call_the_same_verbs() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"make (\w+)$", gate, re.MULTILINE) == ["check", "test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]] == ["make check"]


def test_without_uv_the_verbs_fetch_it(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").write_text('#!/bin/sh\necho "python3 $*" >> asked\nexit 1\n')
    (programs / "python3").chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        _make("uv", folder=tmp_path, PATH=f"{programs}:/usr/bin:/bin", HOME=str(tmp_path))
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "--target .cache/uv uv" in asked[0]
    assert "-m venv .cache/uv" in asked[1]
    assert "install python3-pip or python3-venv" in failed.value.stderr
