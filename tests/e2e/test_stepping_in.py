"""A coach steps in from the command line while a model is writing, and hands back."""

from __future__ import annotations

import pytest

from fixtures.gateway import Connected
from fixtures.house import House
from fixtures.waiting import until

pytestmark = pytest.mark.e2e

SECONDS = 60.0


async def only_conversation(house: House, to: Connected) -> str:
    """The id of the tenant's only conversation."""
    _, page = await house.get(to, "/api/v1/conversations")
    (found,) = page["items"]
    return str(found["id"])


async def test_a_coach_takes_over_in_mid_generation_and_the_learner_hears_one_voice(
    house: House,
) -> None:
    to, other = await house.connect("left"), await house.connect("right")
    asked, house.ollama.delay_seconds = len(house.ollama.chats), 1.0
    try:
        await house.post(to, "m1", "I cannot sleep")
        await until(lambda: len(house.ollama.chats) > asked, seconds=SECONDS)
        here, tenant = await only_conversation(house, to), ("--tenant", to.tenant)
        taken = await house.ask("takeover", "take", here, "--name", "Eva", *tenant)
        assert (taken["name"], taken["end"]) == ("Eva", None)
        await house.ask("takeover", "say", here, "Eva here. Since when?", *tenant)
        await house.wait_replies(to, 1, seconds=SECONDS)

        async def is_recorded() -> bool:
            _, page = await house.get(to, f"/api/v1/conversations/{here}/messages")
            return bool(page["items"][0]["state"] == "recorded")

        await until(is_recorded, seconds=SECONDS)
    finally:
        house.ollama.delay_seconds = 0.0
    code, _, complaint = await house.call("takeover", "list", here, "--tenant", other.tenant)
    assert (code, "There is no such conversation." in complaint) == (1, True)
    await house.ask("note", "add", here, "Drinks coffee late.", "--for-model", *tenant)
    (note,) = await house.ask("note", "list", here, *tenant)
    assert (note["text"], note["for_model"]) == ("Drinks coffee late.", True)
    await house.ask("takeover", "hand-back", here, "--note", "Ask about coffee.", *tenant)
    (ended,) = await house.ask("takeover", "list", here, *tenant)
    assert (ended["end"], ended["note"]) == ("handed_back", "Ask about coffee.")
    await house.post(to, "m2", "Since May")
    replies = await house.wait_replies(to, 2, seconds=SECONDS)
    assert replies[0] == "Eva here. Since when?"
    prompt = "\n".join(message["content"] for message in house.ollama.chats[-1].messages)
    assert "Ask about coffee." in prompt
    assert "Drinks coffee late." in prompt


async def test_an_operator_decides_about_proposals(house: House) -> None:
    to = await house.connect("left")
    tenant = ("--tenant", to.tenant)
    await house.ask("tenant", "configure", to.tenant, "--answer-mode", "draft")
    # A process may know an older profile for a few seconds; this one hears of it at once.
    await house.services.tenants.configure(
        (await house.services.tenants.get_by_name(to.tenant)).id,
        {"answer_mode": "draft"},
        actor="test",
    )
    decided: list[str] = []
    for number, words in enumerate((["drop"], ["approve"], ["approve", "--text", "My words."])):
        await house.post(to, f"m{number}", f"question {number}")

        async def is_proposed() -> bool:
            _, page = await house.get(to, "/api/v1/proposals")
            return bool(page["items"])

        await until(is_proposed, seconds=SECONDS)
        (found,) = await house.ask("proposal", "list", *tenant)
        verb, *rest = words
        done = await house.ask("proposal", verb, found["proposal_id"], *rest, *tenant)
        decided.append(done["decision"])
    assert decided == ["dropped", "approved", "edited"]
    replies = await house.wait_replies(to, 2, seconds=SECONDS)
    assert replies[1] == "My words."
    code, _, complaint = await house.call(
        "proposal", "drop", found["proposal_id"], "--tenant", to.tenant
    )
    assert (code, "decided before" in complaint) == (1, True)
