"""How `up`, `serve` and `work` tell that they cannot go on."""

from __future__ import annotations

import pytest
import typer

from coachline.cli import servers
from coachline.foundation.exhaustion import EXHAUSTED
from coachline.foundation.settings import Settings


async def _find_no_thread(_settings: Settings) -> None:
    raise RuntimeError("can't start new thread")


async def _stumble(_settings: Settings) -> None:
    raise RuntimeError("a bug")


def test_who_has_nothing_left_ends_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        servers._run(_find_no_thread)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == f"coachline: {EXHAUSTED}\n"


def test_a_bug_is_told_whole() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        servers._run(_stumble)
