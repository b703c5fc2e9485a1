"""Commands, buttons, the Home tab, and who may not be written to any more."""

from __future__ import annotations

import re
from typing import Any

import pytest

from coachline_lab.slack import FakeSlack
from fixtures.lab_house import SECONDS, LabConnection, LabHouse
from fixtures.slack_talk import ask, wait_for_text
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]


async def command(slack: FakeSlack, text: str, **where: Any) -> str:
    """Use the slash command and return what is said to it."""
    said = await slack.command(text, **where)
    assert (said.status, said.body) == (200, b"")
    answer = await slack.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    return answer.text


async def test_the_slash_command_knows_help_and_takes_questions(
    lab: LabHouse, slack: FakeSlack
) -> None:
    await lab.connect_slack(await lab.add_tenant(), slack)
    for asked in ("", "help", "HELP"):
        told = await command(slack, asked)
        assert "PAUSE 3d" in told
        assert "MYDATA" in told
    said = await slack.command("what is a payload=1 & more?")
    await wait_for_text(slack, said, "re: what is a payload=1 & more?")


async def test_commands_are_words_where_slack_keeps_the_slash(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    said = await slack.say("help")
    answer = await slack.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    assert "PAUSE 3d" in answer.text
    said = await slack.say("pause 3d", channel=room, mention=True)
    answer = await slack.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    states = await lab.rows(tenant, "select distinct state from inbox_event")
    assert [row.state for row in states] == ["commanded"]


async def test_in_a_channel_nothing_personal_is_told_and_a_code_is_spoiled(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    room = slack.add_channel(coach.account, "team")
    lea = slack.add_user(coach.account.team, "Lea")
    mia = slack.add_user(coach.account.team, "Mia")
    for words in ("mydata", "forget", "link", "unlink", "share all", "forget yes"):
        told = await command(slack, words, channel=room, user=lea)
        assert told == (
            "Others can read along here. Please write "
            f"{words.split()[0].upper()} to me in a direct message."
        )
    told = await command(slack, "help", channel=room, user=lea)
    assert "- MYDATA" not in told
    code = await command(slack, "link", user=lea)
    found = re.search(r"LINK ([A-Z0-9]{8})", code)
    assert found is not None
    said = await slack.say(f"link {found[1]}", channel=room, user=mia, mention=True)
    answer = await slack.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    assert "worth nothing now" in answer.text
    told = await command(slack, f"link {found[1]}", user=mia)
    assert "does not work" in told
    learners = await lab.rows(tenant, "select distinct learner_id from identity")
    assert len(learners) == 2
    # Alone with the app all of that is told.
    assert "message" in await command(slack, "mydata", user=lea)


async def test_choices_are_buttons_and_a_press_is_an_answer(
    lab: LabHouse, slack: FakeSlack
) -> None:
    tenant = await lab.add_tenant()
    await lab.connect_slack(tenant, slack)
    said = await slack.say("pause")
    ledger = slack.ledger
    asked = await slack.wait_for_answer(said.thread, after=said.place, seconds=SECONDS)
    buttons = asked.details["blocks"][-1]
    assert buttons["type"] == "actions"
    label = buttons["elements"][1]["text"]["text"]
    pressed = await slack.press(label)
    assert pressed.status == 200
    answer = await slack.wait_for_answer(said.thread, after=pressed.place, seconds=SECONDS)
    assert answer.text != asked.text
    rows = await lab.rows(tenant, "select change, until from consent")
    assert [row.change for row in rows] == ["paused"]
    # A button that was not offered here does nothing.
    asked.details["blocks"][-1]["elements"][1]["value"] = "/pause 52w"
    await slack.press(label)
    await ask(slack, "Still there?")
    assert len(await lab.rows(tenant, "select id from consent")) == 1
    assert len(ledger.visible(said.thread)) == 3


async def test_the_home_tab_greets_once(lab: LabHouse, slack: FakeSlack) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    lea = slack.add_user(coach.account.team, "Lea")
    for _ in range(3):
        await slack.around.open_home(user=lea)
    await until(lambda: slack.home(coach.account, lea) is not None, seconds=SECONDS)
    await ask(slack, "Hello", user=lea)
    assert len(slack.ledger.calls("views.publish")) == 1
    assert "Hello, this is" in str(slack.home(coach.account, lea))
    await slack.around.open_home(user=lea, tab="messages")
    await slack.idle(SECONDS)
    await ask(slack, "Hello again", user=lea)
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    assert len(slack.ledger.calls("views.publish")) == 1


async def test_who_left_the_workspace_is_not_written_to(lab: LabHouse, slack: FakeSlack) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    lea = slack.add_user(coach.account.team, "Lea")
    await ask(slack, "Hello", user=lea)
    await slack.around.deactivate(lea)

    async def is_withdrawn() -> bool:
        rows = await lab.rows(tenant, "select change, source, reason from consent")
        return [tuple(row) for row in rows] == [("withdrawn", "platform", "blocked")]

    await until(is_withdrawn, seconds=SECONDS)
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    assert len(slack.ledger.accepted) == 1


@pytest.mark.parametrize("how", ["revoke", "uninstall"])
async def test_access_that_was_taken_away_is_shown(
    lab: LabHouse, slack: FakeSlack, how: str
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    await ask(slack, "Hello")
    # Slack tells so over the address that it has, whatever became of the token.
    await getattr(slack.around, how)()
    await until(lambda: _is_disabled(lab, coach), seconds=SECONDS)
    shown = await lab.find(coach)
    assert shown.problem == "the platform took the access away"
    status, told = await lab.get(tenant, f"/api/v1/connections/{coach.id}")
    assert (status, told["state"]) == (200, "disabled")
    assert told["problem"] == shown.problem
    refused = await slack.events.post(coach.account.app, coach.inbound_url, b"{}", "text/plain")
    assert refused.status == 404


async def _is_disabled(lab: LabHouse, connection: LabConnection[Any]) -> bool:
    return (await lab.find(connection)).state == "disabled"


async def test_no_secret_of_the_connection_is_logged_or_stored_in_the_clear(
    lab: LabHouse, slack: FakeSlack, capsys: pytest.CaptureFixture[str]
) -> None:
    tenant = await lab.add_tenant()
    coach = await lab.connect_slack(tenant, slack)
    app = coach.account.app
    secrets = [coach.account.token, app.signing_secret, app.verification_token]
    said, _ = await ask(slack, "Hello plum")
    pressed = await slack.command("help")
    await slack.wait_for_answer(pressed.thread, after=pressed.place, seconds=SECONDS)
    await slack.say("And now?")
    coach.account.is_revoked = True
    await until(lambda: _has_problem(lab, coach), seconds=SECONDS)
    secrets.append(pressed.response_url)
    written = capsys.readouterr()
    assert "turn.ended" in written.out + written.err
    tables = await lab.rows(
        tenant,
        "select table_name from information_schema.columns "
        "where table_schema = 'public' and column_name = 'tenant_id'",
    )
    stored = [
        str(row)
        for table in {row.table_name for row in tables}
        for row in await lab.rows(tenant, f'select * from "{table}"')  # noqa: S608 - of the schema
    ]
    assert any("Hello plum" in row for row in stored)
    assert "plum" not in written.out + written.err
    for secret in secrets:
        assert secret
        assert secret not in written.out + written.err
        assert not any(secret in row for row in stored)
    assert said.thread


async def _has_problem(lab: LabHouse, connection: LabConnection[Any]) -> bool:
    return (await lab.find(connection)).problem is not None
