"""The pages that the navigation leads to, in its order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Destination:
    """A page of the navigation. ``icon`` is a name in ``templates/icons.html``."""

    title: str
    path: str
    icon: str
    scope: str = "read"

    def is_around(self, path: str) -> bool:
        """Whether somebody on ``path`` is here or below."""
        return path == self.path or path.startswith(f"{self.path}/")


DESTINATIONS: Final[tuple[Destination, ...]] = (
    Destination("Inbox", "/console/inbox", "inbox"),
    Destination("Overview", "/console/overview", "overview"),
    Destination("Knowledge", "/console/knowledge", "knowledge"),
    Destination("Channels", "/console/channels", "channels"),
    Destination("Monitors", "/console/monitors", "monitors"),
    Destination("Safety", "/console/safety", "safety"),
    Destination("Settings", "/console/settings", "settings"),
)
