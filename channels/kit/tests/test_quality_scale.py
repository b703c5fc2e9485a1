"""What a channel claims in its quality.toml is a rule of the scale, and bronze is complete."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KIT = ROOT / "channels" / "kit"
CLAIMS = [
    *ROOT.glob("channels/*/quality.toml"),
    KIT / "src" / "channel_kit" / "skeleton" / "quality.toml",
]


def scale() -> dict[str, set[str]]:
    tiers = re.split(r"^## ", (ROOT / "docs" / "quality-scale.md").read_text(), flags=re.M)[1:]
    return {
        tier.partition(":")[0].lower(): set(re.findall(r"^\| `(\w+)` \|", tier, re.M))
        for tier in tiers
    }


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.parent.name)
def test_a_channel_claims_rules_of_the_scale_and_has_all_of_bronze(path: Path) -> None:
    claims = tomllib.loads(path.read_text())
    rules = scale()
    assert set(rules) == {"bronze", "silver", "gold"}
    for tier, claimed in claims.items():
        assert set(claimed) <= rules[tier]
        for claim in claimed.values():
            assert claim == "done" or claim["exempt"].strip()
    assert set(claims["bronze"]) == rules["bronze"]


def test_every_first_party_channel_has_silver() -> None:
    channels = [p.parent for p in ROOT.glob("channels/*/pyproject.toml") if p.parent != KIT]
    assert channels
    for channel in channels:
        claims = tomllib.loads((channel / "quality.toml").read_text())
        assert set(claims["silver"]) == scale()["silver"]
