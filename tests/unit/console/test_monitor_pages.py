"""What the form of an endpoint is made of."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from coachline.console.monitor_pages import (
    REDACTIONS,
    SIGNATURES,
    about,
    event_groups,
    written,
)
from coachline.monitoring import EVENT_TYPES, Redaction, Signature


def test_every_type_of_event_can_be_ticked_once() -> None:
    groups = event_groups()
    assert [name for names in groups.values() for name in names] == list(EVENT_TYPES)
    assert all(name.startswith(f"{group}.") for group, names in groups.items() for name in names)
    assert groups["knowledge"] == ["knowledge.changed"]
    assert groups["reply"] == ["reply.sent", "reply.failed", "reply.proposed", "reply.decided"]


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_type_of_event_says_what_it_is(name: str) -> None:
    words = about(name)
    assert len(words) > len("A turn")
    assert "`" not in words
    assert "subject_id" not in words


def test_every_choice_has_words() -> None:
    assert tuple(REDACTIONS) == get_args(Redaction)
    assert tuple(SIGNATURES) == get_args(Signature)


def test_a_body_is_written_for_people_and_stays_the_same() -> None:
    body = {"type": "reply.sent", "data": {"text": "Schlaf gut – 晚安"}}
    assert "晚安" in written(body)
    assert json.loads(written(body)) == body
