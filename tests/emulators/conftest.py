"""What the tests against emulators share."""

from __future__ import annotations

from fixtures.emulators import emulators

__all__ = ["emulators"]
