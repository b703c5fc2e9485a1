"""Writing a new channel: a package that works at once, to be changed until it speaks a platform."""

from __future__ import annotations

import keyword
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME: Final = 40
_TAKEN: Final = frozenset({"kit", "skeleton"})
_LEFT_OUT: Final = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


def write_skeleton(name: str, folder: Path) -> Path:
    """Write the package of the channel ``name`` to ``folder / name`` and return that folder.

    The package is installable and passes the conformance suite as it is. Inside a uv workspace
    that holds ``channel-kit`` beside it, it is a member; elsewhere it needs the kit installed.

    Raises:
        ValueError: ``name`` is not lower-case words joined by ``_``, or is taken.
        FileExistsError: something is there already.
        OSError: the folder cannot be written.
    """
    check_name(name)
    target = folder / name
    if target.exists():
        raise FileExistsError(f"{target} exists already: choose another name or remove it")
    _copy(resources.files("channel_kit") / "skeleton", target, name)
    if not (folder / "kit" / "pyproject.toml").is_file():
        _leave_workspace(target / "pyproject.toml")
    return target


def check_name(name: str) -> None:
    """Do nothing if a channel can have this name.

    Raises:
        ValueError: it cannot; the message says why.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"{name!r} is not a channel name: use lower-case letters and digits, words joined "
            f"by _, at most {_LONGEST_NAME} characters, for example my_chat"
        )
    if name in _TAKEN or keyword.iskeyword(name):
        raise ValueError(f"{name!r} cannot be a channel name: it means something else already")


def _copy(source: Traversable, target: Path, name: str) -> None:
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name in _LEFT_OUT:
            continue
        renamed = target / _rename(entry.name, name)
        if entry.is_dir():
            _copy(entry, renamed, name)
        else:
            renamed.write_text(_rename(entry.read_text("utf-8"), name), "utf-8")


def _rename(text: str, name: str) -> str:
    words = name.split("_")
    # The distribution first: its hyphen is what tells it from the import name.
    text = text.replace("channel-skeleton", f"channel-{'-'.join(words)}")
    text = text.replace("skeleton", name)
    return text.replace("Skeleton", "".join(word.capitalize() for word in words))


def _leave_workspace(pyproject: Path) -> None:
    text = pyproject.read_text("utf-8")
    pyproject.write_text(text[: text.index("\n[tool.uv.sources]")], "utf-8")
