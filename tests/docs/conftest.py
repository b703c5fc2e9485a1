"""The pages, read once."""

from __future__ import annotations

import pytest

from docs.pages import Page, read_pages


@pytest.fixture(scope="session")
def pages() -> tuple[Page, ...]:
    """Every page of the documentation."""
    return read_pages()
