"""What events of the feed add up to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from coachline.foundation.ids import new_id
from coachline.monitoring.feed import FeedEvent
from coachline.monitoring.usage_counting import Place, Tally, turn_of
from coachline.monitoring.usage_figures import Figures

CONNECTION, CONVERSATION, LEARNER, TURN = new_id(), new_id(), new_id(), new_id()
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def told(
    type_: str,
    *,
    at: datetime = NOON,
    connection_id: UUID | None = CONNECTION,
    conversation_id: UUID = CONVERSATION,
    learner_id: UUID = LEARNER,
    **data: object,
) -> FeedEvent:
    return FeedEvent(
        id=new_id(),
        position=1,
        type=type_,
        conversation_id=conversation_id,
        learner_id=learner_id,
        connection_id=connection_id,
        subject_id=new_id(),
        data=data,
        occurred_at=at,
    )


def count(*events: FeedEvent, zone: str = "UTC", model: float | None = None) -> Tally:
    tally = Tally()
    tally.add(events, ZoneInfo(zone), {} if model is None else {TURN: model})
    return tally


def figures(*events: FeedEvent, model: float | None = None) -> Figures:
    (found,) = count(*events, model=model).figures.values()
    return found


@pytest.mark.parametrize("kind", ["message", "button", "command"])
def test_what_a_learner_says_is_a_message(kind: str) -> None:
    assert figures(told("message.received", kind=kind)).messages == 1


@pytest.mark.parametrize("kind", ["edit", "delete", "reaction", "receipt", "opened", "consent"])
def test_what_is_not_said_is_no_message(kind: str) -> None:
    tally = count(told("message.received", kind=kind))
    assert not tally.figures
    assert not tally.talks


def test_an_answer_in_three_parts_is_three_replies_and_one_answer() -> None:
    parts = [
        told("reply.sent", by="bot", part=part, turn_id=str(TURN), waited_seconds=4.0)
        for part in (1, 2, 3)
    ]
    found = figures(*parts, model=2.0)
    assert (found.bot_replies, found.bot_answers, found.replies) == (3, 1, 3)
    assert found.first_answers.total == 1
    assert found.model_times.total == 1


def test_a_coach_is_not_the_bot_and_asks_no_model() -> None:
    found = figures(told("reply.sent", by="coach", part=1, turn_id=str(TURN)), model=2.0)
    assert (found.coach_replies, found.coach_answers, found.bot_answers) == (1, 1, 0)
    assert found.model_times.total == 0
    assert found.share_without_coach == 0.0


def test_a_notice_is_no_answer() -> None:
    found = figures(told("reply.sent", by="notice", part=1, waited_seconds=3.0))
    assert (found.notices, found.bot_answers, found.coach_answers) == (1, 0, 0)
    assert found.first_answers.total == 0
    assert found.share_without_coach is None


def test_failures_are_replies_and_turns() -> None:
    found = figures(told("reply.failed", state="dead"), told("turn.failed"), told("turn.failed"))
    assert (found.failed_replies, found.failed_turns, found.failures) == (1, 2, 3)


def test_opt_outs_are_counted() -> None:
    assert figures(told("learner.opted_out")).opt_outs == 1


def test_what_has_no_connection_or_is_of_another_kind_is_not_counted() -> None:
    tally = count(told("message.received", kind="message", connection_id=None), told("reply.read"))
    assert not tally.figures


def test_a_learner_in_two_conversations_is_two_talks_on_a_day_and_another_the_next() -> None:
    tally = count(
        told("message.received", kind="message"),
        told("message.received", kind="message"),
        told("message.received", kind="message", conversation_id=new_id()),
        told("message.received", kind="message", at=NOON + timedelta(days=1)),
    )
    assert len(tally.talks) == 3
    assert {talk.learner_id for talk in tally.talks} == {LEARNER}


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        ("UTC", datetime(2026, 6, 1, 23, 59, tzinfo=UTC), date(2026, 6, 1)),
        ("Asia/Kolkata", datetime(2026, 6, 1, 18, 29, tzinfo=UTC), date(2026, 6, 1)),
        ("Asia/Kolkata", datetime(2026, 6, 1, 18, 30, tzinfo=UTC), date(2026, 6, 2)),
        # Vienna's clocks go back at 01:00 UTC on 25 October: that day has 25 hours.
        ("Europe/Vienna", datetime(2026, 10, 24, 22, 0, tzinfo=UTC), date(2026, 10, 25)),
        ("Europe/Vienna", datetime(2026, 10, 25, 22, 59, tzinfo=UTC), date(2026, 10, 25)),
        ("Europe/Vienna", datetime(2026, 10, 25, 23, 0, tzinfo=UTC), date(2026, 10, 26)),
        # And forward on 29 March: that one has 23.
        ("Europe/Vienna", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), date(2026, 3, 29)),
        ("Europe/Vienna", datetime(2026, 3, 29, 21, 59, tzinfo=UTC), date(2026, 3, 29)),
        ("Europe/Vienna", datetime(2026, 3, 29, 22, 0, tzinfo=UTC), date(2026, 3, 30)),
    ],
)
def test_a_day_is_one_of_the_tenants_time_zone(zone: str, at: datetime, day: date) -> None:
    tally = count(told("message.received", kind="message", at=at), zone=zone)
    assert list(tally.figures) == [Place(day, CONNECTION)]


def test_only_a_bots_first_part_names_a_turn_to_look_up() -> None:
    assert turn_of(told("reply.sent", by="bot", part=1, turn_id=str(TURN))) == TURN
    assert turn_of(told("reply.sent", by="bot", part=2, turn_id=str(TURN))) is None
    assert turn_of(told("reply.sent", by="notice", part=1, turn_id=str(TURN))) is None
    assert turn_of(told("reply.sent", by="bot", part=1, turn_id=None)) is None
    assert turn_of(told("turn.failed", turn_id=str(TURN))) is None
