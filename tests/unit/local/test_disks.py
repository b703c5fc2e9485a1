"""When a disk counts as nearly full."""

from __future__ import annotations

from pathlib import Path

import pytest

from coachline.local import Disk, look_at_disk

GIB = 1024**3


@pytest.mark.parametrize(
    ("free", "total", "is_nearly_full"),
    [
        (3 * GIB, 1000 * GIB, False),
        (GIB, 1000 * GIB, True),
        (GIB, 10 * GIB, False),
        (GIB // 4, 10 * GIB, True),
        (0, 0, False),
    ],
)
def test_a_large_disk_is_judged_by_bytes_and_a_small_one_by_its_share(
    free: int, total: int, is_nearly_full: bool
) -> None:
    assert Disk(Path("/x"), free, total).is_nearly_full is is_nearly_full


def test_a_folder_that_is_not_there_yet_lies_on_the_disk_above(tmp_path: Path) -> None:
    found = look_at_disk(tmp_path / "not" / "yet")
    assert found.total == look_at_disk(tmp_path).total
    assert found.folder == tmp_path / "not" / "yet"
