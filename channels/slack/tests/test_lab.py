"""Against the lab's Slack, which is strict where Slack is strict: events in, answers out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from channel_kit import (
    Choice,
    CredentialsRejected,
    Draft,
    EventKind,
    InboundEvent,
    OutcomeUnknown,
    RateLimited,
    RecipientUnreachable,
    Reply,
    WebhookRequest,
)
from channel_slack import SlackChannel, SlackConfig
from coachline_lab import FakeSlack, Mode
from coachline_lab.slack import Channel, Installation, User

PATIENCE_SECONDS = 10


@dataclass
class Desk:
    """One app in one workspace, its channel, and the events that it was told."""

    slack: FakeSlack
    app: Installation
    user: User
    general: Channel
    http: aiohttp.ClientSession
    events: list[InboundEvent] = field(default_factory=list)
    channel: SlackChannel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = SlackChannel(self.config(), self.http)

    @property
    def direct(self) -> str:
        """The direct message with the person."""
        team = self.app.team
        place = self.slack.world.direct(team, self.user.id, self.app.bot.id)
        return f"{team.id}/{place.id}//{self.user.id}"

    @property
    def place(self) -> str:
        """The same, as the ledger names it."""
        return self.direct.removesuffix(f"/{self.user.id}")

    async def told(self, count: int) -> list[InboundEvent]:
        """Wait for the next ``count`` events and take them."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.slack.idle()
        assert len(self.events) == count, [event.kind for event in self.events]
        taken, self.events[:] = list(self.events), []
        return taken

    def config(self, **changed: Any) -> SlackConfig:
        """The settings of a tenant who has this app."""
        given = {
            "signing_secret": self.app.app.signing_secret,
            "bot_token": self.app.token,
            "api_url": self.slack.api_url,
            "authorize_url": self.slack.authorize_url,
        }
        return SlackConfig.model_validate({**given, **changed})

    async def receive(self, request: web.Request) -> web.Response:
        """Do what the gateway does with a delivery."""
        delivery = WebhookRequest(
            url="https://coach.example/webhooks/1",
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            received_at=datetime.now(UTC),
        )
        self.channel.verify(delivery)
        self.events += self.channel.parse(delivery)
        answer = self.channel.acknowledge(delivery)
        return web.Response(
            status=answer.status,
            body=answer.body,
            headers={"Content-Type": answer.content_type},
        )


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with FakeSlack() as slack, aiohttp.ClientSession() as http:
        app = slack.install()
        user = slack.add_user(app.team, "Ada")
        general = slack.add_channel(app, "general")
        general.members.add(user.id)
        found = Desk(slack, app, user, general, http)
        connected = await found.channel.connect("https://coach.example/webhooks/1")
        assert connected.account.partition("@")[0] == app.account
        found.channel = SlackChannel(found.config(**connected.config), http)
        server = web.Application()
        server.router.add_post("/", found.receive)
        runner = web.AppRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        assert await slack.set_request_url(app.app, f"http://{host}:{port}/")
        yield found
        await runner.cleanup()


def reply(thread: str, text: str = "Begin small.", **more: Any) -> Reply:
    return Reply.model_validate({"id": "reply-1", "thread": thread, "text": text, **more})


async def test_what_people_do_is_told_once(desk: Desk) -> None:
    slack, user, general = desk.slack, desk.user, desk.general
    said = await slack.say("1 < 2 & so on?", user=user)
    (message,) = await desk.told(1)
    assert (message.kind, message.text, message.thread) == (
        "message",
        "1 < 2 & so on?",
        desk.direct,
    )
    await slack.edit(said, "1 < 3?", user=user)
    (edit,) = await desk.told(1)
    assert (edit.kind, edit.text, edit.reply_to) == ("edit", "1 < 3?", message.external_id)
    await slack.people.metadata_edit(said, user=user)
    await desk.told(0)
    await slack.delete(said, user=user)
    (delete,) = await desk.told(1)
    assert (delete.kind, delete.reply_to) == ("delete", message.external_id)
    await slack.say("talk among people", user=user, channel=general)
    await slack.people.join(general, slack.add_user(desk.app.team, "Bob"))
    await desk.told(0)


async def test_a_mention_is_told_twice_and_is_one_event(desk: Desk) -> None:
    await desk.slack.say("how?", user=desk.user, channel=desk.general, mention=True)
    first, second = await desk.told(2)
    assert first.external_id == second.external_id
    assert first.text == second.text == "how?"
    await desk.channel.send(reply(first.thread))
    root, channel = first.thread.split("/")[2], desk.general.id
    assert desk.slack.ledger.visible(f"{desk.app.team.id}/{channel}/{root}") == ["Begin small."]
    await desk.told(0)  # Our own echo.


