"""Tables for people and for pipes: an id is never broken in two."""

from __future__ import annotations

import pytest

from coachline.cli import support

ROWS = [
    {"id": f"01a1fbf8-5d2c-712f-8e60-3a73fcb6217{n}", "note": "long " * 20, "none": None}
    for n in (1, 2)
]


def test_a_pipe_gets_one_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    support.emit(ROWS, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", ROWS[0]["id"], ROWS[1]["id"]]


def test_a_terminal_that_is_too_narrow_gets_one_line_per_field(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "60")
    support.emit(ROWS, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(str(ROWS[1]["id"])) for line in lines) == 1
    assert len(lines) == len(ROWS) * 3 + 1
