"""How the Bot API says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """An answer with ``ok: false``.

    ``code`` is the HTTP status and the ``error_code``; ``parameters`` is what some refusals add
    (``retry_after``, ``migrate_to_chat_id``).
    """

    def __init__(
        self, code: int, description: str, parameters: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        body: dict[str, Any] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        if self.parameters:
            body["parameters"] = dict(self.parameters)
        return body


def bad_request(problem: str) -> Refusal:
    """400: the request makes no sense here."""
    return Refusal(400, f"Bad Request: {problem}")


def forbidden(problem: str) -> Refusal:
    """403: the bot may not write there."""
    return Refusal(403, f"Forbidden: {problem}")


def conflict(problem: str) -> Refusal:
    """409: somebody else receives this bot's updates."""
    return Refusal(409, f"Conflict: {problem}")


def too_many(seconds: int) -> Refusal:
    """429: to be repeated after ``seconds``."""
    return Refusal(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
