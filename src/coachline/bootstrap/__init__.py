"""Wires the concrete classes once; everything else is handed what it needs."""

from coachline.bootstrap.backups import Backups, Restoration
from coachline.bootstrap.wired import Services, public_url
from coachline.bootstrap.wiring import open_services

__all__ = ["Backups", "Restoration", "Services", "open_services", "public_url"]
