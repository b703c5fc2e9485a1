"""Arguments of a Web API call, however the client wrote them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from coachline_lab.slack.refusals import Refusal


class Arguments:
    """One call's arguments and the token that came with it.

    Slack takes them in the query of a GET or a POST, as a form, or as JSON; nested values of a form
    are JSON text.
    """

    def __init__(
        self, values: Mapping[str, Any], token: str = "", basic: tuple[str, str] | None = None
    ) -> None:
        self.values = values
        self.token = token
        self.basic = basic

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self.values.get(name)
        return default if value is None else str(value)

    def needed(self, name: str, error: str = "invalid_arguments") -> str:
        """A string that must not be missing.

        Raises:
            Refusal: it is; with ``error``.
        """
        value = self.text(name)
        if not value:
            raise Refusal(error, response_metadata={"messages": [f"[ERROR] missing field: {name}"]})
        return value

    def integer(self, name: str, default: int) -> int:
        """A whole number.

        Raises:
            Refusal: it is none.
        """
        value = self.text(name)
        if not value:
            return default
        if not value.isdigit():
            raise Refusal("invalid_arguments")
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth: ``true`` or ``1`` in forms."""
        value = self.values.get(name)
        return default if value is None else str(value).casefold() in ("true", "1")

    def structure(self, name: str) -> Any:
        """A nested value, given as such or as its JSON text; None when it is missing.

        Raises:
            Refusal: the text is no JSON.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            return value or None
        try:
            return json.loads(value)
        except ValueError:
            raise Refusal(
                f"invalid_{name}_format" if name == "blocks" else "invalid_json"
            ) from None


async def read_arguments(request: web.Request) -> Arguments:
    """Read the arguments and credentials of a request.

    Raises:
        Refusal: the body cannot be read.
    """
    values: dict[str, Any] = dict(request.query)
    if request.method == "POST" and request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            raise Refusal("invalid_json") from None
        if not isinstance(body, dict):
            raise Refusal("json_not_object")
        values |= body
    elif request.method == "POST":
        values |= {k: v for k, v in (await request.post()).items() if isinstance(v, str)}
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    token = str(values.pop("token", ""))
    if scheme.casefold() == "bearer":
        token = credentials.strip()
    return Arguments(values, token, _basic(scheme, credentials))


def _basic(scheme: str, credentials: str) -> tuple[str, str] | None:
    if scheme.casefold() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(credentials).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, secret
