"""A model that fails again and again is left alone, and found well again."""

from __future__ import annotations

import pytest

from coachline.inference import (
    CircuitBreaker,
    ModelFailed,
    ModelPaused,
    ModelRejected,
    ModelTimedOut,
)
from fixtures.time import FakeClock


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(clock, failures=3, pause_seconds=10)


def _fail(breaker: CircuitBreaker, times: int, model: str = "m") -> None:
    for _ in range(times):
        with pytest.raises(ModelTimedOut), breaker.attempt(model):
            raise ModelTimedOut("slow")


def test_it_opens_after_failures_in_a_row(breaker: CircuitBreaker) -> None:
    _fail(breaker, 2)
    assert not breaker.is_open("m")

    _fail(breaker, 1)

    assert breaker.is_open("m")
    with pytest.raises(ModelPaused), breaker.attempt("m"):
        pytest.fail("the request was made")


def test_a_success_between_failures_starts_the_count_anew(breaker: CircuitBreaker) -> None:
    _fail(breaker, 2)
    with breaker.attempt("m"):
        pass
    _fail(breaker, 2)

    assert not breaker.is_open("m")


def test_models_do_not_share_their_troubles(breaker: CircuitBreaker) -> None:
    _fail(breaker, 3)

    assert not breaker.is_open("other")


def test_after_the_pause_one_probe_passes_and_its_success_closes(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    _fail(breaker, 3)
    clock.advance(10)

    with breaker.attempt("m"):
        assert breaker.is_open("m")
        with pytest.raises(ModelPaused), breaker.attempt("m"):
            pytest.fail("a second probe was made")

    assert not breaker.is_open("m")
    _fail(breaker, 2)
    assert not breaker.is_open("m")


def test_a_failed_probe_starts_the_next_pause(breaker: CircuitBreaker, clock: FakeClock) -> None:
    _fail(breaker, 3)
    clock.advance(10)
    _fail(breaker, 1)

    assert breaker.is_open("m")
    clock.advance(9.9)
    assert breaker.is_open("m")
    clock.advance(0.1)
    assert not breaker.is_open("m")


@pytest.mark.parametrize("ending", [KeyboardInterrupt, ModelRejected])
def test_a_probe_without_a_verdict_leaves_room_for_the_next(
    breaker: CircuitBreaker, clock: FakeClock, ending: type[BaseException]
) -> None:
    _fail(breaker, 3)
    clock.advance(10)

    with pytest.raises(ending), breaker.attempt("m"):
        raise ending("no verdict")

    with breaker.attempt("m"):
        assert breaker.is_open("m")
    assert not breaker.is_open("m")


def test_a_rejected_request_counts_neither_way(breaker: CircuitBreaker) -> None:
    _fail(breaker, 2)
    with pytest.raises(ModelRejected), breaker.attempt("m"):
        raise ModelRejected("too long")
    _fail(breaker, 1)

    assert breaker.is_open("m")


def test_what_is_remembered_has_an_end(breaker: CircuitBreaker) -> None:
    for number in range(5000):
        with pytest.raises(ModelFailed), breaker.attempt(f"made up {number}"):
            raise ModelFailed("no such thing")

    assert len(breaker._troubles) == 1000
