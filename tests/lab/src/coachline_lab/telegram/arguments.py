"""Arguments of a Bot API call, however the client wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from coachline_lab.telegram.refusals import bad_request


class Arguments:
    """One call's arguments.

    The Bot API takes them in the query, as a form or as JSON. In forms numbers and booleans are
    text and nested objects are JSON text; a client that leaves out empty values is right.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self.values.get(name)
        if value is None:
            return default
        return value if isinstance(value, str) else json.dumps(value)

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number.

        Raises:
            Refusal: it is none.
        """
        value = self.values.get(name)
        if value is None or value == "":
            return default
        try:
            return int(str(value))
        except ValueError:
            raise bad_request(f"{name} must be a valid number") from None

    def is_true(self, name: str) -> bool:
        """Whether it is set to a truth, as forms and as JSON write it."""
        return str(self.values.get(name, "")).casefold() in ("true", "1", "yes")

    def has(self, name: str) -> bool:
        """Whether it was given at all."""
        return self.values.get(name) not in (None, "")

    def structure(self, name: str) -> Any:
        """A nested object or list, given as such or as its JSON text; None when it is missing.

        Raises:
            Refusal: the text is no JSON.
        """
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {name} JSON object") from None

    def mapping(self, name: str) -> dict[str, Any]:
        """A nested object; empty when it is missing.

        Raises:
            Refusal: it is something else.
        """
        value = self.structure(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise bad_request(f"object expected as {name}")
        return value

    def listed(self, name: str) -> list[Any] | None:
        """A nested list; None when it is missing.

        Raises:
            Refusal: it is something else.
        """
        value = self.structure(name)
        if value is None or isinstance(value, list):
            return value
        raise bad_request(f"expected an Array of {name}")


async def read_arguments(request: web.Request) -> Arguments:
    """Read the arguments of a request.

    Raises:
        Refusal: the body cannot be read.
    """
    values: dict[str, Any] = dict(request.query)
    if request.method == "GET":
        return Arguments(values)
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            raise bad_request("can't parse request JSON body") from None
        if not isinstance(body, dict):
            raise bad_request("object expected as request body")
        return Arguments({**values, **body})
    for name, value in (await request.post()).items():
        values[name] = value if isinstance(value, str) else {"file": getattr(value, "filename", "")}
    return Arguments(values)
