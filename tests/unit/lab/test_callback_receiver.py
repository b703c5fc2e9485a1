"""The callback receiver believes only proven requests, keeps a true ledger and fails as told."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channel_kit.signing import generate_secret, parse_secret, sign
from lab.callback_receiver import Answer, CallbackReceiver, Verdict, judge

SECRET, OTHER = generate_secret(), generate_secret()
SCRIPT = Path(__file__).parents[2] / "lab" / "callback_receiver.py"


def _reply(event: str, *, thread: str = "t", part: int = 1, text: str = "hi") -> dict[str, Any]:
    return {"type": "reply", "in_reply_to": [event], "thread": thread, "text": text, "part": part}


async def _post(
    http: aiohttp.ClientSession,
    url: str,
    webhook_id: str,
    body: dict[str, Any],
    *,
    secret: str = SECRET,
) -> aiohttp.ClientResponse:
    data = json.dumps(body).encode()
    headers = sign(
        [parse_secret(secret)], message_id=webhook_id, timestamp=datetime.now(UTC), body=data
    )
    response = await http.post(url, data=data, headers=headers, allow_redirects=False)
    await response.read()
    return response


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def receiver() -> AsyncIterator[CallbackReceiver]:
    """A receiver for two tenants, each with its own path and secret."""
    async with CallbackReceiver(slow_seconds=0.1, retry_after_seconds=7) as found:
        found.trust(SECRET, path="/a")
        found.trust(OTHER, path="/b")
        yield found


async def test_a_signed_reply_is_accepted_and_kept_in_order(
    receiver: CallbackReceiver, http: aiohttp.ClientSession
) -> None:
    for event in ("e1", "e2", "e3"):
        response = await _post(http, f"{receiver.url}/a", f"r-{event}", _reply(event))
        assert response.status == 200
    assert [reply.webhook_id for reply in receiver.accepted] == ["r-e1", "r-e2", "r-e3"]
    assert receiver.judge({"t": ["e1", "e2", "e3"]}, path="/a").is_perfect


async def test_the_other_tenants_signature_is_refused(
    receiver: CallbackReceiver, http: aiohttp.ClientSession
) -> None:
    for secret, path in ((OTHER, "/a"), (SECRET, "/b"), (SECRET, "/nowhere")):
        response = await _post(http, receiver.url + path, "r", _reply("e"), secret=secret)
        assert response.status == 401
    assert receiver.refused == ["/a", "/b", "/nowhere"]
    assert (receiver.accepted, receiver.attempts) == ([], [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "r", "webhook-timestamp": "now", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "r", "webhook-timestamp": "0", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "r", "webhook-timestamp": "{now}", "webhook-signature": "nonsense"},
        {"webhook-id": "r", "webhook-timestamp": "{now}", "webhook-signature": "v1,AAA"},
    ],
)
async def test_a_malformed_proof_is_refused(
    receiver: CallbackReceiver, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    now = str(int(datetime.now(UTC).timestamp()))
    filled = {name: value.replace("{now}", now) for name, value in headers.items()}
    async with http.post(f"{receiver.url}/a", data=b"\xff", headers=filled) as response:
        assert response.status == 401
    assert receiver.accepted == []


async def test_both_secrets_of_a_rotation_are_believed(
    receiver: CallbackReceiver, http: aiohttp.ClientSession
) -> None:
    receiver.trust(OTHER, path="/a")
    for number, secret in enumerate((SECRET, OTHER)):
        await _post(http, f"{receiver.url}/a", f"r{number}", _reply("e"), secret=secret)
    assert len(receiver.accepted) == 2


@pytest.mark.parametrize(
    ("answer", "status", "is_accepted"),
    [
        (Answer.OK, 200, True),
        (Answer.SLOW, 200, True),
        (Answer.ERROR_AFTER_ACCEPT, 500, True),
        (Answer.RATE_LIMITED, 429, False),
        (Answer.UNAVAILABLE, 503, False),
        (Answer.BAD_REQUEST, 400, False),
        (Answer.GONE, 410, False),
        (Answer.REDIRECT, 307, False),
    ],
)
async def test_a_planned_answer_is_given_once(
    receiver: CallbackReceiver,
    http: aiohttp.ClientSession,
    answer: Answer,
    status: int,
    is_accepted: bool,
) -> None:
    receiver.plan(answer)
    planned = await _post(http, f"{receiver.url}/a", "r1", _reply("e1"))
    assert planned.status == status
    assert bool(receiver.accepted) == is_accepted
    assert planned.headers.get("Retry-After") == ("7" if answer is Answer.RATE_LIMITED else None)
    after = await _post(http, f"{receiver.url}/a", "r2", _reply("e2"))
    assert after.status == 200
    assert [attempt.answer for attempt in receiver.attempts] == [answer, Answer.OK]


@pytest.mark.parametrize(
    ("answer", "is_accepted"), [(Answer.CUT_AFTER_ACCEPT, True), (Answer.CUT_BEFORE_ACCEPT, False)]
)
async def test_a_cut_leaves_the_sender_in_doubt(
    receiver: CallbackReceiver, http: aiohttp.ClientSession, answer: Answer, is_accepted: bool
) -> None:
    receiver.plan(answer)
    with pytest.raises(aiohttp.ClientConnectionError):
        await _post(http, f"{receiver.url}/a", "r1", _reply("e1"))
    assert bool(receiver.accepted) == is_accepted


async def test_a_slow_answer_is_slow(
    receiver: CallbackReceiver, http: aiohttp.ClientSession
) -> None:
    receiver.plan(Answer.SLOW)
    loop = asyncio.get_running_loop()
    began = loop.time()
    sending = asyncio.create_task(_post(http, f"{receiver.url}/a", "r1", _reply("e1")))
    await receiver.wait_for(1, 5)
    assert not sending.done()
    await sending
    assert loop.time() - began >= 0.1


async def test_shares_are_drawn_by_the_seed(http: aiohttp.ClientSession) -> None:
    drawn = []
    for seed in (1, 1, 2):
        async with CallbackReceiver(seed=seed) as receiver:
            url = receiver.trust(SECRET)
            receiver.share({Answer.UNAVAILABLE: 0.3, Answer.ERROR_AFTER_ACCEPT: 0.2})
            for number in range(100):
                await _post(http, url, f"r{number}", _reply(f"e{number}"))
            drawn.append([attempt.answer for attempt in receiver.attempts])
    assert drawn[0] == drawn[1] != drawn[2]
    counted = Counter(drawn[0])
    assert 15 <= counted[Answer.UNAVAILABLE] <= 45
    assert 8 <= counted[Answer.ERROR_AFTER_ACCEPT] <= 35


async def test_a_resend_is_one_reply_and_two_attempts(
    receiver: CallbackReceiver, http: aiohttp.ClientSession
) -> None:
    receiver.plan(Answer.ERROR_AFTER_ACCEPT)
    for _ in range(2):
        await _post(http, f"{receiver.url}/a", "r1", _reply("e1"))
    assert (len(receiver.accepted), len(receiver.attempts)) == (1, 2)
    assert receiver.judge({"t": ["e1"]}, path="/a").is_perfect


async def test_a_resend_with_another_body_is_found(
    receiver: CallbackReceiver, http: aiohttp.ClientSession
) -> None:
    await _post(http, f"{receiver.url}/a", "r1", _reply("e1"))
    await _post(http, f"{receiver.url}/a", "r1", _reply("e1", text="other"))
    assert receiver.judge({"t": ["e1"]}, path="/a").changed == ("r1",)


async def test_waiting_ends_with_the_reply_or_says_what_is_missing(
    receiver: CallbackReceiver, http: aiohttp.ClientSession
) -> None:
    waiting = asyncio.create_task(receiver.wait_for(1, 5))
    await _post(http, f"{receiver.url}/a", "r1", _reply("e1"))
    assert [reply.webhook_id for reply in await waiting] == ["r1"]
    with pytest.raises(TimeoutError, match="1 of 2 replies"):
        await receiver.wait_for(2, 0.05)


def _verdict(**wrong: tuple[str, ...]) -> Verdict:
    return Verdict(
        **{
            name: wrong.get(name, ())
            for name in ("lost", "duplicated", "disordered", "foreign", "changed")
        }
    )


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([_reply("e1"), _reply("e2"), _reply("e3")], _verdict()),
        ([{**_reply("e1"), "in_reply_to": ["e1", "e2", "e3"]}], _verdict()),
        (
            [_reply("e1"), _reply("e1", part=2), _reply("e2"), _reply("e3")],
            _verdict(),
        ),
        ([_reply("e1"), _reply("e3")], _verdict(lost=("e2",))),
        (
            [_reply("e1"), _reply("e2"), _reply("e2"), _reply("e3")],
            _verdict(duplicated=("e2",)),
        ),
        ([_reply("e1"), _reply("e3"), _reply("e2")], _verdict(disordered=("e3",))),
        (
            [_reply("e1"), _reply("e2"), _reply("e3"), _reply("e9")],
            _verdict(foreign=("e9",)),
        ),
        (
            [_reply("e1"), _reply("e2", thread="other"), _reply("e3")],
            _verdict(foreign=("e2",)),
        ),
    ],
)
def test_the_verdict_names_what_is_wrong(replies: list[dict[str, Any]], expected: Verdict) -> None:
    verdict = judge(replies, {"t": ["e1", "e2", "e3"]})
    assert verdict == expected
    assert verdict.is_perfect == (expected == _verdict())


def test_threads_may_be_answered_in_any_order_among_each_other() -> None:
    replies = [_reply("b1", thread="b"), _reply("a1", thread="a"), _reply("b2", thread="b")]
    assert judge(replies, {"a": ["a1"], "b": ["b1", "b2"]}).is_perfect


async def test_it_runs_as_a_process_that_is_steered_over_http(
    http: aiohttp.ClientSession,
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        url = json.loads(line)["url"]
        orders = {"trust": {"/a": SECRET}, "plan": ["unavailable"], "share": {"gone": 0.0}}
        async with http.post(f"{url}/control", json=orders) as response:
            assert response.status == 204
        statuses = [(await _post(http, f"{url}/a", "r1", _reply("e1"))).status for _ in range(2)]
        async with http.get(f"{url}/ledger") as response:
            ledger = await response.json()
    finally:
        process.terminate()
        await process.communicate()
    assert statuses == [503, 200]
    assert [reply["webhook_id"] for reply in ledger["accepted"]] == ["r1"]
    assert [attempt["answer"] for attempt in ledger["attempts"]] == ["unavailable", "ok"]
