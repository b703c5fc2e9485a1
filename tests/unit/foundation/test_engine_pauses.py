"""How long the engine waits before it begins anew, after its database went away."""

from __future__ import annotations

from coachline.foundation.job_runner import next_pause

_MOST_SECONDS = 5.0
"""Within which the gateway works again after PostgreSQL is back."""


def test_an_engine_that_ran_begins_anew_at_once_however_often_it_failed() -> None:
    pauses = [0.5]
    for _ in range(20):
        pauses.append(next_pause(pauses[-1], ran_seconds=6.0))

    assert set(pauses) == {0.5}


def test_an_engine_that_cannot_begin_waits_longer_and_longer_but_never_long() -> None:
    pauses = [0.5]
    for _ in range(20):
        pauses.append(next_pause(pauses[-1], ran_seconds=0.1))

    assert pauses == sorted(pauses)
    assert pauses[1] > pauses[0]
    assert pauses[-1] < _MOST_SECONDS
