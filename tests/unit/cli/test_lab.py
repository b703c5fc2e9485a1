"""``coachline lab`` where the lab is not installed."""

from __future__ import annotations

import importlib.util

import pytest
from typer.testing import CliRunner

from coachline.cli import app


def test_without_the_source_there_is_no_lab_and_it_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("coachline.cli.lab.find_spec", lambda _: None, raising=True)
    done = CliRunner().invoke(app, ["lab"])
    assert done.exit_code == 1
    assert "comes with the source" in done.output
    assert importlib.util.find_spec("coachline_lab") is not None
