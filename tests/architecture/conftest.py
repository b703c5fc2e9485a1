"""The project's files, read once for all architecture tests."""

from __future__ import annotations

import pytest

from architecture.rules.source import Source, read_project


@pytest.fixture(scope="session")
def project() -> tuple[Source, ...]:
    """Every text file of the project."""
    return read_project()
