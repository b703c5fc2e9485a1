"""Faults come when they were ordered, and the same again with the same seed."""

from __future__ import annotations

from collections import Counter

import pytest

from coachline_lab import Faults, InboundFaults, Mode


def test_nothing_goes_wrong_unasked() -> None:
    faults = Faults()
    assert {faults.take("sendMessage").mode for _ in range(50)} == {Mode.NONE}


def test_the_next_calls_go_wrong_and_then_none() -> None:
    faults = Faults()
    faults.next(2, Mode.SERVER_ERROR)
    met = [faults.take("sendMessage").mode for _ in range(4)]
    assert met == [Mode.SERVER_ERROR, Mode.SERVER_ERROR, Mode.NONE, Mode.NONE]


def test_a_fault_of_one_method_leaves_others_alone() -> None:
    faults = Faults()
    faults.next(1, Mode.RATE_LIMITED, method="chat.postMessage", retry_after=7)
    assert faults.take("chat.update").mode is Mode.NONE
    fault = faults.take("chat.POSTmessage")
    assert (fault.mode, fault.retry_after) == (Mode.RATE_LIMITED, 7)


def test_planned_faults_are_met_in_the_order_of_their_orders() -> None:
    faults = Faults()
    faults.next(1, Mode.HTML_ERROR)
    faults.next(1, Mode.SLOW, seconds=0.1)
    assert [faults.take("x").mode for _ in range(3)] == [Mode.HTML_ERROR, Mode.SLOW, Mode.NONE]


def _drawn(seed: int) -> list[Mode]:
    faults = Faults()
    faults.share(Mode.CUT_AFTER_ACCEPT, 0.2, seed)
    faults.share(Mode.SERVER_ERROR, 0.1, seed + 100, method="sendMessage")
    return [faults.take("sendMessage").mode for _ in range(2000)]


def test_shares_are_the_same_again_with_the_same_seed() -> None:
    assert _drawn(1) == _drawn(1) != _drawn(2)


def test_shares_are_as_large_as_ordered() -> None:
    counts = Counter(_drawn(3))
    assert 340 < counts[Mode.CUT_AFTER_ACCEPT] < 460
    assert 110 < counts[Mode.SERVER_ERROR] < 210  # a tenth of what the first share left


def test_one_share_does_not_move_the_draws_of_another() -> None:
    alone, beside = Faults(), Faults()
    alone.share(Mode.SLOW, 0.5, 9)
    beside.share(Mode.HTML_ERROR, 0.5, 4)
    beside.share(Mode.SLOW, 0.5, 9)
    expected = [alone.take("x").mode is Mode.SLOW for _ in range(200)]
    met = [beside.take("x").mode for _ in range(200)]
    visible = [mode is Mode.SLOW for mode in met if mode is not Mode.HTML_ERROR]
    assert visible == [
        slow for slow, mode in zip(expected, met, strict=True) if mode is not Mode.HTML_ERROR
    ]


def test_clearing_ends_plans_and_shares() -> None:
    faults = Faults()
    faults.next(5, Mode.SERVER_ERROR)
    faults.share(Mode.SERVER_ERROR, 1.0, 0)
    faults.clear()
    assert faults.take("x").mode is Mode.NONE


@pytest.mark.parametrize(
    ("mode", "is_accepting"),
    [
        (Mode.CUT_AFTER_ACCEPT, True),
        (Mode.SERVER_ERROR_AFTER_ACCEPT, True),
        (Mode.SLOW, True),
        (Mode.CUT_BEFORE_ACCEPT, False),
        (Mode.HTML_ERROR, False),
        (Mode.RATE_LIMITED, False),
    ],
)
def test_a_mode_says_whether_the_call_had_its_effect(mode: Mode, is_accepting: bool) -> None:
    faults = Faults()
    faults.next(1, mode)
    assert faults.take("x").is_accepting is is_accepting


def test_inbound_faults_are_drawn_by_their_seed() -> None:
    def doubled(seed: int) -> list[bool]:
        faults = InboundFaults(duplicate=0.3, seed=seed)
        return [faults.is_doubled() for _ in range(100)]

    assert doubled(5) == doubled(5) != doubled(6)


def test_the_first_deliveries_are_lost_as_often_as_ordered() -> None:
    faults = InboundFaults(drop_first=2)
    assert [faults.is_lost() for _ in range(4)] == [True, True, False, False]
