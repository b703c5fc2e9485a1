"""Messages that break whatever touches them: given up after some tries, and alone."""

from __future__ import annotations

from typing import Any

import pytest

from coachline.conversation import Orchestrator
from coachline.messaging import Turn
from fixtures.gateway import Connected, Gateway
from fixtures.house import Ground, open_house
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver
from lab.scripted_ollama import Fault, ScriptedOllama

pytestmark = pytest.mark.e2e

MODEL = "smollm2:135m"
APOLOGY = "I am sorry, something went wrong on my side."
PARTS = ("turn_begun", "turn_failed", "turn_saved")


async def explain(house: Gateway, to: Connected, accepted: dict[str, Any]) -> dict[str, Any]:
    """What ``why`` says of the one event of a delivery."""
    status, found = await house.get(to, f"/api/v1/events/{accepted['events'][0]}/why")
    assert status == 200
    assert isinstance(found, dict)
    return found


async def wait_state(
    house: Gateway, to: Connected, accepted: dict[str, Any], state: str, seconds: float = 40
) -> dict[str, Any]:
    """What ``why`` says once the event is in a state."""

    async def is_there() -> bool:
        return bool((await explain(house, to, accepted))["state"] == state)

    await until(is_there, seconds=seconds)
    return await explain(house, to, accepted)


def break_on(monkeypatch: pytest.MonkeyPatch, word: str, *, even_apology: bool) -> None:
    """Have every turn fail that a message with this word is in."""
    answer = Orchestrator.answer

    async def broken(self: Orchestrator, turn: Turn) -> None:
        is_poisoned = any(word in event.text for event in turn.events)
        if is_poisoned and (even_apology or not turn.exhausted):
            raise RuntimeError("poison")
        await answer(self, turn)

    monkeypatch.setattr(Orchestrator, "answer", broken)


async def test_a_message_that_always_fails_is_parked_with_one_apology_and_others_go_on(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_on(monkeypatch, "poison", even_apology=False)
    async with open_house(ground, turn_max_attempts=2) as house:
        to, other = await house.connect("poisoned"), await house.connect("healthy")
        await configure_apology(house, to)
        _, poison = await house.post(to, "p", "poison")
        await house.post(to, "next", "And this?")
        await house.post(to, "b", "Hello", sender="bob")
        await house.post(other, "m", "Hello")
        await house.wait_answered(to, 3)
        await house.wait_answered(other, 1)
        explained = await wait_state(house, to, poison, "parked")
        names = [point["name"] for point in explained["checkpoints"]]
        assert [names.count(part) for part in PARTS] == [3, 2, 1]
        mine = [reply.body for reply in house.receiver.accepted if reply.path == to.path]
        assert [body["text"] for body in mine].count(APOLOGY) == 1
        assert [body["in_reply_to"] for body in mine if body["thread"] == "ann"] == [
            ["p"],
            ["next"],
        ]


async def test_a_message_whose_apology_fails_too_is_parked_in_silence(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_on(monkeypatch, "poison", even_apology=True)
    async with open_house(ground, turn_max_attempts=1) as house:
        to = await house.connect("poisoned")
        _, poison = await house.post(to, "p", "poison")
        await wait_state(house, to, poison, "parked")
        await house.post(to, "next", "Hello")
        await house.wait_answered(to, 1)
        assert house.receiver.judge({"ann": ["next"]}, path=to.path).is_perfect


async def configure_apology(house: Gateway, to: Connected) -> None:
    """Have a sentence that a test can count."""
    headers = {"Authorization": f"Bearer {to.api_key}"}
    async with house.http.patch(
        f"{house.url}/api/v1/tenant", json={"apology": APOLOGY}, headers=headers
    ) as answer:
        assert answer.status == 200


async def test_a_message_that_ends_every_worker_is_parked_and_others_go_on(
    gateway: Gateway, receiver: CallbackReceiver, ollama: ScriptedOllama
) -> None:
    await gateway.serve()
    to = await gateway.connect("killer", receiver)
    await configure_apology(gateway, to)
    ollama.always(MODEL, Fault.STALL)
    _, killer = await gateway.post(to, "k", "Kill")
    for _ in range(2):
        worker = await gateway.work(COACHLINE_TURN_MAX_ATTEMPTS="2")
        await ollama.wait_open(1, timeout_seconds=30)
        worker.kill()
        await ollama.wait_open(0)
    ollama.always(MODEL, Fault.NONE)
    await gateway.work(COACHLINE_TURN_MAX_ATTEMPTS="2")
    await gateway.post(to, "b", "Hello", sender="bob")
    await gateway.post(to, "next", "And now?")
    await wait_state(gateway, to, killer, "parked")
    await receiver.wait_for(3, seconds=40)
    assert receiver.judge({"ann": ["k", "next"], "bob": ["b"]}, path=to.path).is_perfect
    assert [reply.body["text"] for reply in receiver.accepted].count(APOLOGY) == 1
