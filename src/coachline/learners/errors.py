"""What can be wrong with a learner."""

from __future__ import annotations

from coachline.foundation.errors import InvalidInput, NotFound


class LearnerNotFound(NotFound):
    """No such learner in this tenant."""

    code = "learner_not_found"


class TimeZoneInvalid(InvalidInput):
    """Not a name of the IANA time zone database."""

    code = "time_zone_invalid"


class LanguageInvalid(InvalidInput):
    """Not a language tag."""

    code = "language_invalid"
