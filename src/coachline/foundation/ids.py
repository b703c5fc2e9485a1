"""Typed identifiers. Every one is a UUID of version 7, so keys grow with time."""

from __future__ import annotations

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

TenantId = NewType("TenantId", UUID)
KeyId = NewType("KeyId", UUID)
StaffId = NewType("StaffId", UUID)
SessionId = NewType("SessionId", UUID)
LearnerId = NewType("LearnerId", UUID)
IdentityId = NewType("IdentityId", UUID)
ConnectionId = NewType("ConnectionId", UUID)
ConversationId = NewType("ConversationId", UUID)
EventId = NewType("EventId", UUID)
TurnId = NewType("TurnId", UUID)
ReplyId = NewType("ReplyId", UUID)
TakeoverId = NewType("TakeoverId", UUID)
ProposalId = NewType("ProposalId", UUID)
DocumentId = NewType("DocumentId", UUID)
PassageId = NewType("PassageId", UUID)
ReviewId = NewType("ReviewId", UUID)


def new_id() -> UUID:
    """A fresh UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, then randomness."""
    return uuid7()
