"""What is there at the start is not searched for garbage again and again."""

from __future__ import annotations

import gc

from coachline.foundation.heap import freeze_heap


class _Ring:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_is_looked_at_no_more_and_what_comes_later_is() -> None:
    before = gc.get_freeze_count()
    freeze_heap()
    try:
        assert gc.get_freeze_count() > before + 1_000
        ring = _Ring()
        del ring
        assert gc.collect() > 0
    finally:
        gc.unfreeze()