async def test_redelivered_is_the_same(desk: Desk) -> None:
    await desk.slack.say("hello", user=desk.user)
    desk.slack.redeliver(1)
    first, again = await desk.told(2)
    assert first.external_id == again.external_id


async def test_commands_buttons_files_and_comings_and_goings(desk: Desk) -> None:
    slack, user = desk.slack, desk.user
    await slack.command("what is a payload?", user=user)
    await slack.command("", user=user)
    first, second = await desk.told(2)
    assert [(e.kind, e.text) for e in (first, second)] == [
        ("command", "what is a payload?"),
        ("command", ""),
    ]
    asked = reply(desk.direct, "Which?", choices=[Choice(label="Go on", value="more")])
    receipt = await desk.channel.send(asked)
    await slack.press("Go on", user=user)
    (press,) = await desk.told(1)
    assert (press.kind, press.text, press.thread) == ("button", "more", desk.direct)
    assert press.reply_to == receipt.external_id
    await slack.people.upload(b"%PDF", name="plan.pdf", mime_type="application/pdf", user=user)
    (shared,) = await desk.told(1)
    (attachment,) = shared.attachments
    assert await desk.channel.fetch(attachment, limit_bytes=10) == b"%PDF"
    await slack.around.open_home(user=user)
    await slack.around.open_home(tab="messages", user=user)
    home, messages = await desk.told(2)
    assert {home.kind, messages.kind} == {EventKind.OPENED}
    await desk.channel.send(reply(home.thread, "**Welcome**"))
    view = slack.home(desk.app, user)
    assert view is not None
    assert view["blocks"][0]["type"] == "rich_text"
    await slack.around.deactivate(user)
    (left,) = await desk.told(1)
    assert (left.kind, left.consent) == ("consent", "blocked")
    with pytest.raises(RecipientUnreachable):
        await desk.channel.send(reply(left.thread))
    await slack.around.uninstall()
    assert {event.kind for event in await desk.told(2)} == {EventKind.REVOKED}
    with pytest.raises(CredentialsRejected):
        await desk.channel.send(reply(desk.direct))


async def test_nothing_that_is_said_pings_or_previews(desk: Desk) -> None:
    text = "<!channel> <@U1> @here <https://a.example> **x** `<!here>`\n\n```\n<!everyone>\n```"
    await desk.channel.send(reply(desk.direct, text))
    (call,) = desk.slack.ledger.calls("chat.postMessage")
    assert (call.args["unfurl_links"], call.args["unfurl_media"]) == (False, False)
    said = await desk.slack.say("go", user=desk.user, channel=desk.general, mention=True)
    thread = f"{said.thread}/{desk.user.id}"
    handle = await desk.channel.stream(Draft(id="d", thread=thread, text=text[:3]))
    for end in range(4, len(text)):
        draft = Draft(id="d", thread=thread, text=text[:end], shown=text[: end - 1], handle=handle)
        assert await desk.channel.stream(draft) == handle
    assert handle is not None
    await desk.channel.fill(handle, reply(thread, text))
    assert len(desk.slack.ledger.accepted) == 2
    for accepted in desk.slack.ledger.accepted:
        assert not accepted.details.get("pings"), accepted.details


@pytest.mark.parametrize("mode", [Mode.CUT_AFTER_ACCEPT, Mode.SERVER_ERROR_AFTER_ACCEPT])
async def test_an_ambiguous_send_is_settled_by_reading_back(desk: Desk, mode: Mode) -> None:
    """A fifth of all posts is taken without our being told: none lost, none doubled."""
    desk.slack.faults.share(mode, 0.2, seed=7, method="chat.postMessage")
    desk.slack.faults.share(Mode.CUT_BEFORE_ACCEPT, 0.1, seed=8, method="chat.postMessage")
    began = datetime.now(UTC)
    unclear = 0
    for number in range(40):
        one = reply(desk.direct, f"No. {number}").model_copy(update={"id": f"reply-{number}"})
        for _ in range(10):
            try:
                await desk.channel.send(one)
                break
            except OutcomeUnknown:
                unclear += 1
                if await desk.channel.find(one, since=began) is not None:
                    break
    assert unclear > 5
    assert desk.slack.ledger.visible(desk.place) == [f"No. {n}" for n in range(40)]


