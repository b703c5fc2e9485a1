"""Rule 1: packages import only what they declare; gateway and channels meet at the kit."""

from __future__ import annotations

import pytest

from architecture.rules.packages import undeclared_imports
from architecture.rules.source import Source, report

pytestmark = pytest.mark.architecture

_PROJECT = (
    Source(
        "pyproject.toml",
        """
        [project]
        name = "coachline"
        dependencies = ["channel-kit", "pydantic>=2"]
        [dependency-groups]
        embedded = ["channel-webhook", "numpy"]
        dev = ["hypothesis"]
        """,
    ),
    Source(
        "channels/kit/pyproject.toml",
        """
        [project]
        name = "channel-kit"
        dependencies = []
        [project.optional-dependencies]
        conformance = ["pytest"]
        """,
    ),
    Source("channels/kit/src/channel_kit/__init__.py", ""),
    Source(
        "channels/webhook/pyproject.toml",
        '[project]\nname = "channel-webhook"\ndependencies = ["channel-kit"]',
    ),
    Source("channels/webhook/src/channel_webhook/__init__.py", ""),
    Source("src/coachline/__init__.py", ""),
)


def test_every_package_imports_only_what_it_declares(project: tuple[Source, ...]) -> None:
    found = undeclared_imports(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/coachline/knowledge/chroma.py", "import chromadb"),
        ("src/coachline/messaging/registry.py", "from channel_webhook import WebhookChannel"),
        ("src/coachline/local/webchat.py", "from channel_webhook import WebhookChannel"),
        ("src/coachline/inference/chat.py", "import numpy"),
        ("channels/webhook/src/channel_webhook/channel.py", "from coachline import messaging"),
        ("channels/webhook/src/channel_webhook/channel.py", "import pydantic"),
        ("channels/kit/src/channel_kit/text.py", "import pytest"),
        ("channels/kit/tests/test_text.py", "import numpy"),
    ],
)
def test_an_undeclared_import_is_found(path: str, line: str) -> None:
    found = undeclared_imports([*_PROJECT, Source(path, line)])
    assert [finding.path for finding in found] == [path]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/coachline/messaging/registry.py", "from channel_kit import Channel"),
        ("src/coachline/foundation/ids.py", "import uuid, pydantic.types"),
        ("src/coachline/local/embedder.py", "import numpy"),
        ("channels/kit/src/channel_kit/conformance/suite.py", "import pytest"),
        ("channels/kit/tests/test_text.py", "import hypothesis, pytest"),
        ("tests/unit/test_x.py", "import numpy\nfrom unit.helper import x"),
    ],
)
def test_a_declared_import_is_accepted(path: str, line: str) -> None:
    assert not undeclared_imports([*_PROJECT, Source(path, line)])
