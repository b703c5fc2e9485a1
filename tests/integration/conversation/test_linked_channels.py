"""One person on two channels: what they share, and that unlinking separates again."""

from __future__ import annotations

import re

import pytest

from channel_kit import EventKind
from coachline.foundation.database import DatabaseUnavailable
from coachline.foundation.ids import TenantId
from coachline.foundation.seal import SealBroken
from coachline.messaging import LiveConnection, Posting
from integration.conversation.conftest import Stage

pytestmark = pytest.mark.integration

Two = tuple[TenantId, TenantId]


async def link(stage: Stage, host: LiveConnection, guest: LiveConnection) -> None:
    (told,) = await stage.hear(host, text="/link")
    found = re.search(r"LINK ([A-Z0-9]{8})", told.text)
    assert found is not None
    (asked,) = await stage.hear(guest, text=f"link {found[1]}")
    assert [c.value for c in asked.choices] == ["/share all", "/share memory", "/share separate"]


async def test_a_code_makes_one_learner_and_the_other_side_is_told(
    stage: Stage, tenants: Two
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    home = await stage.learner_of_first_words(guest)
    await link(stage, host, guest)
    assert await stage.learner_id(host) == await stage.learner_id(guest) != home
    warning = (await stage.messages(host))[-1]
    assert warning.is_notice
    assert "Texting" in warning.text
    assert "/unlink" in warning.text


@pytest.mark.parametrize(
    ("sharing", "is_heard"), [("all", True), ("memory", False), ("separate", False)]
)
async def test_words_go_over_only_where_everything_is_shared(
    stage: Stage, tenants: Two, sharing: str, is_heard: bool
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    stage.ollama.reply = "Good."
    await stage.talk(host, "I sail a boat")
    await link(stage, host, guest)
    await stage.talk(guest, f"share {sharing}")
    await stage.talk(guest, "What do I like?")
    assert ("I sail a boat" in stage.prompt()) is is_heard


async def test_nothing_is_shared_before_it_was_chosen(stage: Stage, tenants: Two) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    await stage.talk(host, "I sail a boat")
    await link(stage, host, guest)
    await stage.talk(guest, "What do I like?")
    assert "boat" not in stage.prompt()


async def test_memory_goes_over_as_a_summary(stage: Stage, tenants: Two) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    await stage.talk(host, "I sail a boat")
    await link(stage, host, guest)
    await stage.talk(guest, "share memory")
    await stage.remember(host, "They love the sea.")
    await stage.talk(guest, "What do I like?")
    assert "They love the sea." in stage.prompt()
    assert "I sail a boat" not in stage.prompt()
    await stage.talk(guest, "share separate")
    await stage.talk(guest, "And now?")
    assert "the sea" not in stage.prompt()


@pytest.mark.parametrize("who", ["host", "guest"])
async def test_unlinking_on_either_side_separates_again(
    stage: Stage, tenants: Two, who: str
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    home = await stage.learner_of_first_words(guest)
    await stage.talk(host, "I sail a boat")
    await link(stage, host, guest)
    await stage.talk(guest, "share all")
    await stage.hear(host if who == "host" else guest, text="/unlink")
    assert await stage.learner_id(guest) == home
    await stage.talk(guest, "What do I like?")
    assert "boat" not in stage.prompt()


async def test_guessing_codes_ends_after_five(stage: Stage, tenants: Two) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    for _ in range(5):
        (said,) = await stage.hear(guest, text="link ACDEFGHJ")
        assert "does not work" in said.text
    (told,) = await stage.hear(host, text="/link")
    found = re.search(r"LINK ([A-Z0-9]{8})", told.text)
    assert found is not None
    (said,) = await stage.hear(guest, text=f"link {found[1]}")
    assert "too many" in said.text
    assert await stage.learner_id(host) != await stage.learner_id(guest)


async def test_a_link_with_a_code_asks_before_it_links_and_ones_own_code_does_not(
    stage: Stage, tenants: Two
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    (told,) = await stage.hear(host, kind=EventKind.COMMAND, text="link")
    found = re.search(r"LINK ([A-Z0-9]{8})", told.text)
    assert found is not None
    (own,) = await stage.hear(host, text=f"/link {found[1]}")
    assert "this very channel" in own.text
    (offered,) = await stage.hear(guest, text=f"/start {found[1]}")
    assert "can come from anybody" in offered.text
    assert await stage.learner_id(host) != await stage.learner_id(guest)
    (linked,) = await stage.hear(guest, text="1")
    assert linked.choices
    assert await stage.learner_id(host) == await stage.learner_id(guest)


async def test_a_learner_of_another_tenant_is_never_reached(stage: Stage, tenants: Two) -> None:
    host = await stage.connect(tenants[0], "buttons")
    stranger = await stage.connect(tenants[1], "texting")
    (told,) = await stage.hear(host, text="/link")
    found = re.search(r"LINK ([A-Z0-9]{8})", told.text)
    assert found is not None
    (said,) = await stage.hear(stranger, text=f"link {found[1]}")
    assert "does not work" in said.text


async def test_many_threads_of_ones_own_do_not_hide_the_other_channel(
    stage: Stage, tenants: Two
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    await stage.talk(guest, "I sail a boat")
    await link(stage, host, guest)
    await stage.talk(guest, "share all")
    for number in range(51):
        await stage.take(host, text="hello", thread=f"thread {number}")
    await stage.talk(host, "What do I like?")
    assert "I sail a boat" in stage.prompt()


async def test_a_link_holds_though_the_other_side_cannot_be_told(
    stage: Stage, tenants: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    (told,) = await stage.hear(host, text="/link")
    found = re.search(r"LINK ([A-Z0-9]{8})", told.text)
    assert found is not None

    async def fail(*_: object, **__: object) -> None:
        raise SealBroken("its configuration cannot be opened")

    monkeypatch.setattr(Posting, "post", fail)
    (asked,) = await stage.hear(guest, text=f"link {found[1]}")
    assert asked.choices


async def test_the_other_side_is_told_although_the_process_ended_before_it_was(
    stage: Stage, tenants: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await stage.connect(tenants[0], "buttons")
    guest = await stage.connect(tenants[0], "texting")
    (told,) = await stage.hear(host, text="/link")
    found = re.search(r"LINK ([A-Z0-9]{8})", told.text)
    assert found is not None
    await stage.take(guest, text=f"link {found[1]}")
    turn = await stage.begin(guest)

    async def end(*args: object, **more: object) -> None:
        raise DatabaseUnavailable("The database is gone at this moment.")

    with monkeypatch.context() as patch:
        patch.setattr(Posting, "post", end)
        with pytest.raises(DatabaseUnavailable):
            await stage.orchestrator.answer(turn)
    assert await stage.learner_id(host) == await stage.learner_id(guest), "linked already"
    again = await stage.services.ledger.begin(turn.lease)
    assert again is not None
    await stage.orchestrator.answer(again)
    await stage.queue.release(turn.lease)
    warnings = [m.text for m in await stage.messages(host) if "was linked to you" in m.text]
    assert len(warnings) == 1
    (asked,) = [m for m in await stage.messages(guest) if m.author == "bot"]
    assert asked.choices[0].value == "/share all"
