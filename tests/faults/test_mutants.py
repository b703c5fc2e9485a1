"""Mutants are what they claim to be, and a file's tests are asked about each."""

from __future__ import annotations

from pathlib import Path

import pytest

from channel_kit import signing
from faults.mutants.mutations import list_mutants
from faults.mutants.session import find_function
from faults.mutants.targets import TARGETS
from faults.mutants.trial import try_all

SAMPLE = '''
def check(count, *, limit=3):
    """Say nothing of 1 > 0."""
    if not count < limit:
        raise ValueError(f"{count + 1} are too many")
    log.info("%d", count + 1)
    return any([count > 0, True])
'''


def test_each_change_is_made_alone(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE)
    assert [mutant.label for mutant in list_mutants(path)] == [
        "check: not count < limit → count < limit",
        "check: count < limit → count <= limit",
        "check: raise ValueError(f'{count + 1} are too many') → pass",
        "check: return any([count > 0, True]) → return None",
        "check: any([count > 0, True]) → all([count > 0, True])",
        "check: count > 0 → count >= 0",
        "check: 0 → 1",
        "check: True → False",
    ]


def test_planted_code_is_run_by_whoever_calls_the_function() -> None:
    target = next(target for target in TARGETS if target.name == "channel_kit.signing")
    function = find_function(target.module, "_is_id")
    mutants = [one for one in list_mutants(Path(target.path)) if one.function == "_is_id"]
    genuine = function.__code__
    assert signing._is_id("x")
    try:
        function.__code__ = next(one.code for one in mutants if "return None" in one.label)
        assert not signing._is_id("x")
    finally:
        function.__code__ = genuine


def test_every_target_and_its_functions_exist() -> None:
    for target in TARGETS:
        found = {mutant.function for mutant in list_mutants(Path(target.path))}
        assert found
        for name in target.functions:
            find_function(target.module, name)
        for test in target.tests:
            assert Path(test.removeprefix("--deselect=").partition("::")[0]).exists()


async def test_a_target_that_is_not_there_is_no_target_without_survivors(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"tenancy\.token"):
        await try_all(tmp_path, print, ("tenancy.token",))
