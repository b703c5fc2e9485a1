"""What the pages tell people to type exists, and generated files are fresh."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Protocol

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from coachline.cli import app
from coachline.foundation.settings import PREFIX, Settings
from docs.generated import GENERATED
from docs.pages import ROOT, Page

pytestmark = pytest.mark.architecture

# At the start of a line or span, where one would type it; up to a pipe, comment or ellipsis.
_COMMAND = re.compile(r"^(?:\$ |uv run (?:-\S+ )*|\w+=\S+ )*coachline ([^;&#>…]*)")


class _Parameter(Protocol):
    opts: list[str]
    secondary_opts: list[str]


class _Command(Protocol):
    @property
    def params(self) -> Sequence[_Parameter]: ...


def _unknown_commands(pages: Sequence[Page], root: _Command) -> Iterator[str]:
    for page in pages:
        for line in page.code:
            for typed in _COMMAND.findall(line):
                if problem := _problem(root, _words(typed)):
                    yield f"{page.path}: coachline {typed.strip()}: {problem}"


def _words(typed: str) -> list[str]:
    try:
        return shlex.split(typed)
    except ValueError:
        return typed.split()


def _problem(command: _Command, words: Sequence[str]) -> str | None:
    rest = list(words)
    while isinstance(command, TyperGroup) and rest and re.fullmatch(r"[a-z][a-z|-]*", rest[0]):
        names = rest.pop(0).split("|")
        unknown = [name for name in names if name not in command.commands]
        if unknown:
            return f"no command {unknown[0]!r}"
        command = command.commands[names[0]]
    options = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    wrong = [w for w in rest if w.startswith("--") and w.partition("=")[0] not in options]
    return f"no option {wrong[0]!r}" if wrong else None


def _root() -> _Command:
    return get_command(app)


def test_every_command_in_the_pages_exists(pages: tuple[Page, ...]) -> None:
    assert not list(_unknown_commands(pages, _root()))


@pytest.mark.parametrize(
    "typed",
    ["coachline fly", "coachline tenant paint acme", "coachline tenant create acme --paint red"],
)
def test_a_command_that_does_not_exist_is_found(typed: str) -> None:
    page = Page("README.md", f"```sh\n{typed}\n```\n")
    assert len(list(_unknown_commands([page], _root()))) == 1


def _unknown_settings(pages: Sequence[Page]) -> Iterator[str]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for page in pages:
        for name in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", page.text):
            if name not in known:
                yield f"{page.path}: {name}"


def test_every_setting_in_the_pages_exists(pages: tuple[Page, ...]) -> None:
    assert not list(_unknown_settings(pages))


def test_a_setting_that_does_not_exist_is_found() -> None:
    page = Page("README.md", "Set `COACHLINE_COLOUR`, not `COACHLINE_PORT`.")
    assert list(_unknown_settings([page])) == ["README.md: COACHLINE_COLOUR"]


def test_every_verb_in_the_pages_exists(pages: tuple[Page, ...]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    typed = {
        verb
        for page in pages
        for line in page.code
        for verb in re.findall(r"(?:^|\s)make ([a-z-]+)", line)
    }
    assert typed
    assert typed <= verbs


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_generated_files_are_what_the_code_says(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")
    assert written == GENERATED[name](), f"{name} is stale: run `make docs`"
