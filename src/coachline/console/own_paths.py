"""Which addresses are this console's own: where forms come from, and where people are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

HOME: Final = "/console/inbox"

# Letters that mean the same in every browser: no backslash, no second slash, no scheme, no dots
# that climb.
_OWN_PATH: Final = re.compile(r"/console(/[\w~-]+([.][\w~-]+)*)*/?(\?[\w.~=&%+-]*)?", re.ASCII)
_LONGEST_PATH: Final = 1_000
_DEFAULT_PORTS: Final[Mapping[str, int]] = MappingProxyType({"http": 80, "https": 443})


def own_path(wanted: str) -> str:
    """``wanted`` when it is a page of the console, else the first page."""
    is_own = len(wanted) <= _LONGEST_PATH and _OWN_PATH.fullmatch(wanted) is not None
    return wanted if is_own else HOME


def own_origins(public_url: str, port: int) -> tuple[str, ...]:
    """The origins under which a browser may show the console, the public one first.

    They come from the configuration: neither ``Host`` nor ``X-Forwarded-*`` says who we are. The
    loopback is always among them, for who works on the server's machine.
    """
    loopback = [f"http://{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")]
    return (origin_of(public_url), *map(origin_of, loopback))


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL as browsers write them (RFC 6454)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
