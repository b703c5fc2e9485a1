"""How Slack's Web API says no."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An answer with ``ok: false``.

    ``error`` is Slack's word. The HTTP status is 200 but for limits and outages; ``retry_after``
    is the header of a 429, in seconds; ``more`` stands in the body beside the error.
    """

    def __init__(
        self, error: str, *, status: int = 200, retry_after: int | None = None, **more: Any
    ) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.retry_after = retry_after
        self.more = more

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"ok": False, "error": self.error, **self.more}


def too_many(seconds: int) -> Refusal:
    """429: to be repeated after ``seconds``."""
    return Refusal("ratelimited", status=429, retry_after=seconds)
