"""Commands on SMS, where they are words, and on Telegram, where they begin with a slash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from coachline_lab.telegram import FakeTelegram
from coachline_lab.twilio import FakeTwilio
from fixtures.lab_house import SECONDS, LabHouse

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]


@dataclass(frozen=True)
class Seat:
    """People at one platform, by number; ``slash`` is what stands before their commands."""

    ask: Callable[[str, int], Awaitable[str]]
    slash: str


@pytest.fixture(params=["sms", "telegram"])
async def seat(
    request: pytest.FixtureRequest, lab: LabHouse, twilio: FakeTwilio, telegram: FakeTelegram
) -> Seat:
    tenant = await lab.add_tenant()
    if request.param == "sms":
        pace: dict[str, Any] = {"segments_per_second": 100.0, "burst_segments": 100.0}
        await lab.connect_sms(tenant, twilio, **pace)
        return Seat(partial(_text, twilio), "")
    await lab.connect_telegram(tenant, telegram)
    return Seat(partial(_chat, telegram), "/")


async def _text(twilio: FakeTwilio, text: str, who: int = 0) -> str:
    return (await twilio.ask(text, person=f"+155576500{who:02}", seconds=SECONDS)).text


async def _chat(telegram: FakeTelegram, text: str, who: int = 0) -> str:
    return (await telegram.ask(text, user=100 + who, seconds=SECONDS)).text


async def test_commands_are_answered_by_the_gateway_and_never_reach_the_model(
    lab: LabHouse, seat: Seat
) -> None:
    said = {
        "help": "Write what is on your mind",
        "pause": "For how long?",
        "pause 2w": "I will not write on my own until",
        "resume": "The pause is over.",
        "mydata": "Kept about you since",
        "share all": "This channel is not linked to another one.",
        "unlink": "This channel is not linked to another one.",
        "more": "That was all, there is nothing more.",
        "source 1": "My last answer has no source with this number.",
        "forget no": "Good, everything stays as it is.",
    }
    asked = len(lab.model.chats)
    told = await asyncio.gather(
        *(seat.ask(seat.slash + command, who) for who, command in enumerate(said))
    )
    for command, answer in zip(said, told, strict=True):
        assert answer.startswith(said[command]), command
    assert len(lab.model.chats) == asked
    await seat.ask("What did I say before?", 1)
    turns = [message["content"] for message in lab.model.chats[-1].messages[1:]]
    assert turns == ["What did I say before?"], "neither commands nor what was said to them"


async def test_words_that_begin_like_a_command_are_said_to_the_coach(seat: Seat) -> None:
    words = ("help me sleep", "pause after lunch?", "link to my goal", "more of that please")
    told = await asyncio.gather(*(seat.ask(one, who) for who, one in enumerate(words)))
    assert told == [f"re: {one}" for one in words]


async def test_an_unknown_command_is_said_to_be_one(seat: Seat) -> None:
    told = await seat.ask("/frobnicate", 1)
    assert told.startswith("I do not know this command.")
    assert ("/help" if seat.slash else "HELP") in told


async def test_what_is_kept_is_told_and_everything_can_be_handed_over(
    lab: LabHouse, twilio: FakeTwilio, telegram: FakeTelegram
) -> None:
    tenant = await lab.add_tenant()
    other = await lab.add_tenant()
    await lab.connect_sms(tenant, twilio)
    await lab.connect_telegram(tenant, telegram)
    await asyncio.gather(_text(twilio, "I run by the river"), _chat(telegram, "Somebody else"))
    told = await _text(twilio, "my data")
    assert "2 messages from you, 1 answers" in told
    assert "Channels: Sms." in told
    await twilio.settle()
    (row,) = await lab.rows(
        tenant,
        "select distinct learner_id as id, thread from conversation where thread like '+%'",
    )
    path = f"/api/v1/learners/{row.id}/data"
    status, everything = await lab.get(tenant, path)
    assert status == 200
    (talk,) = everything["talks"]
    assert talk["conversation"]["thread"] == row.thread
    shown = [(message["author"], message["text"]) for message in talk["messages"]]
    stored = await lab.rows(
        tenant,
        "select 'learner' as author, text, seq from inbox_event join conversation c "
        "on c.id = conversation_id where learner_id = :l "
        "union all select 'bot', text, seq from outbox_reply join conversation c "
        "on c.id = conversation_id where learner_id = :l order by seq",
        l=row.id,
    )
    assert shown == [(one.author, one.text) for one in stored]
    assert ("learner", "I run by the river") in shown
    assert everything["kept"]["learner"]["id"] == str(row.id)
    (standing,) = everything["kept"]["standings"]
    assert standing["is_allowed"] is True
    assert "Somebody else" not in str(everything)
    assert (await lab.get(other, path))[0] == 404
