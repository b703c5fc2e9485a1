"""Rules 2 to 4: the order of the rooms, their front doors, homes of libraries, role files."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from architecture.rules.rooms import (
    SYSTEM_SESSIONS,
    deep_imports,
    misused_roles,
    strayed_libraries,
    system_sessions,
)
from architecture.rules.source import ROOT, Source, report

pytestmark = pytest.mark.architecture


def _lint_imports(folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(  # noqa: S603 - our own tool with fixed arguments
        [str(command), "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _rooms() -> list[str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = config["tool"]["importlinter"]["contracts"]
    assert contract["exhaustive"] is True
    assert "ignore_imports" not in contract
    return [room.strip() for layer in contract["layers"] for room in layer.split("|")]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An empty house with every room of the real one."""
    for package in ("coachline", "channel_kit", *(f"coachline/{room}" for room in _rooms())):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    return tmp_path


def _outcome(house: Path) -> subprocess.CompletedProcess[str]:
    return _lint_imports(house, {"PYTHONPATH": str(house)})


def test_rooms_stand_only_on_rooms_below() -> None:
    outcome = _lint_imports(ROOT, {})
    assert outcome.returncode == 0, outcome.stdout


def test_an_empty_house_is_in_order(house: Path) -> None:
    outcome = _outcome(house)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("room", "upward"),
    [
        ("foundation", "tenancy"),
        ("tenancy", "learners"),
        ("messaging", "inference"),
        ("knowledge", "conversation"),
        ("conversation", "bootstrap"),
        ("bootstrap", "app"),
        ("worker", "app"),
    ],
)
def test_an_upward_or_sideward_import_is_found(house: Path, room: str, upward: str) -> None:
    (house / "coachline" / room / "planted.py").write_text(f"import coachline.{upward}\n")
    outcome = _outcome(house)
    assert outcome.returncode == 1
    assert f"coachline.{room}.planted -> coachline.{upward}" in outcome.stdout


def test_a_room_without_a_place_in_the_order_is_found(house: Path) -> None:
    (house / "coachline" / "attic.py").write_text("")
    outcome = _outcome(house)
    assert outcome.returncode == 1
    assert "attic" in outcome.stdout


def test_other_rooms_are_entered_by_their_front_door(project: tuple[Source, ...]) -> None:
    found = deep_imports(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/coachline/conversation/history.py", "from coachline.messaging.turns import Turn"),
        ("src/coachline/conversation/history.py", "import coachline.knowledge.retrieval"),
        ("src/coachline/conversation/__init__.py", "from coachline.messaging.routes import Routes"),
        ("src/coachline/conversation/__init__.py", "from coachline.conversation import routes"),
        ("src/coachline/messaging/__init__.py", "from .routes import MessagingRoutes"),
        ("src/coachline/app.py", "from coachline.tenancy.keys import Keys"),
        ("src/coachline/tenancy/routes/x.py", "from coachline.messaging.routes import Routes"),
    ],
)
def test_an_import_past_a_front_door_is_found(path: str, line: str) -> None:
    assert [finding.path for finding in deep_imports([Source(path, line)])] == [path]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/coachline/conversation/history.py", "from coachline.messaging import Transcripts"),
        ("src/coachline/conversation/history.py", "from coachline.foundation.ids import TurnId"),
        ("src/coachline/conversation/history.py", "from coachline.conversation.prompt import x"),
        ("src/coachline/messaging/routes/x.py", "from coachline.messaging.routes.ids import parse"),
        ("src/coachline/app.py", "from coachline.tenancy.routes import TenancyRoutes"),
    ],
)
def test_a_front_door_and_the_own_room_are_open(path: str, line: str) -> None:
    assert not deep_imports([Source(path, line)])


def test_every_library_is_imported_at_home(project: tuple[Source, ...]) -> None:
    found = strayed_libraries(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/coachline/conversation/orchestrator.py", "from fastapi import Depends"),
        ("src/coachline/messaging/intake.py", "from sqlalchemy import select"),
        ("src/coachline/messaging/queue.py", "import pgqueuer"),
        ("src/coachline/knowledge/retrieval.py", "import chromadb"),
        ("src/coachline/tenancy/keys.py", "from redis.asyncio import Redis"),
        ("src/coachline/inference/chat.py", "import requests"),
    ],
)
def test_a_library_away_from_home_is_found(path: str, line: str) -> None:
    assert [finding.path for finding in strayed_libraries([Source(path, line)])] == [path]


def test_role_files_keep_to_their_role(project: tuple[Source, ...]) -> None:
    found = misused_roles(project)
    assert not found, report(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/coachline/tenancy/schemas.py", "from coachline.foundation.ids import TenantId"),
        ("src/coachline/tenancy/tables.py", "from coachline.tenancy.keys import Keys"),
        ("src/coachline/tenancy/tables.py", "from sqlalchemy.orm import relationship"),
        ("src/coachline/tenancy/routes.py", "from coachline.tenancy.tables import TenantRow"),
        ("src/coachline/tenancy/routes.py", "from coachline.tenancy import repository"),
        ("src/coachline/tenancy/repository.py", "from coachline.tenancy.schemas import KeyIn"),
    ],
)
def test_a_role_file_that_reaches_too_far_is_found(path: str, line: str) -> None:
    assert [finding.path for finding in misused_roles([Source(path, line)])] == [path]


def test_system_sessions_are_opened_only_where_listed(project: tuple[Source, ...]) -> None:
    found = system_sessions(project)
    assert not found, report(found)


def test_every_file_on_the_system_list_needs_it(project: tuple[Source, ...]) -> None:
    needing = {finding.path for finding in system_sessions(project, allowed={})}
    assert needing == set(SYSTEM_SESSIONS)


@pytest.mark.parametrize(
    "line",
    [
        "def claim(session: SystemSession) -> None: ...",
        "async def f(self):\n    async with self._database.system() as session: ...",
    ],
)
def test_a_system_session_elsewhere_is_found(line: str) -> None:
    planted = Source("src/coachline/conversation/history.py", line)
    assert [finding.path for finding in system_sessions([planted])] == [planted.path]
