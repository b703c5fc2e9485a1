"""The error tree: one base, general kinds with an HTTP status, leaves in the rooms.

A leaf subclasses the kind that fits and sets ``code``: a stable word that programs may rely on.
The message is for a person and says what to do; it never holds a secret or message text.
"""

from __future__ import annotations

from typing import ClassVar


class CoachlineError(Exception):
    """Base of every error that Coachline raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class InvalidInput(CoachlineError):
    """What was given cannot be used as it is."""

    code = "invalid_input"
    status = 422


class BadRequest(CoachlineError):
    """The request cannot be read."""

    code = "bad_request"
    status = 400


class Unauthenticated(CoachlineError):
    """Nobody proved who is asking."""

    code = "unauthenticated"
    status = 401


class Forbidden(CoachlineError):
    """Known, but not allowed."""

    code = "forbidden"
    status = 403


class NotFound(CoachlineError):
    """There is no such thing here, or not for you: the two are never told apart."""

    code = "not_found"
    status = 404


class Conflict(CoachlineError):
    """It exists already, or its state does not allow this."""

    code = "conflict"
    status = 409


class TooLarge(CoachlineError):
    """More bytes than are accepted."""

    code = "too_large"
    status = 413


class UnsupportedMedia(CoachlineError):
    """A kind of content that cannot be read."""

    code = "unsupported_media"
    status = 415


class TooManyRequests(CoachlineError):
    """A limit is reached; ``retry_after_seconds`` says when it is worth trying again."""

    code = "rate_limited"
    status = 429


class Unavailable(CoachlineError):
    """A part that is needed cannot be reached now; nothing was accepted."""

    code = "unavailable"
    status = 503


class SettingsInvalid(CoachlineError):
    """The configuration has a wrong or missing value; the message names it."""

    code = "settings_invalid"
    status = 500


class LeaseLost(CoachlineError):
    """Another holder has the conversation now; everything this one still does is refused."""

    code = "lease_lost"
    status = 409
