"""Every named point of the path stands in the code exactly once, and nothing of ours listens."""

from __future__ import annotations

import re
from collections import Counter
from typing import get_args

import pytest

from architecture.rules.source import Source
from coachline.foundation.faults import Point

pytestmark = pytest.mark.architecture

_HIT = re.compile(r"\bhit\(\"([^\"]+)\"\)")


def _gateway(project: tuple[Source, ...]) -> list[Source]:
    return [source for source in project if source.path.startswith("src/coachline/")]


def test_every_point_of_the_path_is_passed(project: tuple[Source, ...]) -> None:
    placed = Counter(point for source in _gateway(project) for point in _HIT.findall(source.text))
    assert placed == Counter(get_args(Point))


def test_nothing_in_the_gateway_listens_to_the_points(project: tuple[Source, ...]) -> None:
    listening = [found.path for found in _gateway(project) if "addaudithook" in found.text]
    assert not listening
