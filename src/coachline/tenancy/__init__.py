"""Who the tenants are, who may act for them, how much, and what was done."""

from coachline.tenancy.audit import AuditCheck, AuditDetail, AuditEntry, AuditLog
from coachline.tenancy.erased import ErasedTenant, ErasedTenants
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
from coachline.tenancy.schemas import TenantChanges, TenantOut
from coachline.tenancy.staff import (
    ROLE_SCOPES,
    ROLES,
    ProvenIdentity,
    Role,
    Staff,
    StaffChanges,
    StaffExists,
    StaffInvalid,
    StaffMember,
    StaffNotFound,
    StaffRefused,
    check_email,
)
from coachline.tenancy.tenants import TenantExists, TenantNotFound, Tenants
from coachline.tenancy.tokens import (
    SESSION,
    TICKET,
    TokenKind,
    digest_token,
    find_tenant_id,
    make_token,
)
from coachline.tenancy.validation import ProfileInvalid, TenantNameInvalid

__all__ = [
    "ALL_SCOPES",
    "ROLES",
    "ROLE_SCOPES",
    "SESSION",
    "TENANTLESS",
    "TICKET",
    "Allowed",
    "ApiKey",
    "AuditCheck",
    "AuditDetail",
    "AuditEntry",
    "AuditLog",
    "ErasedTenant",
    "ErasedTenants",
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
    "ProvenIdentity",
    "Rates",
    "Refused",
    "Role",
    "Scope",
    "Staff",
    "StaffChanges",
    "StaffExists",
    "StaffInvalid",
    "StaffMember",
    "StaffNotFound",
    "StaffRefused",
    "Tenant",
    "TenantChanges",
    "TenantExists",
    "TenantNameInvalid",
    "TenantNotFound",
    "TenantOut",
    "TenantProfile",
    "TenantStatus",
    "TenantSuspended",
    "Tenants",
    "TokenKind",
    "check_email",
    "digest_token",
    "find_tenant_id",
    "make_token",
]
