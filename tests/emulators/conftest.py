"""What the tests against emulators share."""

from __future__ import annotations

from fixtures.emulators import emulators
from fixtures.settling import quick_settling

__all__ = ["emulators", "quick_settling"]
