"""Socket Mode: acknowledged when stored, moved when Slack asks, begun anew when it is silent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from channel_kit import InboundEvent
from coachline.foundation.database import DatabaseUnavailable
from coachline.messaging import Intake, ListeningRules, LiveConnection
from coachline_lab.ledger import asked_in
from coachline_lab.slack import FakeSlack
from coachline_lab.slack.world import App, Installation
from fixtures.house import Ground
from fixtures.lab_house import SECONDS, LabConnection, LabHouse, open_lab_house
from fixtures.slack_talk import ask, wait_answered, wait_for_text
from fixtures.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("quick_settling")]

QUICK = ListeningRules(
    lease_seconds=3.0,
    renew_seconds=0.5,
    look_seconds=0.1,
    # Longer than the time between two pings, on a busy machine too.
    deaf_seconds=4.0,
    note_seconds=0.2,
    first_pause_seconds=0.1,
    last_pause_seconds=0.5,
)


@pytest.fixture(scope="module")
async def open_listening(other_ground: Ground) -> AsyncIterator[LabHouse]:
    """A house that listens often; ask for ``listening``."""
    async with open_lab_house(other_ground, listening=QUICK) as lab:
        yield lab


@pytest.fixture
async def listening(open_listening: LabHouse) -> AsyncIterator[LabHouse]:
    """A house that listens often."""
    yield open_listening
    await open_listening.let_go()


async def connect(lab: LabHouse, slack: FakeSlack) -> LabConnection[Installation]:
    """An app with a socket, from when it is open."""
    slack.sockets.ping_seconds = 0.5
    app = slack.add_app(uses_socket=True)
    coach = await lab.connect_slack(
        await lab.add_tenant(),
        slack,
        slack.install(app),
        receive="socket",
        app_token=app.app_token,
    )
    await until(lambda: slack.sockets.count(app) == 1, seconds=SECONDS)
    return coach


async def is_said(lab: LabHouse, coach: LabConnection[Any], health: str) -> None:
    """Wait until the connection is shown with this health."""

    async def is_so() -> bool:
        return (await lab.find(coach)).health == health

    await until(is_so, seconds=SECONDS)


async def is_open_anew(slack: FakeSlack, app: App, opened: int) -> None:
    """Wait until an app has asked for more than ``opened`` sockets, and has one."""
    calls = slack.ledger.calls
    await until(lambda: len(calls("apps.connections.open")) > opened, seconds=SECONDS)
    await until(lambda: slack.sockets.count(app) == 1, seconds=SECONDS)


async def test_what_comes_through_a_socket_is_answered(
    listening: LabHouse, slack: FakeSlack
) -> None:
    coach = await connect(listening, slack)
    room = slack.add_channel(coach.account, "team")
    await ask(slack, "How do I begin?")
    said, _ = await ask(slack, "And here?", channel=room, mention=True)
    assert slack.ledger.visible(said.thread) == ["re: And here?"]
    told = await slack.command("pause")
    answer = await slack.wait_for_answer(told.thread, after=told.place, seconds=SECONDS)
    label = answer.details["blocks"][-1]["elements"][0]["text"]["text"]
    pressed = await slack.press(label)
    await slack.wait_for_answer(told.thread, after=pressed.place, seconds=SECONDS)
    assert (told.status, pressed.status) == (200, 200)
    await is_said(listening, coach, "hearing")


@pytest.mark.parametrize("is_stored", [False, True], ids=["before-storing", "after-storing"])
async def test_what_was_not_acknowledged_comes_again_and_is_answered_once(
    listening: LabHouse, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, is_stored: bool
) -> None:
    coach = await connect(listening, slack)
    accept = Intake.accept
    broken: list[Sequence[InboundEvent]] = []

    async def break_once(
        self: Intake, connection: LiveConnection, events: Sequence[InboundEvent]
    ) -> Any:
        if broken:
            return await accept(self, connection, events)
        broken.append(events)
        if is_stored:
            await accept(self, connection, events)
        raise DatabaseUnavailable("It went away.")

    monkeypatch.setattr(Intake, "accept", break_once)
    slack.sockets.ack_seconds = 1.0
    said = await slack.say("Once?")
    await wait_for_text(slack, said, "re: Once?")
    await slack.idle(SECONDS)
    tries = [one for one in slack.events.attempts if one.event_id in said.event_ids]
    assert tries[0].status == 0
    assert tries[-1].status == 200
    await ask(slack, "And now?")
    assert slack.ledger.visible(said.thread) == ["re: Once?", "re: And now?"]
    rows = await listening.rows(coach.tenant, "select id from inbox_event")
    assert len(rows) == 2


async def test_slack_may_move_the_socket_at_any_time(listening: LabHouse, slack: FakeSlack) -> None:
    coach = await connect(listening, slack)
    app = coach.account.app
    slack.sockets.ack_seconds = 1.0
    ledger = slack.ledger
    asked = []
    for number in range(5):
        said = await slack.say(f"{number}?", user=f"U0P{number}")
        asked += asked_in(said.thread, [f"{number}?"])
        opened = len(ledger.calls("apps.connections.open"))
        await slack.sockets.refresh(app)
        await is_open_anew(slack, app, opened)
    await wait_answered(slack, asked)
    await slack.idle(SECONDS)
    await until(lambda: listening.is_idle(coach.tenant), seconds=SECONDS)
    assert ledger.judge(asked).is_perfect
    assert len(ledger.calls("apps.connections.open")) >= 6


async def test_a_socket_that_went_deaf_is_noticed_and_opened_anew(
    listening: LabHouse, slack: FakeSlack
) -> None:
    coach = await connect(listening, slack)
    await is_said(listening, coach, "hearing")
    await slack.sockets.go_deaf(coach.account.app)
    assert slack.sockets.count(coach.account.app) == 0
    await until(lambda: slack.sockets.count(coach.account.app) == 1, seconds=SECONDS)
    await ask(slack, "Do you hear me?")
    await is_said(listening, coach, "hearing")


async def test_an_app_whose_sockets_were_switched_off_says_so(
    listening: LabHouse, slack: FakeSlack
) -> None:
    coach = await connect(listening, slack)
    coach.account.app.uses_socket = False
    await slack.sockets.refresh(coach.account.app, "link_disabled")

    async def is_told() -> bool:
        return "Socket Mode is switched off" in ((await listening.find(coach)).problem or "")

    await until(is_told, seconds=SECONDS)
    assert coach.account.app.app_token not in str(await listening.find(coach))
