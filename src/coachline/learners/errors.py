"""What can be wrong with a learner."""

from __future__ import annotations

from coachline.foundation.errors import Conflict, InvalidInput, NotFound


class LearnerNotFound(NotFound):
    """No such learner in this tenant."""

    code = "learner_not_found"


class TimeZoneInvalid(InvalidInput):
    """Not a name of the IANA time zone database."""

    code = "time_zone_invalid"


class LanguageInvalid(InvalidInput):
    """Not a language tag."""

    code = "language_invalid"


class SenderErased(Conflict):
    """What was said is older than the erasure of who said it, and is not kept again."""

    code = "sender_erased"
