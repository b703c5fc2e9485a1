"""Learners: who they are, and under which identity they write on each connection."""

from coachline.learners.consent import Consent, ConsentChange, ConsentSource, Standing
from coachline.learners.erasures import ErasureLedger, ErasureRecord, ErasureState, Tombstone
from coachline.learners.errors import (
    LanguageInvalid,
    LearnerNotFound,
    SenderErased,
    TimeZoneInvalid,
)
from coachline.learners.identities import Identities
from coachline.learners.learners import Learners
from coachline.learners.linking import (
    LinkCodes,
    Linked,
    Member,
    Sharing,
    looks_like_code,
    narrowest,
)
from coachline.learners.profile import Identity, Learner, LearnerChanges, LearnerFilter
from coachline.learners.rights import ERASED, Forgotten, Kept, LearnerRights

__all__ = [
    "ERASED",
    "Consent",
    "ConsentChange",
    "ConsentSource",
    "ErasureLedger",
    "ErasureRecord",
    "ErasureState",
    "Forgotten",
    "Identities",
    "Identity",
    "Kept",
    "LanguageInvalid",
    "Learner",
    "LearnerChanges",
    "LearnerFilter",
    "LearnerNotFound",
    "LearnerRights",
    "Learners",
    "LinkCodes",
    "Linked",
    "Member",
    "SenderErased",
    "Sharing",
    "Standing",
    "TimeZoneInvalid",
    "Tombstone",
    "looks_like_code",
    "narrowest",
]
