"""What can go wrong with an embedded server. Every message says what to do about it."""

from __future__ import annotations

from coachline.foundation.errors import Conflict, Unavailable


class LocalServerError(Unavailable):
    """An embedded server does not start, or does not start in time."""

    code = "local_server_failed"


class HomeInUse(Conflict):
    """Another process works on this data folder."""

    code = "home_in_use"
