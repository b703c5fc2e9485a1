"""Histograms of durations: where a duration falls, and what quantiles are worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachline.monitoring.histogram import BUCKETS, EMPTY, Histogram, bound_of, bucket_of

SECONDS = st.floats(min_value=0.3, max_value=100_000, allow_nan=False)


@pytest.mark.parametrize("bucket", range(BUCKETS))
def test_a_bound_belongs_to_its_own_bucket(bucket: int) -> None:
    assert bucket_of(bound_of(bucket)) == bucket


@pytest.mark.parametrize(("seconds", "bucket"), [(-5.0, 0), (0.0, 0), (0.25, 0), (0.26, 1)])
def test_what_took_no_time_is_in_the_first_bucket(seconds: float, bucket: int) -> None:
    assert bucket_of(seconds) == bucket


def test_what_took_weeks_is_in_the_last_bucket() -> None:
    assert bucket_of(3e6) == BUCKETS - 1


def test_nothing_has_no_quantile() -> None:
    assert EMPTY.quantile(0.5) is None
    assert EMPTY.total == 0


@given(st.lists(SECONDS, min_size=1, max_size=200), st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_a_quantile_is_in_the_bucket_of_the_true_one(times: list[float], share: float) -> None:
    found = Histogram.of(times).quantile(share)
    true = sorted(times)[max(0, -int(-share * len(times) // 1) - 1)]
    assert found is not None
    assert true / 1.4143 <= found <= true * 1.4143


@given(st.lists(SECONDS, max_size=50), st.lists(SECONDS, max_size=50))
def test_histograms_add_up(some: list[float], others: list[float]) -> None:
    assert Histogram.of(some) + Histogram.of(others) == Histogram.of(some + others)
