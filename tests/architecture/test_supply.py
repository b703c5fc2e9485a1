"""What is installed is locked with hashes, and no version of it is known to be unsafe.

An audit that got no advisories reports success, so nothing here asks an audit: the lock is compared
with a file of our own, and what cannot be compared is an error.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from architecture.rules.source import ROOT
from architecture.rules.supply import (
    ADVISORIES,
    LOCK,
    Advisories,
    Advisory,
    Locked,
    idle_decisions,
    loose_packages,
    read_advisories,
    read_lock,
    unsafe_packages,
)

pytestmark = pytest.mark.architecture

SOUND = Locked("thing", "1.5.9", is_ours=False, is_of_registry=True, files=(True, True))
KNOWN = Advisory("CVE-1", "thing", "1.0.0", None, "It is unsafe.", "", "")


@pytest.fixture(scope="module")
def packages() -> tuple[Locked, ...]:
    return read_lock((ROOT / LOCK).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def advisories() -> Advisories:
    return read_advisories((ROOT / ADVISORIES).read_text(encoding="utf-8"))


def test_every_package_is_locked_with_the_hashes_of_its_files(
    packages: tuple[Locked, ...],
) -> None:
    assert len(packages) > 100
    assert loose_packages(packages) == []


def test_no_locked_version_is_known_to_be_unsafe(
    packages: tuple[Locked, ...], advisories: Advisories
) -> None:
    assert advisories.known
    assert unsafe_packages(packages, advisories.known) == []


def test_every_decision_has_a_reason_and_is_still_needed(
    packages: tuple[Locked, ...], advisories: Advisories
) -> None:
    assert idle_decisions(packages, advisories.known) == []


def test_an_advisory_stands_once(advisories: Advisories) -> None:
    named = [(advisory.id, advisory.package) for advisory in advisories.known]
    assert len(named) == len(set(named))


def test_without_its_decision_a_known_advisory_is_found(
    packages: tuple[Locked, ...], advisories: Advisories
) -> None:
    undecided = [replace(advisory, decision="") for advisory in advisories.known]
    decided = [advisory for advisory in advisories.known if advisory.decision]
    assert decided
    assert len(unsafe_packages(packages, undecided)) == len(decided)


@pytest.mark.parametrize(
    "planted",
    [
        replace(SOUND, is_of_registry=False),
        replace(SOUND, files=(True, False)),
        replace(SOUND, files=()),
        replace(SOUND, version=""),
    ],
)
def test_a_package_that_may_change_is_found(planted: Locked) -> None:
    assert len(loose_packages([SOUND, planted])) == 1


def test_a_lock_with_a_source_or_a_file_of_another_kind_is_found() -> None:
    lock = """
        [[package]]
        name = "ours"
        version = "1.0"
        source = { editable = "." }
        [[package]]
        name = "fetched"
        version = "1.0"
        source = { git = "https://example.org/x" }
        [[package]]
        name = "unhashed"
        version = "1.0"
        source = { registry = "https://example.org/simple" }
        wheels = [{ url = "https://example.org/x.whl" }]
    """
    assert [found.split()[0] for found in loose_packages(read_lock(lock))] == [
        "fetched",
        "unhashed",
    ]


@pytest.mark.parametrize(
    ("version", "introduced", "fixed", "is_found"),
    [
        ("1.5.9", "1.0.0", None, True),
        ("0.9", "1.0.0", None, False),
        ("1.0", "1.0.0", None, True),
        ("3.14.1", "0", "3.14.1", False),
        ("3.14.0", "0", "3.14.1", True),
        ("3.9.10", "0", "3.14.1", True),
        ("2026.10.18", "0", "2026.10", False),
        ("unknown", "0", None, True),
        ("1.0", "0", "soon", True),
    ],
)
def test_an_affected_version_is_found_and_one_that_cannot_be_read_too(
    version: str, introduced: str, fixed: str | None, is_found: bool
) -> None:
    advisory = replace(KNOWN, introduced=introduced, fixed=fixed)
    found = unsafe_packages([replace(SOUND, version=version)], [advisory])
    assert bool(found) is is_found


@pytest.mark.parametrize(
    "planted",
    [
        replace(KNOWN, decision="accepted"),
        replace(KNOWN, decision="later", reason="no time"),
        replace(KNOWN, decision="accepted", reason="not reachable", fixed="1.5.0"),
        replace(KNOWN, decision="accepted", reason="not reachable", package="gone"),
    ],
)
def test_a_decision_without_a_reason_or_about_nothing_is_found(planted: Advisory) -> None:
    assert idle_decisions([SOUND], [planted])


@pytest.mark.parametrize("broken", ["[[advisory]]\nid = 'x'", "reviewed = 2026-01-01"])
def test_a_file_that_leaves_something_out_is_refused(broken: str) -> None:
    with pytest.raises((KeyError, TypeError)):
        read_advisories(broken)
