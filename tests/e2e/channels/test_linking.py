"""One person on SMS and Telegram: a code makes them one learner, who says what is shared."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from coachline.conversation.repository import ConversationMemory
from coachline.foundation.ids import ConversationId
from coachline_lab.records import Accepted
from coachline_lab.telegram import Bot, FakeTelegram
from coachline_lab.twilio import PERSON, Account, FakeTwilio
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

USER = 7
EXPIRE = text("update link_code set expires_at = now() - interval '1 second'")
SHARES = {"all": "1", "memory": "2", "separate": "3"}


@dataclass(frozen=True)
class Pair:
    """One tenant's coach on both channels, and the person who uses both."""

    lab: LabHouse
    sms: LabConnection[Account]
    telegram: LabConnection[Bot]
    twilio: FakeTwilio
    bots: FakeTelegram

    async def text(self, words: str, person: str = PERSON) -> str:
        """Write an SMS; the answer."""
        return (await self.twilio.ask(words, person=person, seconds=SECONDS)).text

    async def chat(self, words: str) -> str:
        """Write on Telegram; the answer, whenever the warning of a link comes."""
        place = self.bots.ledger.place
        await self.bots.say(words, user=USER, bot=self.telegram.account)
        answer = await self.bots.ledger.wait_for_answer(
            str(USER), after=place, accept=lambda one: not is_warning(one), seconds=SECONDS
        )
        return answer.text

    async def learners(self) -> dict[str, str]:
        """Whose each connection's newest conversation is."""
        rows = await self.lab.rows(
            self.sms.tenant, "select connection_id, learner_id from conversation order by id"
        )
        return {str(row.connection_id): str(row.learner_id) for row in rows}

    async def are_one(self) -> bool:
        """Whether both channels belong to one learner."""
        return len(set((await self.learners()).values())) == 1

    async def summarise(self, connection: LabConnection[Bot], words: str) -> None:
        """Let a memory be kept of the conversation of a connection, as a long one would be."""
        # The job that does it is under test elsewhere; a conversation of sixty turns is not.
        (row,) = await self.lab.rows(
            connection.tenant,
            "select id from conversation where connection_id = :c",
            c=connection.id,
        )
        async with self.lab.house.services.database.tenant(connection.tenant.id) as session:
            await ConversationMemory().save_summary(
                session, ConversationId(row.id), upto_seq=1, text=words, model="m"
            )

    def prompt(self) -> str:
        """Everything that the model was told last."""
        return "\n".join(message["content"] for message in self.lab.model.chats[-1].messages)


@pytest.fixture
async def pair(lab: LabHouse, twilio: FakeTwilio, telegram: FakeTelegram) -> Pair:
    tenant = await lab.add_tenant("acme")
    sms = await lab.connect_sms(tenant, twilio, segments_per_second=100.0, burst_segments=100.0)
    bot = await lab.connect_telegram(tenant, telegram)
    return Pair(lab, sms, bot, twilio, telegram)


def is_warning(message: Accepted) -> bool:
    """Whether it tells the other side of a link."""
    return "was linked to you" in message.text


def code_in(text: str) -> str:
    """The code that a ``/link`` told."""
    found = re.search(r"/link ([A-Z0-9]{8})", text)
    assert found is not None, text
    return found[1]


async def test_a_code_from_telegram_typed_by_sms_goes_on_in_the_same_conversation(
    pair: Pair,
) -> None:
    await pair.chat("I sail a boat called Ada")
    code = code_in(await pair.chat("/link"))
    asked = await pair.text(f"link {code.lower()}")
    assert asked.startswith("Done, it is you on both channels.")
    assert asked.splitlines()[-3:] == [
        "1 Share everything",
        "2 Share what you know about me",
        "3 Keep apart",
    ]
    told = await pair.bots.ledger.wait_for_answer(str(USER), accept=is_warning, seconds=SECONDS)
    assert told.text.startswith(f"SMS …{PERSON[-2:]} was linked to you; if this was not you")
    await pair.text("What do I own?")
    assert "boat" not in pair.prompt(), "nothing is shared before it was chosen"
    assert (await pair.text("share all")).startswith("I go on here with everything")
    await pair.text("What is her name?")
    turns = [message["content"] for message in pair.lab.model.chats[-1].messages[1:]]
    assert turns[0] == "I sail a boat called Ada"
    assert turns[-1] == "What is her name?"
    assert not [turn for turn in turns if code in turn or "share" in turn.lower()]
    assert await pair.are_one()
    await pair.chat("And here?")
    assert "What is her name?" in pair.prompt(), "it goes both ways"


