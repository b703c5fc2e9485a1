"""What the README promises, by its own commands, for two tenants at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.gateway import Connected, Gateway
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver
from lab.scripted_ollama import ScriptedOllama

pytestmark = pytest.mark.e2e

LESSONS = {
    "alpha": "# Running\n\nThe secret word of the running course is heliotrope.",
    "omega": "# Sleeping\n\nThe secret word of the sleeping course is marmalade.",
}
QUESTION = "What is the secret word of the course?"


async def teach(gateway: Gateway, tenant: str, lesson: str, folder: Path) -> None:
    """Give a tenant one document and wait until it is searchable."""
    source = folder / f"{tenant}.md"
    source.write_text(lesson)
    added = await gateway.ask("knowledge", "add", str(source), "--tenant", tenant)
    assert added == {"documents": 1, "passages": 1}


async def open_two(
    gateway: Gateway, receiver: CallbackReceiver, folder: Path, *, taught: bool = True
) -> list[Connected]:
    """Two tenants, connected and, if wanted, taught."""
    tenants = []
    for word, lesson in LESSONS.items():
        connected = await gateway.connect(word, receiver)
        if taught:
            await teach(gateway, connected.tenant, lesson, folder)
        tenants.append(connected)
    return tenants


def texts(receiver: CallbackReceiver, connected: Connected) -> list[str]:
    """What a tenant's callback took, in order."""
    return [found.body["text"] for found in receiver.accepted if found.path == connected.path]


async def test_each_tenant_is_answered_from_its_own_knowledge_in_order_and_once(
    gateway: Gateway, receiver: CallbackReceiver, tmp_path: Path
) -> None:
    await gateway.serve()
    await gateway.work()
    tenants = await open_two(gateway, receiver, tmp_path)
    for number in range(3):
        for connected in tenants:
            for _ in range(2):
                status, _ = await gateway.post(connected, f"m{number}", f"{QUESTION} {number}")
                assert status == 200
        await receiver.wait_for(2 * (number + 1), seconds=20)
    alpha, omega = (texts(receiver, connected) for connected in tenants)
    assert all("heliotrope" in text and "marmalade" not in text for text in alpha)
    assert all("marmalade" in text and "heliotrope" not in text for text in omega)
    for connected in tenants:
        verdict = receiver.judge({"ann": ["m0", "m1", "m2"]}, path=connected.path)
        assert verdict.is_perfect, verdict


async def test_a_worker_killed_in_mid_turn_loses_and_repeats_nothing(
    gateway: Gateway, receiver: CallbackReceiver, ollama: ScriptedOllama, tmp_path: Path
) -> None:
    await gateway.serve()
    first = await gateway.work()
    (connected, _) = await open_two(gateway, receiver, tmp_path)
    ollama.delay_seconds = 0.5
    _, accepted = await gateway.post(connected, "m0", QUESTION)
    await ollama.wait_open(1)
    first.kill()
    await ollama.wait_open(0)
    ollama.delay_seconds = 0
    await gateway.work()
    await gateway.post(connected, "m0", QUESTION)
    await gateway.post(connected, "m1", "And now?")
    await receiver.wait_for(2, seconds=40)
    verdict = receiver.judge({"ann": ["m0", "m1"]}, path=connected.path)
    assert verdict.is_perfect, verdict
    explained = await gateway.ask("why", accepted["events"][0])
    assert explained["state"] == "answered"
    names = [point["name"] for point in explained["checkpoints"]]
    assert names.count("turn_begun") == 2


async def test_a_drained_worker_finishes_what_it_has_begun(
    gateway: Gateway, receiver: CallbackReceiver, ollama: ScriptedOllama, tmp_path: Path
) -> None:
    await gateway.serve()
    worker = await gateway.work()
    (connected, _) = await open_two(gateway, receiver, tmp_path)
    ollama.delay_seconds = 0.05
    await gateway.post(connected, "m0", QUESTION)
    await ollama.wait_open(1)
    assert await worker.stop() == 0
    assert receiver.judge({"ann": ["m0"]}, path=connected.path).is_perfect


async def test_two_workers_share_conversations_without_repeating_any(
    gateway: Gateway, receiver: CallbackReceiver, tmp_path: Path
) -> None:
    await gateway.serve()
    await gateway.work()
    await gateway.work()
    (connected, _) = await open_two(gateway, receiver, tmp_path)
    for number in range(20):
        await gateway.post(connected, f"m{number}", f"Hello {number}", sender=f"learner-{number}")
    await receiver.wait_for(20, seconds=40)
    expected = {f"learner-{number}": [f"m{number}"] for number in range(20)}
    verdict = receiver.judge(expected, path=connected.path)
    assert verdict.is_perfect, verdict


async def test_why_says_of_every_event_where_it_is(
    gateway: Gateway, receiver: CallbackReceiver, tmp_path: Path
) -> None:
    await gateway.serve()
    (connected, _) = await open_two(gateway, receiver, tmp_path, taught=False)
    _, accepted = await gateway.post(connected, "m0", QUESTION)
    waiting = await gateway.ask("why", accepted["events"][0])
    assert waiting["state"] == "new"
    await gateway.work()

    async def is_answered() -> bool:
        status, found = await gateway.get(connected, f"/api/v1/events/{accepted['events'][0]}/why")
        return status == 200 and found["state"] == "answered"

    await until(is_answered, seconds=20)
