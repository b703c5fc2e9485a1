"""The console's scripts and styles: read once, known by their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Final

_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent. ``etag`` changes with its content."""

    body: bytes
    media_type: str
    etag: str

    def is_known(self, if_none_match: str) -> bool:
        """Whether a browser has it already (RFC 9110 section 13.1.2)."""
        given = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        return self.etag in given or "*" in given


class Assets:
    """Every file of ``console/static`` by its name."""

    def __init__(self) -> None:
        folder = files("coachline.console") / "static"
        self._files = {
            found.name: _asset(found.name, found.read_bytes())
            for found in folder.iterdir()
            if found.name.rpartition(".")[2] in _TYPES
        }

    def find(self, name: str) -> Asset | None:
        """The file of this name."""
        return self._files.get(name)


def _asset(name: str, body: bytes) -> Asset:
    return Asset(
        body, _TYPES[name.rpartition(".")[2]], f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    )
