"""Learners: who they are, and under which identity they write on each connection."""

from coachline.learners.errors import LanguageInvalid, LearnerNotFound, TimeZoneInvalid
from coachline.learners.identities import Identities
from coachline.learners.learners import Learners
from coachline.learners.profile import Identity, Learner, LearnerChanges, LearnerFilter

__all__ = [
    "Identities",
    "Identity",
    "LanguageInvalid",
    "Learner",
    "LearnerChanges",
    "LearnerFilter",
    "LearnerNotFound",
    "Learners",
    "TimeZoneInvalid",
]
