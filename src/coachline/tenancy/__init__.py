"""Who the tenants are, who may act for them, how much, and what was done."""

from coachline.tenancy.audit import AuditCheck, AuditDetail, AuditEntry, AuditLog
from coachline.tenancy.isolation import TENANTLESS, Isolation, IsolationCheck
from coachline.tenancy.keys import (
    ALL_SCOPES,
    ApiKey,
    KeyInvalid,
    KeyNotFound,
    KeyRefused,
    Keys,
    NewKey,
    Scope,
    TenantSuspended,
)
from coachline.tenancy.limits import Allowed, Limits, Rates, Refused
from coachline.tenancy.profile import (
    NewTenant,
    ProfileChanges,
    Tenant,
    TenantProfile,
    TenantStatus,
)
from coachline.tenancy.tenants import TenantExists, TenantNotFound, Tenants
from coachline.tenancy.validation import ProfileInvalid, TenantNameInvalid

__all__ = [
    "ALL_SCOPES",
    "TENANTLESS",
    "Allowed",
    "ApiKey",
    "AuditCheck",
    "AuditDetail",
    "AuditEntry",
    "AuditLog",
    "Isolation",
    "IsolationCheck",
    "KeyInvalid",
    "KeyNotFound",
    "KeyRefused",
    "Keys",
    "Limits",
    "NewKey",
    "NewTenant",
    "ProfileChanges",
    "ProfileInvalid",
    "Rates",
    "Refused",
    "Scope",
    "Tenant",
    "TenantExists",
    "TenantNameInvalid",
    "TenantNotFound",
    "TenantProfile",
    "TenantStatus",
    "TenantSuspended",
    "Tenants",
]
