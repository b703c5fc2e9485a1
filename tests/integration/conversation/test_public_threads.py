"""Where others read along nothing personal is said, and no code is worth anything."""

from __future__ import annotations

import re
from typing import Any

import pytest

from channel_kit import EventKind
from coachline.foundation.ids import TenantId
from coachline.messaging import LiveConnection, Message
from integration.conversation.conftest import Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


async def hear_in_public(stage: Stage, live: LiveConnection, **what: Any) -> list[Message]:
    return await stage.hear(live, is_private=False, **what)


async def make_code(stage: Stage, live: LiveConnection) -> str:
    (told,) = await stage.hear(live, text="/link")
    found = re.search(r"LINK ([A-Z0-9]{8})", told.text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    "words", ["/link", "/unlink", "/share all", "/mydata", "/forget", "/forget yes"]
)
async def test_what_is_personal_is_asked_for_in_a_direct_message(
    stage: Stage, tenants: Two, words: str
) -> None:
    live = await stage.connect(tenants[0], "buttons")
    (said,) = await hear_in_public(stage, live, text=words)
    command = words.split()[0]
    assert said.text == (
        f"Others can read along here. Please write {command} to me in a direct message."
    )
    assert (said.is_notice, said.choices) == (True, ())
    (asked, _) = await stage.messages(live)
    assert (asked.text, asked.state) == (words, "commanded")
    assert stage.ollama.chat_count == 0


async def test_a_platforms_command_is_no_way_around_that(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    (said,) = await hear_in_public(stage, live, kind=EventKind.COMMAND, text="mydata")
    assert "direct message" in said.text


@pytest.mark.parametrize("words", ["/link {}", "/start {}", "link {}"])
async def test_a_code_that_others_saw_links_nobody_any_more(
    stage: Stage, tenants: Two, words: str
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    code = await make_code(stage, host)
    (said,) = await hear_in_public(stage, guest, text=words.format(code))
    assert "worth nothing now" in said.text
    assert await stage.learner_id(host) != await stage.learner_id(guest)
    thief = await stage.connect(tenants[0], "texting")
    (refused,) = await stage.hear(thief, text=f"link {code}")
    assert "does not work" in refused.text
    assert await stage.learner_id(host) != await stage.learner_id(thief)
    # A code that never was is told nothing else about.
    (same,) = await hear_in_public(stage, guest, text="/link ACDEFGHJ")
    assert same.text == said.text


async def test_help_and_stopping_are_for_everybody(stage: Stage, tenants: Two) -> None:
    live = await stage.connect(tenants[0], "buttons")
    (told,) = await hear_in_public(stage, live, text="/help")
    assert "- /pause 3d" in told.text
    assert "- /mydata" not in told.text
    assert "write /link, /mydata, /forget to me in a direct message" in told.text
    await hear_in_public(stage, live, text="/stop")
    learner_id = await stage.learner_id(live)
    async with stage.database.tenant(tenants[0]) as session:
        assert not await stage.consent.allows(session, learner_id, live.id)


async def test_nothing_that_was_said_in_private_comes_up_where_others_read(
    stage: Stage, tenants: Two
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    await stage.talk(host, "I sail a boat")
    await stage.hear(guest, text=f"link {await make_code(stage, host)}")
    await stage.talk(guest, "share all")
    await stage.talk(guest, "What do I like?")
    assert "I sail a boat" in stage.prompt()
    await hear_in_public(stage, guest, text="And what else?")
    assert "I sail a boat" not in stage.prompt()
    # Once others were there, they may be there still.
    await stage.hear(guest, text="And now?")
    assert "I sail a boat" not in stage.prompt()


async def test_who_was_linked_is_warned_in_private(stage: Stage, tenants: Two) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    code = await make_code(stage, host)
    await stage.take(host, sender="ann", thread="group", text="Hello all", is_private=False)
    await stage.hear(guest, text=f"link {code}")
    warned = (await stage.messages(host))[-1]
    assert "was linked to you" in warned.text
