"""Wires the concrete classes once; everything else is handed what it needs."""

from coachline.bootstrap.backups import Backups, Restoration
from coachline.bootstrap.erasure_lists import (
    ErasureList,
    ErasureLists,
    ErasureListUnreadable,
    Redone,
    read_list,
    write_list,
)
from coachline.bootstrap.tenant_erasure import TenantErasure, remove_tenant
from coachline.bootstrap.wired import Services, public_url
from coachline.bootstrap.wiring import open_services

__all__ = [
    "Backups",
    "ErasureList",
    "ErasureListUnreadable",
    "ErasureLists",
    "Redone",
    "Restoration",
    "Services",
    "TenantErasure",
    "open_services",
    "public_url",
    "read_list",
    "remove_tenant",
    "write_list",
]
