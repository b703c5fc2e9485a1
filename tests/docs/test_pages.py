"""Links lead somewhere, decisions name a test that exists, nouns stand in the glossary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from docs.pages import ROOT, Page

pytestmark = pytest.mark.architecture

_PARTS = ("Context", "Decision", "Consequences", "Enforced by")


def _broken_links(pages: Sequence[Page], root: Path) -> Iterator[str]:
    anchors = {page.path: page.anchors for page in pages}
    for page in pages:
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (root / page.path).parent / path if path else root / page.path
            known = anchors.get(target.resolve().relative_to(root.resolve()).as_posix())
            if not target.exists() or (anchor and known is not None and anchor not in known):
                yield f"{page.path}: {link}"


def test_every_link_leads_somewhere(pages: tuple[Page, ...]) -> None:
    assert not list(_broken_links(pages, ROOT))


@pytest.mark.parametrize("link", ["missing.md", "#missing", "there.md#missing"])
def test_a_broken_link_is_found(tmp_path: Path, link: str) -> None:
    here = Page("here.md", f"# Here\n[x]({link}) [y](there.md#one-two) `[z](not-a-link)`\n")
    there = Page("there.md", "## One `two`\n")
    for page in (here, there):
        (tmp_path / page.path).write_text(page.text)
    assert list(_broken_links([here, there], tmp_path)) == [f"here.md: {link}"]


def _decisions(pages: Sequence[Page]) -> list[Page]:
    return [page for page in pages if re.match(r"docs/decisions/\d", page.path)]


def _incomplete_decisions(pages: Sequence[Page], root: Path) -> Iterator[str]:
    for number, page in enumerate(_decisions(pages), 1):
        if not page.path.startswith(f"docs/decisions/{number:04d}-"):
            yield f"{page.path}: number {number:04d} is next"
        if page.sections != _PARTS:
            yield f"{page.path}: sections are {page.sections}, not {_PARTS}"
            continue
        tests = re.findall(r"`([\w./-]*tests/[\w./-]+)`", page.text.split("## Enforced by")[1])
        if not tests:
            yield f"{page.path}: names no test"
        for test in tests:
            if not (root / test).exists():
                yield f"{page.path}: {test} does not exist"


def test_every_decision_is_whole_and_names_tests_that_exist(pages: tuple[Page, ...]) -> None:
    assert _decisions(pages)
    assert not list(_incomplete_decisions(pages, ROOT))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/decisions/0002-x.md", "{all} `tests/x.py`"),
        ("docs/decisions/0001-x.md", "## Context\n## Decision\n"),
        ("docs/decisions/0001-x.md", "{all} by care"),
        ("docs/decisions/0001-x.md", "{all} `tests/missing.py`"),
    ],
)
def test_an_incomplete_decision_is_found(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "x.py").touch()
    headings = "".join(f"## {part}\n" for part in _PARTS)
    page = Page(path, text.replace("{all}", headings))
    assert len(list(_incomplete_decisions([page], tmp_path))) == 1


def test_every_table_and_room_stands_in_the_glossary() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").lower()
    rows = "".join(path.read_text() for path in (ROOT / "src/coachline").glob("*/tables.py"))
    tables = set(re.findall(r"__tablename__ = \"(\w+)\"", rows))
    rooms = {p.parent.name for p in (ROOT / "src/coachline").glob("*/__init__.py")}
    assert tables
    missing = {name for name in tables | rooms if f"`{name}`" not in glossary}
    assert not missing, f"docs/glossary.md has no line for {sorted(missing)}"


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", one) for one in sections[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds
