"""SQL of the learners room. Every statement runs in the caller's transaction for one tenant."""

from coachline.learners.repository.consents import ConsentRepository
from coachline.learners.repository.erasures import ErasureRepository
from coachline.learners.repository.learners import LearnerRepository
from coachline.learners.repository.links import LinkRepository

__all__ = [
    "ConsentRepository",
    "ErasureRepository",
    "LearnerRepository",
    "LinkRepository",
]
