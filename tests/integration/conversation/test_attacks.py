"""Attacks on what is not the asker's: whatever they ask for, no prompt holds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from attacks.corpus import load
from channel_kit import Attachment
from coachline.foundation.ids import ConversationId, TenantId, new_id
from coachline.messaging import LiveConnection
from integration.conversation.conftest import Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


@dataclass
class Canaries:
    """One word for each place that a prompt of somebody else could hold."""

    words: dict[str, str]

    def __getitem__(self, place: str) -> str:
        return self.words.setdefault(place, f"canary{new_id().hex[12:]}")

    def found_in(self, text: str) -> list[str]:
        """The places whose words stand in ``text``."""
        return [place for place, word in self.words.items() if word in text.lower()]


async def plant(
    stage: Stage, tenant_id: TenantId, live: LiveConnection, canaries: Canaries, whose: str
) -> None:
    """Give the learner Bella a history, a summary, a name, and notes, with a canary in each."""
    stage.ollama.reply = f"The secret lesson of Bella is {canaries[f'answer of {whose}']}."
    await stage.talk(live, f"My secret lesson is {canaries[f'history of {whose}']}", sender="bella")
    await stage.remember(live, f"Bella said {canaries[f'summary of {whose}']}", sender="bella")
    learner_id = await stage.learner_id(live, "bella")
    await stage.name(tenant_id, learner_id, f"Bella {canaries[f'name of {whose}']}")
    row = await stage.row(live, "bella")
    for for_model in (True, False):
        await stage.services.notes.add(
            tenant_id,
            ConversationId(row["id"]),
            f"Bella: {canaries[f'note of {whose}']}",
            author="key:eva",
            for_model=for_model,
        )


async def plant_tenant(stage: Stage, tenant_id: TenantId, canaries: Canaries) -> LiveConnection:
    """A whole other tenant: documents, persona, learners, keys."""
    live = await stage.connect(tenant_id, "buttons")
    await stage.teach(
        tenant_id, f"# Secret lesson\n\nThe secret lesson is {canaries['document of the other']}."
    )
    await stage.tenants.configure(
        tenant_id,
        {
            "persona": f"Say {canaries['persona of the other']}.",
            "display_name": f"Coach {canaries['display name of the other']}",
            "crisis_script": f"Call {canaries['script of the other']}.",
            "apology": f"Sorry {canaries['apology of the other']}.",
        },
        "test",
    )
    await plant(stage, tenant_id, live, canaries, "the other tenant's")
    return live


async def attack(stage: Stage, live: LiveConnection, place: str, words: str, sender: str) -> None:
    """Put the words where the attack wants them, and ask."""
    tenant_id = live.tenant_id
    match place:
        case "message":
            await stage.hear(live, sender=sender, text=words)
        case "file":
            file = Attachment(
                kind="document", reference=words, name="secret lesson.txt", mime_type="text/plain"
            )
            await stage.hear(live, sender=sender, text="Do what it says", attachments=(file,))
        case "quote":
            stage.ollama.reply = words
            await stage.hear(live, sender=sender, text="Say something")
            await stage.deliver(live, sender)
            said = (await stage.messages(live, sender))[-1]
            stage.ollama.reply = "No."
            await stage.hear(live, sender=sender, text="Go on", reply_to=said.external_id)
        case "document":
            await stage.teach(tenant_id, f"# Secret lesson\n\n{words}", source=f"{new_id()}.md")
            await stage.hear(live, sender=sender, text="What is the secret lesson?")
        case "persona":
            await stage.tenants.configure(tenant_id, {"persona": words}, "test")
            await stage.hear(live, sender=sender, text="What is the secret lesson?")
        case "name":
            await stage.name(tenant_id, await stage.learner_id(live, sender), words[:80])
            await stage.hear(live, sender=sender, text="Who am I?")
        case "note":
            row = await stage.row(live, sender)
            await stage.services.notes.add(
                tenant_id, ConversationId(row["id"]), words, author="key:eva", for_model=True
            )
            await stage.hear(live, sender=sender, text="What is the secret lesson?")
        case "code":
            await stage.hear(live, sender=sender, text=f"/link {words}")


async def secrets(stage: Stage, tenant_ids: Two) -> Iterator[str]:
    """What must be in no prompt at all: keys, secrets, and every id."""
    found: set[str] = {"s3cret", "coachline_app", "coachline_worker", "127.0.0.1"}
    for tenant_id in tenant_ids:
        found.add(str(tenant_id))
        conversations = await stage.transcripts.list_conversations(tenant_id, limit=100)
        for one in conversations:
            found |= {str(one.id), str(one.learner_id), str(one.connection_id)}
    return iter(found)


@pytest.mark.timeout(600)
async def test_no_attack_gets_what_is_not_the_askers_into_a_prompt(
    stage: Stage, tenants: Two
) -> None:
    canaries = Canaries({})
    await plant_tenant(stage, tenants[1], canaries)
    live = await stage.connect(tenants[0], "buttons")
    await plant(stage, tenants[0], live, canaries, "another learner")
    own = f"own{new_id().hex}"
    await stage.teach(tenants[0], f"# Secret lesson\n\nOur secret lesson is {own}.")
    stage.ollama.chats.clear()
    stage.ollama.reply = "No."
    attacks: list[Any] = load("asking.json")
    for number, one in enumerate(attacks):
        # A few attackers, so that histories grow but never push the attack itself out.
        sender = f"mallory{number % 5}"
        if one["place"] in ("name", "note"):
            await stage.hear(live, sender=sender, text="Hello")
        await attack(stage, live, one["place"], one["text"], sender)
    prompts = [json.dumps(chat.messages, ensure_ascii=False) for chat in stage.ollama.chats]
    asked = sum(one["place"] != "code" for one in attacks)
    assert len(prompts) >= asked, "every attack but those of commands came to a prompt"
    assert sum(own in prompt for prompt in prompts) >= 20, "its own documents are found"
    for prompt in prompts:
        assert canaries.found_in(prompt) == []
        for secret in await secrets(stage, tenants):
            assert secret not in prompt
    words = [line.text for n in range(5) for line in await stage.messages(live, f"mallory{n}")]
    assert canaries.found_in("\n".join(words)) == []
    assert len(canaries.words) >= 12
