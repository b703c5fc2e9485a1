"""The samples are Telegram's: the platform's own library reads every one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiogram.types import Update
from pydantic import ValidationError

SAMPLES = sorted((Path(__file__).parent.parent / "samples").glob("*.json"))
# A field of it is of a kind that is not invented yet.
AHEAD_OF_AIOGRAM = {"future_content"}


def body(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["body"]
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_aiogram_reads_every_sample(path: Path) -> None:
    if path.stem in AHEAD_OF_AIOGRAM:
        with pytest.raises(ValidationError):
            Update.model_validate(body(path))
        return
    update = Update.model_validate(body(path))
    if path.stem.startswith("future"):
        assert update.model_extra
    else:
        assert update.event_type in body(path)
        assert not update.model_extra


def test_no_two_samples_are_one_update() -> None:
    assert len({body(path)["update_id"] for path in SAMPLES}) == len(SAMPLES) >= 25
