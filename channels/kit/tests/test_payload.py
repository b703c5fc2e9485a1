"""Reading JSON: each trap is refused with its own reason, and what is in it is never shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_kit.errors import PayloadUnreadable
from channel_kit.payload import clean_json, read_json

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"hunter2", "not JSON"),
        (b'{"text": "hunter2"', "not JSON"),
        (b'{"text": "hunter2"} {}', "not JSON"),
        (b'{"hunter2": "\xff"}', "not UTF-8"),
        ('{"hunter2": 1}'.encode("utf-16"), "not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"[]", "not a JSON object"),
        (b'"hunter2"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"hunter2": 1, "hunter2": 2}', "twice"),
        (b'{"a": {"\\u0062": 1, "b": 2}}', "twice"),
        (b'{"hunter2": NaN}', "NaN"),
        (b'{"hunter2": -Infinity}', "NaN"),
        (b'{"hunter2": 1e999}', "too large"),
        (b'{"hunter2": ' + b"9" * 5000 + b"}", "more than 40"),
        (b'{"hunter2": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deeper"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deeper"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "deeper"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_trap_is_refused_with_its_reason_and_without_its_content(
    body: bytes, reason: str
) -> None:
    with pytest.raises(PayloadUnreadable, match=reason) as caught:
        read_json(body)
    assert SECRET not in str(caught.value)


def test_ordinary_json_is_read_as_it_is() -> None:
    value = {"a": [1, -2.5, True, None, "é\u0000"], "b": {"id": 2**63}}
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(b'{"a":' * 31 + b"1" + b"}" * 31)


@given(st.binary(max_size=100))
def test_any_bytes_are_an_object_or_unreadable(body: bytes) -> None:
    try:
        assert isinstance(read_json(body), dict)
    except PayloadUnreadable:
        return


def test_cleaned_json_can_be_stored() -> None:
    value = read_json(b'{"a\\u0000": ["\\ud800", {"b": "x\\u0000", "n": 1}]}')
    assert clean_json(value) == {"a": ["\ufffd", {"b": "x", "n": 1}]}


def test_keys_that_cleaning_makes_equal_are_refused() -> None:
    with pytest.raises(PayloadUnreadable, match="twice"):
        clean_json({"a": 1, "a\x00": 2})