async def test_a_code_from_sms_works_on_telegram_by_its_start_link(pair: Pair) -> None:
    await pair.text("I sail a boat called Ada")
    code = code_in(await pair.text("LINK"))
    place = pair.bots.ledger.place
    await pair.bots.words.start(code, user=USER, bot=pair.telegram.account)
    offered = await pair.bots.wait_for_answer(str(USER), after=place, seconds=SECONDS)
    assert offered.text.startswith("A link can come from anybody.")
    place = pair.bots.ledger.place
    await pair.bots.press("Yes, it was me", user=USER, bot=pair.telegram.account)
    asked = await pair.bots.wait_for_answer(str(USER), after=place, seconds=SECONDS)
    assert asked.text.startswith("Done, it is you on both channels.")
    warned = await pair.twilio.ledger.wait_for_answer(PERSON, accept=is_warning, seconds=SECONDS)
    assert "UNLINK" in warned.text
    place = pair.bots.ledger.place
    await pair.bots.press("Share everything", user=USER, bot=pair.telegram.account)
    shared = await pair.bots.wait_for_answer(str(USER), after=place, seconds=SECONDS)
    assert shared.text.startswith("I go on here with everything")
    await pair.chat("What is her name?")
    assert "I sail a boat called Ada" in pair.prompt()


@pytest.mark.parametrize("sharing", ["memory", "separate"])
async def test_what_is_shared_is_what_was_chosen(pair: Pair, sharing: str) -> None:
    await pair.chat("I sail a boat called Ada")
    await pair.text("link " + code_in(await pair.chat("/link")))
    await pair.summarise(pair.telegram, "They love the sea.")
    await pair.text(SHARES[sharing])
    await pair.text("What do I like?")
    assert "boat" not in pair.prompt()
    assert ("They love the sea." in pair.prompt()) is (sharing == "memory")


@pytest.mark.parametrize("where", ["sms", "telegram"])
async def test_unlinking_on_either_side_separates_again(pair: Pair, where: str) -> None:
    await pair.chat("I sail a boat called Ada")
    await pair.text("Hello")
    before = await pair.learners()
    await pair.text("link " + code_in(await pair.chat("/link")))
    await pair.text("1")
    assert await pair.are_one()
    gone = await pair.text("unlink") if where == "sms" else await pair.chat("/unlink")
    assert gone == "Done, the channels are separate again."
    assert await pair.learners() == before
    await pair.text("What do I own?")
    assert "boat" not in pair.prompt()
    assert await pair.text("unlink") == "This channel is not linked to another one."


async def test_a_code_that_is_wrong_used_late_or_of_another_tenant_links_nothing(
    pair: Pair, lab: LabHouse
) -> None:
    number, third = "+15550006790", "+15557650003"
    stranger = pair.twilio.add_account(numbers=[number])
    await lab.connect_sms(await lab.add_tenant("other"), pair.twilio, stranger)
    code = code_in(await pair.chat("/link"))
    refused = "This code does not work"
    foreign = await pair.twilio.ask(f"link {code}", to=number, account=stranger, seconds=SECONDS)
    assert foreign.text.startswith(refused)
    assert (await pair.text("link ACDEFGHJ")).startswith(refused)
    assert (await pair.chat(f"/link {code}")).startswith("This code is from this very channel")
    newer = code_in(await pair.chat("/link"))
    assert (await pair.text(f"link {code}")).startswith(refused), "a newer one was made"
    async with lab.house.services.database.tenant(pair.sms.tenant.id) as session:
        await session.execute(EXPIRE)
    assert (await pair.text(f"link {newer}")).startswith(refused), "too late"
    assert not await pair.are_one()
    newest = code_in(await pair.chat("/link"))
    assert (await pair.text(f"link {newest}")).startswith("Done")
    assert (await pair.text(f"link {newest}", person=third)).startswith(refused), "used"
    assert (await pair.text(f"link {newest}")).startswith("These two channels are linked already")


async def test_guessing_is_over_after_five_tries(pair: Pair) -> None:
    guesses = [f"link ACDEFGH{last}" for last in "JKMNP"]
    for guess in guesses:
        assert (await pair.text(guess)).startswith("This code does not work")
    code = code_in(await pair.chat("/link"))
    assert (await pair.text(f"link {code}")).startswith("That were too many codes")
    assert not await pair.are_one()


async def test_a_code_redeemed_by_two_at_once_links_one_of_them(pair: Pair) -> None:
    people = [f"+1555765010{number}" for number in range(4)]
    await asyncio.gather(*(pair.text("Hello", person=person) for person in people))
    code = code_in(await pair.chat("/link"))
    said = await asyncio.gather(*(pair.text(f"link {code}", person=one) for one in people))
    assert sum(one.startswith("Done") for one in said) == 1, said
    assert sum(one.startswith("This code does not work") for one in said) == 3
    members = await pair.lab.rows(
        pair.sms.tenant, "select id from identity where home_learner_id is not null"
    )
    assert len(members) == 1


async def test_the_other_side_is_told_once_although_the_command_came_three_times(
    pair: Pair,
) -> None:
    code = code_in(await pair.chat("/link"))
    await pair.text(f"link {code}")
    await pair.twilio.redeliver(2)

    await pair.bots.ledger.wait_for_answer(str(USER), accept=is_warning, seconds=SECONDS)
    await until(lambda: pair.lab.is_idle(pair.sms.tenant), seconds=SECONDS)
    assert sum(map(is_warning, pair.bots.ledger.accepted)) == 1
