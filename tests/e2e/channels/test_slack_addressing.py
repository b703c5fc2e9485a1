"""Who is answered in Slack: those who speak to the app, once; nobody else, no bot, no echo."""

from __future__ import annotations

import pytest

from coachline_lab.ledger import asked_in
from coachline_lab.slack import FakeSlack
from fixtures.lab_house import SECONDS, LabHouse
from fixtures.slack_talk import ask, wait_for_text

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]


async def test_a_mention_and_its_message_are_one_question(lab: LabHouse, slack: FakeSlack) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    said, answer = await ask(slack, "What now?", channel=room, mention=True)
    assert len(said.event_ids) == 2
    assert answer.details["text"] == "re: What now?"
    await slack.idle(SECONDS)
    assert slack.ledger.visible(said.thread) == ["re: What now?"]
    (row,) = await lab.rows(tenant, "select external_id, text from inbox_event")
    assert row.external_id == f"m:{coach.account.team.id}:{room.id}:{said.ts}"
    assert row.text == "What now?"


async def test_a_talk_goes_on_in_its_thread_without_a_mention(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    other = slack.add_user(coach.account.team, "Mia")
    first, _ = await ask(slack, "What now?", channel=room, mention=True)
    # Neither what others say there nor what is said to others is for the app, or kept.
    await slack.say("I know!", channel=room, user=other, thread_ts=first.ts)
    await slack.say(f"<@{other.id}> tell me", channel=room, thread_ts=first.ts)
    second, _ = await ask(slack, "And then?", channel=room, thread_ts=first.ts)
    assert second.thread == first.thread
    assert slack.ledger.visible(first.thread) == ["re: What now?", "re: And then?"]
    rows = await lab.rows(tenant, "select text from inbox_event order by seq")
    assert [row.text for row in rows] == ["What now?", "And then?"]
    assert len(await lab.rows(tenant, "select id from learner")) == 1


async def test_below_a_message_of_the_apps_own_no_mention_is_needed(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    await slack.command("hello", channel=room)
    thread = f"{coach.account.team.id}/{room.id}/"
    own = await slack.wait_for_answer(thread, seconds=SECONDS)
    other = slack.add_user(coach.account.team, "Mia")
    _, answer = await ask(
        slack, "What is that?", channel=room, user=other, thread_ts=own.message_id
    )
    assert answer.thread == f"{thread}{own.message_id}"


async def test_what_people_say_to_each_other_is_not_answered(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    other = slack.add_user(coach.account.team, "Mia")
    root = await slack.say("Lunch?", channel=room)
    await slack.say("Yes!", channel=room, user=other, thread_ts=root.ts)
    await slack.say(f"<@{other.id}> really?", channel=room)
    await slack.people.join(room, "U0NEW")
    for is_classic in (True, False):
        await slack.people.say_as_bot(
            f"<@{coach.account.bot.id}> do something", channel=room, is_classic=is_classic
        )
    # The last word is for the app: when it is answered, so would have been all before it.
    await ask(slack, "And you?", channel=room, mention=True)
    await slack.idle(SECONDS)
    assert [one.text for one in slack.ledger.accepted] == ["re: And you?"]
    rows = await lab.rows(tenant, "select text from inbox_event")
    assert [row.text for row in rows] == ["And you?"]


async def test_two_who_talk_to_the_app_in_one_thread_are_two_conversations(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    other = slack.add_user(coach.account.team, "Mia")
    said, _ = await ask(slack, "I am Lea", channel=room, mention=True)
    await ask(slack, "I am Mia", channel=room, mention=True, user=other, thread_ts=said.ts)
    assert slack.ledger.visible(said.thread) == ["re: I am Lea", "re: I am Mia"]
    rows = await lab.rows(tenant, "select thread, is_private from conversation order by id")
    assert len({row.thread for row in rows}) == 2
    assert not any(row.is_private for row in rows)


async def test_two_apps_that_hear_each_other_never_talk_to_each_other(
    lab: LabHouse, slack: FakeSlack
) -> None:
    team = slack.add_team()
    tenants = [await lab.add_tenant("one"), await lab.add_tenant("two")]
    coaches = [
        await lab.connect_slack(tenant, slack, slack.install(slack.add_app(name), team))
        for tenant, name in zip(tenants, ("Anna", "Bert"), strict=True)
    ]
    room = slack.add_channel(coaches[0].account, "team")
    room.members.add(coaches[1].account.bot.id)
    names = " ".join(f"<@{coach.account.bot.id}>" for coach in coaches)
    lab.model.reply = f"{names} what do you think?"
    said = await slack.say(f"{names} begin!", channel=room, app=coaches[0].account)
    ledger = slack.ledger
    await ledger.wait_until(lambda: len(ledger.visible(said.thread)) == 2, seconds=SECONDS)
    # What either app says below is a message in the other's thread, with its name in it.
    assert len(ledger.accepted) == 2
    await slack.idle(SECONDS)
    for tenant in tenants:
        (row,) = await lab.rows(tenant, "select state from inbox_event")
        assert row.state in ("new", "answered")
    for tenant, coach in zip(tenants, coaches, strict=True):
        user = slack.add_user(team, f"Last of {tenant.name}")
        said = await slack.say("Bye", user=user, app=coach.account)
        await slack.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
        rows = await lab.rows(tenant, "select id from inbox_event")
        assert len(rows) == 2


async def test_equal_ids_in_two_slacks_are_two_worlds(lab: LabHouse, slack: FakeSlack) -> None:
    async with FakeSlack() as twin:
        for fake in (slack, twin):
            fake.world._last_stamp = 2_000_000_000_000_000
        asked = {}
        tenants = [await lab.add_tenant("one"), await lab.add_tenant("two")]
        for tenant, fake in zip(tenants, (slack, twin), strict=True):
            # Of another app, as it must be: one account is connected once.
            if fake is twin:
                fake.world.new_id("")
            team = fake.add_team("Equal", id="T0EQUAL")
            coach = await lab.connect_slack(tenant, fake, fake.install(fake.add_app(), team))
            room = fake.world.add_channel(team, "room", [coach.account.bot.id], id="C0EQUAL")
            asked[tenant.name] = await fake.say(
                f"I am with {tenant.name}", channel=room, mention=True, user="U0EQUAL"
            )
        one, two = asked.values()
        assert (one.thread, one.ts, one.channel) == (two.thread, two.ts, two.channel)
        for tenant, fake in zip(tenants, (slack, twin), strict=True):
            said = asked[tenant.name]
            await wait_for_text(fake, said, f"re: I am with {tenant.name}")
            marks = asked_in(said.thread, [f"I am with {tenant.name}"])
            assert fake.ledger.judge(marks).is_perfect
            (row,) = await lab.rows(tenant, "select text from inbox_event")
            assert row.text == f"I am with {tenant.name}"
