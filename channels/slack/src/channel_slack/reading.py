"""Reading Slack's payloads: three shapes of body, and fields that are what they should be."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import parse_qsl

from channel_kit import PayloadUnreadable
from channel_kit.payload import read_json
from channel_kit.text import clean

_MOST_FORM_FIELDS: Final = 64
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,9})?")


def read_body(body: bytes) -> dict[str, Any]:
    """Return the payload in a body: an event, an interaction or a slash command.

    Which one it is, is told by its fields and never by its words: a command whose text is about
    payloads is a command.

    Raises:
        PayloadUnreadable: it is neither JSON nor a form that Slack sends.
    """
    if body.lstrip()[:1] == b"{" or b"=" not in body:
        return read_json(body)
    form = _read_form(body)
    if "command" not in form and "payload" in form:
        return read_json(form["payload"].encode())
    return dict(form)


def _read_form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FORM_FIELDS,
        )
    except ValueError:  # of which UnicodeDecodeError is one
        raise PayloadUnreadable("the body is neither JSON nor a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise PayloadUnreadable("a field appears twice in the form")
    return form


class Fields:
    """One JSON object of Slack's, read field by field.

    ``find_…`` return None for what is missing or null; ``get_…`` need it. A field of another type
    than it should be is a :class:`~channel_kit.PayloadUnreadable` that names it and shows nothing
    of its content.
    """

    def __init__(self, fields: dict[str, Any], path: str = "") -> None:
        self._fields = fields
        self._path = path

    def has(self, name: str) -> bool:
        """Tell whether a field is there and says anything: not null, false, empty or zero."""
        return bool(self._fields.get(name))

    def find_text(self, name: str) -> str | None:
        """Return a string, cleaned."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return clean(value)

    def find_id(self, name: str) -> str | None:
        """Return an id, exactly as it came; None for an empty one too."""
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise self._wrong(name, "an id")
        return value

    def get_id(self, name: str) -> str:
        """Return an id, exactly as it came."""
        found = self.find_id(name)
        if found is None:
            raise self._wrong(name, "an id")
        return found

    def find_timestamp(self, name: str) -> str | None:
        """Return a time as Slack writes it, ``1795003200.000100``, which is also a message's id."""
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
            raise self._wrong(name, "a timestamp")
        return value

    def get_timestamp(self, name: str) -> str:
        """Return a time as Slack writes it."""
        found = self.find_timestamp(name)
        if found is None:
            raise self._wrong(name, "a timestamp")
        return found

    def find_count(self, name: str) -> int | None:
        """Return a whole number that is not negative; None for any other."""
        value = self._fields.get(name)
        return value if type(value) is int and value >= 0 else None

    def find(self, name: str) -> Self | None:
        """Return an object inside this one."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return type(self)(value, f"{self._path}{name}.")

    def get(self, name: str) -> Self:
        """Return an object inside this one."""
        found = self.find(name)
        if found is None:
            raise self._wrong(name, "an object")
        return found

    def list(self, name: str) -> list[Self]:
        """Return the objects of a list inside this one; what is no object is left out."""
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        path = f"{self._path}{name}[]."
        return [type(self)(item, path) for item in value if isinstance(item, dict)]

    def is_true(self, name: str) -> bool:
        """Tell whether a field is JSON's ``true``."""
        return self._fields.get(name) is True

    def _wrong(self, name: str, kind: str) -> PayloadUnreadable:
        return PayloadUnreadable(f"{self._path}{name}: is not {kind}")


def moment(timestamp: str) -> datetime:
    """Return the time that a timestamp of Slack's names."""
    return datetime.fromtimestamp(float(timestamp), UTC)
