"""Passages for pure tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coachline.foundation.ids import DocumentId, PassageId, new_id
from coachline.knowledge import Passage

MakePassage = Callable[..., Passage]


@pytest.fixture(scope="session")
def passage() -> MakePassage:
    """Make a passage; what is not named does not matter."""

    def make(
        text: str = "Rest on Mondays.",
        *,
        title: str = "Plan",
        source: str = "plan.md",
        score: float = 0.6,
    ) -> Passage:
        return Passage(
            id=PassageId(new_id()),
            document_id=DocumentId(new_id()),
            title=title,
            source=source,
            text=text,
            score=score,
        )

    return make
