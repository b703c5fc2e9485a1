"""The ledger shows what is visible and judges it against what was asked."""

from __future__ import annotations

import asyncio
import time

import pytest

from coachline_lab import Asked, Ledger, asked_in

THREAD = "42"


def _ledger(*texts: str, thread: str = THREAD) -> Ledger:
    ledger = Ledger("telegram")
    for number, text in enumerate(texts, 1):
        ledger.accept("bot", thread, str(number), text)
    return ledger


def test_edits_and_deletes_change_what_is_visible_but_not_what_was_accepted() -> None:
    ledger = _ledger("…", "second")
    ledger.edit(ledger.accepted[0], "first")
    ledger.remove(ledger.accepted[1])
    assert ledger.visible(THREAD) == ["first"]
    assert [one.message_id for one in ledger.accepted] == ["1", "2"]


def test_the_transcript_holds_learners_too_and_the_visible_texts_do_not() -> None:
    ledger = Ledger("telegram")
    ledger.said("bot", THREAD, "1", "hello", sender="Lea")
    ledger.accept("bot", THREAD, "2", "hi")
    assert [(line.sender, line.text) for line in ledger.transcript(THREAD)] == [
        ("Lea", "hello"),
        (None, "hi"),
    ]
    assert ledger.visible(THREAD) == ["hi"]


def test_accounts_with_equal_threads_are_kept_apart() -> None:
    ledger = Ledger("telegram")
    ledger.accept("one", THREAD, "1", "of one")
    ledger.accept("two", THREAD, "1", "of two")
    assert ledger.visible(THREAD, account="two") == ["of two"]
    assert len(ledger.visible(THREAD)) == 2


def test_calls_are_found_by_their_method() -> None:
    ledger = Ledger("telegram")
    ledger.called("bot", "sendMessage", {"text": "x"})
    ledger.called("bot", "sendChatAction", {})
    assert [call.method for call in ledger.calls("SENDMESSAGE")] == ["sendMessage"]
    assert len(ledger.calls()) == 2


def test_a_call_before_the_end_of_its_wait_is_early() -> None:
    ledger = Ledger("telegram")
    for offset, retry_after in ((0.0, 5.0), (4.9, None), (5.1, None)):
        call = ledger.called("bot", "sendMessage", {}, thread=THREAD)
        call.at, call.retry_after = 1000.0 + offset, retry_after
    elsewhere = ledger.called("bot", "sendMessage", {}, thread="43")
    elsewhere.at = 1001.0
    assert [call.at for call in ledger.early_retries()] == [1004.9]


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        (["re: a", "re: b", "re: c"], {}),
        (["re: a\nre: b", "re: c"], {}),
        (["re: a", "re: c"], {"lost": ["b"]}),
        (["re: a", "re: b", "re: b", "re: c"], {"duplicate": ["b"]}),
        (["re: b", "re: a", "re: c"], {"disordered": ["b"]}),
    ],
)
def test_the_verdict_names_what_is_wrong(texts: list[str], wrong: dict[str, list[str]]) -> None:
    verdict = _ledger(*texts).judge(asked_in(THREAD, ["a", "b", "c"]))
    found = {
        name: [one.marker for one in getattr(verdict, name)]
        for name in ("lost", "duplicate", "disordered")
    }
    assert {name: markers for name, markers in found.items() if markers} == wrong
    assert verdict.is_perfect == (not wrong)


def test_placeholders_and_streams_that_never_end_are_stray() -> None:
    ledger = _ledger("re: a", "…")
    ledger.accept("bot", THREAD, "3", "half an ans", is_unfinished=True)
    verdict = ledger.judge(asked_in(THREAD, ["a"]))
    assert [one.message_id for one in verdict.stray] == ["2", "3"]
    assert str(verdict).endswith("2 stray")


def test_an_answer_in_the_wrong_thread_is_lost_there_and_foreign_here() -> None:
    verdict = _ledger("re: a", thread="43").judge(asked_in(THREAD, ["a"]))
    assert [one.marker for one in verdict.lost] == ["a"]
    assert [one.thread for one in verdict.foreign] == ["43"]


def test_an_answer_of_another_account_is_not_the_answer() -> None:
    ledger = Ledger("telegram")
    ledger.accept("two", THREAD, "1", "re: a")
    verdict = ledger.judge([Asked(THREAD, "a", "one")])
    assert (len(verdict.lost), len(verdict.foreign)) == (1, 1)


def test_a_deleted_answer_does_not_count() -> None:
    ledger = _ledger("re: a", "re: a")
    ledger.remove(ledger.accepted[0])
    assert ledger.judge(asked_in(THREAD, ["a"])).is_perfect


def test_markers_may_be_found_in_another_way() -> None:
    ledger = _ledger("<a> and <b>")
    verdict = ledger.judge(asked_in(THREAD, ["a"]), match=lambda text: [text[1]])
    assert verdict.is_perfect


async def test_waiting_ends_with_the_answer_and_not_with_its_placeholder() -> None:
    ledger = Ledger("telegram")
    asked = ledger.said("bot", THREAD, "1", "hello", sender="Lea")
    waiting = asyncio.create_task(ledger.wait_for_answer(THREAD, after=asked.place))
    await asyncio.sleep(0)
    placeholder = ledger.accept("bot", THREAD, "2", "…")
    await asyncio.sleep(0)
    assert not waiting.done()
    ledger.edit(placeholder, "hi")
    assert (await waiting).text == "hi"


async def test_waiting_in_vain_says_what_is_shown() -> None:
    ledger = _ledger("…")
    with pytest.raises(TimeoutError, match="…"):
        await ledger.wait_for_answer(THREAD, seconds=0.01)


async def test_an_answer_from_before_the_question_is_none() -> None:
    ledger = _ledger("old")
    with pytest.raises(TimeoutError):
        await ledger.wait_for_answer(THREAD, after=ledger.place, seconds=0.01)


def test_a_hundred_thousand_messages_cost_the_same_each() -> None:
    ledger = Ledger("telegram")
    times = []
    for start in range(0, 100_000, 10_000):
        began = time.perf_counter()
        for number in range(start, start + 10_000):
            thread = str(number % 500)
            ledger.called("bot", "sendMessage", {}, thread=thread)
            ledger.edit(ledger.accept("bot", thread, str(number), "…"), f"re: {number}")
        times.append(time.perf_counter() - began)
    # Growth with the book would show in every later part; a collection of garbage in some.
    assert min(times[5:]) < 4 * min(times[:5])
    asked = [Asked(str(number % 500), str(number)) for number in range(100_000)]
    assert ledger.judge(asked).is_perfect