async def test_a_draft_becomes_the_answer_even_when_its_stream_dies(desk: Desk) -> None:
    said = await desk.slack.say("how?", user=desk.user)
    thread = f"{said.thread.removesuffix('/')}/{said.ts}/{desk.user.id}"
    handle = await desk.channel.stream(Draft(id="d", thread=thread, text="Begin"))
    assert handle is not None
    assert handle.endswith(":s")
    desk.slack.faults.next(1, Mode.DYING_STREAM, method="chat.appendStream")
    more = Draft(id="d", thread=thread, text="Begin small", shown="Begin", handle=handle)
    handle = await desk.channel.stream(more)
    assert handle is not None
    assert handle.endswith(":m")
    for _ in range(2):
        await desk.channel.fill(handle, reply(thread, "Begin **small**."))
    shown = f"{said.thread.removesuffix('/')}/{said.ts}"
    assert desk.slack.ledger.visible(shown) == ["Begin small."]
    assert not any(one.is_unfinished for one in desk.slack.ledger.accepted)
    found = await desk.channel.find(reply(thread), since=datetime.now(UTC))
    assert found is not None


@pytest.mark.parametrize("thread_of_its_own", [True, False])
async def test_a_beginning_that_was_taken_in_silence_does_not_stay(
    desk: Desk, thread_of_its_own: bool
) -> None:
    said = await desk.slack.say("how?", user=desk.user)
    base = said.thread.removesuffix("/")
    thread = f"{base}/{said.ts}/{desk.user.id}" if thread_of_its_own else desk.direct
    desk.slack.faults.next(1, Mode.CUT_AFTER_ACCEPT)
    with pytest.raises(OutcomeUnknown):
        await desk.channel.stream(Draft(id="d", thread=thread, text="Begin **small**"))
    await desk.channel.send(reply(thread))
    shown = f"{base}/{said.ts}" if thread_of_its_own else desk.place
    assert desk.slack.ledger.visible(shown) == ["Begin small."]


async def test_a_discarded_draft_is_gone(desk: Desk) -> None:
    handle = await desk.channel.stream(Draft(id="d", thread=desk.direct, text="Begin"))
    assert handle is not None
    await desk.channel.discard(handle, desk.direct)
    assert desk.slack.ledger.visible(desk.place) == []


async def test_thinking_is_shown_until_the_answer(desk: Desk) -> None:
    said = await desk.slack.say("how?", user=desk.user, channel=desk.general, mention=True)
    thread = f"{said.thread}/{desk.user.id}"
    await desk.channel.show_typing(thread)
    assert desk.slack.status(said)
    await desk.channel.send(reply(thread))
    assert not desk.slack.status(said)


async def test_slack_asks_to_wait(desk: Desk) -> None:
    desk.slack.faults.next(1, Mode.RATE_LIMITED, retry_after=9)
    with pytest.raises(RateLimited) as caught:
        await desk.channel.send(reply(desk.direct))
    assert caught.value.retry_after == 9


async def test_an_app_is_installed_by_a_click(desk: Desk) -> None:
    team = desk.slack.add_team("Other")
    app = desk.app.app
    waiting = SlackChannel(
        desk.config(bot_token=None, client_id=app.client_id, client_secret=app.client_secret),
        desk.http,
    )
    back = "https://coach.example/back"
    url = waiting.install_url(redirect_url=back, state="s")
    returned = parse_qs(urlsplit(desk.slack.oauth.approve(url, team)).query)
    found = await waiting.complete(code=returned["code"][0], redirect_url=back)
    installed = SlackChannel(desk.config(**found), desk.http)
    connected = await installed.connect("https://coach.example/webhooks/2")
    assert connected.account.partition("@")[0] == f"{app.id}:{team.id}"
    with pytest.raises(CredentialsRejected):
        await waiting.complete(code=returned["code"][0], redirect_url=back)


async def test_a_socket_brings_events_and_is_moved_without_a_loss() -> None:
    async with FakeSlack() as slack, aiohttp.ClientSession() as http:
        app = slack.install(slack.add_app(uses_socket=True))
        user = slack.add_user(app.team, "Ada")
        desk = Desk(slack, app, user, slack.add_channel(app, "general"), http)
        settings = desk.config(receive="socket", app_token=app.app.app_token)
        channel = SlackChannel(settings, http)
        connected = await channel.connect("https://coach.example/webhooks/1")
        assert connected.account.partition("@")[0] == app.account
        got: asyncio.Queue[InboundEvent] = asyncio.Queue()
        contacts: asyncio.Queue[None] = asyncio.Queue()

        async def deliver(events: Sequence[InboundEvent]) -> None:
            for event in events:
                got.put_nowait(event)

        task = asyncio.create_task(channel.poll(deliver, lambda: contacts.put_nowait(None)))
        await asyncio.wait_for(contacts.get(), PATIENCE_SECONDS)
        await slack.say("one", user=user)
        assert (await asyncio.wait_for(got.get(), PATIENCE_SECONDS)).text == "one"
        await slack.sockets.refresh(app.app)
        await slack.say("two", user=user)
        assert (await asyncio.wait_for(got.get(), PATIENCE_SECONDS)).text == "two"
        await slack.command("three", user=user)
        assert (await asyncio.wait_for(got.get(), PATIENCE_SECONDS)).text == "three"
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)
