"""The Slack channel and a whole gateway against a Slack that is not ours: local-slack.

It listens on every interface, so it lives in a network namespace of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from coachline.foundation.ids import new_id
from coachline.foundation.schema import migrate
from coachline.local import ensure_database
from conftest import ROLES, Servers
from fixtures import namespace_relay
from fixtures.emulators import Emulators
from fixtures.house import ground_on
from fixtures.lab_house import LabHouse, LabTenant, open_lab_house
from fixtures.ports import free_port
from fixtures.waiting import until

TEAM, CHANNEL, PERSON, SECONDS = "T01TEST", "C01GEN", "U01ALICE", 30.0
EVENTS_APP, SOCKET_APP = "A01APP", "A02APP"
EVENTS_BOT, SOCKET_BOT = "U0BOT", "U0BOT2"
DIRECT = {EVENTS_APP: "D01EVENTS", SOCKET_APP: "D02SOCKET"}
DATABASE = "coachline_emulators"


@dataclass
class LocalSlack:
    """The emulator, driven as a person would. Its events go to ``inbound_url``, once each."""

    url: str
    http: aiohttp.ClientSession
    inbound_url: str = ""
    answers: list[int] = field(default_factory=list)

    async def do(self, what: str, **how: Any) -> dict[str, Any]:
        """Act as a person."""
        async with self.http.post(f"{self.url}/_control/{what}", json=how) as answer:
            assert answer.status < 300, await answer.text()
            found: dict[str, Any] = await answer.json(content_type=None)
            return found

    async def say(self, text: str, channel: str, **more: Any) -> str:
        """Write a message; its timestamp."""
        said = await self.do("message", channel=channel, user=PERSON, text=text, **more)
        return str(said.get("ts") or said["message"]["ts"])

    async def messages(self, channel: str) -> list[dict[str, Any]]:
        """What stands in a channel and its threads."""
        async with self.http.get(f"{self.url}/_control/messages/{channel}") as answer:
            found = await answer.json(content_type=None)
            return list(found["messages"] if isinstance(found, dict) else found)

    async def answers_in(self, channel: str, bot: str) -> list[str]:
        """What an app says in a channel now."""
        return [one["text"] for one in await self.messages(channel) if one.get("user") == bot]

    async def wait_for(self, channel: str, bot: str, text: str) -> dict[str, Any]:
        """Return the app's message with this text, when it is there.

        Raises:
            TimeoutError: it does not come; the message says what did.
        """
        found: list[dict[str, Any]] = []

        async def is_there() -> bool:
            found[:] = [
                one
                for one in await self.messages(channel)
                if one.get("user") == bot and one.get("text") == text
            ]
            return bool(found)

        try:
            await until(is_there, seconds=SECONDS)
        except TimeoutError:
            shown = await self.messages(channel)
            raise TimeoutError(f"no {text!r} in {shown}, told {self.answers}") from None
        return found[0]

    async def pass_on(self, request: web.Request) -> web.Response:
        """Bring an event out of the namespace to the gateway, as it is."""
        body = await request.read()
        kept = ("Content-Type", "X-Slack-Signature", "X-Slack-Request-Timestamp")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        async with self.http.post(self.inbound_url, data=body, headers=headers) as answer:
            self.answers.append(answer.status)
            return web.Response(status=answer.status, body=await answer.read())


def _config(calls: int) -> dict[str, Any]:
    direct = [
        {"id": DIRECT[app], "name": "dm", "is_im": True, "members": [PERSON, bot]}
        for app, bot in ((EVENTS_APP, EVENTS_BOT), (SOCKET_APP, SOCKET_BOT))
    ]
    return {
        "workspace": {"name": "W", "domain": "w", "teamId": TEAM},
        "apps": [
            {
                "appId": EVENTS_APP,
                "botUserId": EVENTS_BOT,
                "botName": "ebot",
                "botToken": "xoxb-ev",
                "appToken": f"xapp-1-{EVENTS_APP}-ev",
                "signingSecret": "sec-ev",
                "mode": "events",
                "requestUrl": f"http://127.0.0.1:{calls}/slack/events",
            },
            {
                "appId": SOCKET_APP,
                "botUserId": SOCKET_BOT,
                "botName": "sbot",
                "botToken": "xoxb-sm",
                "appToken": f"xapp-1-{SOCKET_APP}-sm",
                "signingSecret": "sec-sm",
                "mode": "socket",
            },
        ],
        "users": [{"id": PERSON, "name": "alice", "real_name": "Alice"}],
        "channels": [
            {"id": CHANNEL, "name": "general", "members": [PERSON, EVENTS_BOT, SOCKET_BOT]},
            *direct,
        ],
    }


@asynccontextmanager
async def _run(
    emulators: Emulators, folder: Path, http: aiohttp.ClientSession
) -> AsyncIterator[LocalSlack]:
    program = emulators.node_modules / "local-slack-linux-x64" / "bin" / "local-slack"
    if not program.exists():
        pytest.skip("local-slack has no program for this machine")
    if (problem := namespace_relay.problem()) is not None:
        pytest.skip(problem)
    unshare = which("unshare")
    assert unshare is not None
    listens, calls = free_port(), free_port()
    config, api, events = folder / "ls.yaml", folder / "api.sock", folder / "events.sock"
    config.write_text(yaml.safe_dump(_config(calls)))
    slack = LocalSlack(f"http://127.0.0.1:{listens}", http)
    app = web.Application()
    app.router.add_post("/slack/events", slack.pass_on)
    words = [str(program), "--config", str(config), "--port", str(listens)]
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.UnixSite(runner, str(events)).start()
        outside = namespace_relay.relay(lambda: asyncio.open_unix_connection(api))
        door = await asyncio.start_server(outside, "127.0.0.1", listens)
        await stack.enter_async_context(door)
        command = (
            "-rn",
            sys.executable,
            str(Path(namespace_relay.__file__)),
            *(str(api), str(events), str(listens), str(calls), "--"),
            *(*words, "--base-host", "127.0.0.1"),
        )
        running = emulators.running(Path(unshare), *command, cwd=folder, ready="is running")
        await stack.enter_async_context(running)
        yield slack


@pytest.fixture(scope="module")
async def lab(servers: Servers) -> AsyncIterator[LabHouse]:
    """A gateway."""
    await ensure_database(servers.postgres, database=DATABASE, roles=ROLES)
    await migrate(servers.url("coachline_owner", DATABASE))
    async with open_lab_house(ground_on(servers.postgres, ROLES, DATABASE)) as opened:
        yield opened


@pytest.fixture
async def slack(
    emulators: Emulators, lab: LabHouse, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalSlack]:
    """The emulator, in a folder whose name is short enough for sockets."""
    folder = tmp_path_factory.mktemp("ls")
    async with aiohttp.ClientSession() as http, _run(emulators, folder, http) as running:
        yield running
        await lab.let_go()


async def connect(lab: LabHouse, slack: LocalSlack, **config: Any) -> LabTenant:
    """Connect one of the emulator's apps."""
    tenant = await lab.add_tenant()
    connections = lab.house.services.connections
    given = {"api_url": f"{slack.url}/api/", **config}
    made = await connections.add(tenant.id, "slack", f"slack {new_id()}", given, actor="test")
    lab.keep(tenant, made.id)
    slack.inbound_url = connections.inbound_url(made.id)
    return tenant


async def test_a_talk_in_a_channel_and_alone_with_edits_and_buttons(
    lab: LabHouse, slack: LocalSlack
) -> None:
    tenant = await connect(lab, slack, signing_secret="sec-ev", bot_token="xoxb-ev")
    direct, bot = DIRECT[EVENTS_APP], EVENTS_BOT
    await slack.say("Alone?", direct)
    await slack.wait_for(direct, bot, "re: Alone?")
    root = await slack.say(f"<@{bot}> Among others & <3?", CHANNEL)
    answer = await slack.wait_for(CHANNEL, bot, "re: Among others &amp; &lt;3?")
    assert answer["thread_ts"] == root
    await slack.say("And then?", CHANNEL, thread_ts=root)
    await slack.wait_for(CHANNEL, bot, "re: And then?")
    await slack.say("Lunch?", CHANNEL)
    await slack.do(
        "command", appId=EVENTS_APP, channel=direct, user=PERSON, command="/coach", text="pause"
    )
    await until(lambda: _has_buttons(slack, direct), seconds=SECONDS)
    asked = next(one for one in await slack.messages(direct) if _buttons_of(one))
    first = _buttons_of(asked)[0]
    await slack.do(
        "interact",
        channel=direct,
        messageTs=asked["ts"],
        user=PERSON,
        action={"type": "button", "block_id": "x", **_named(first)},
    )

    async def is_paused() -> bool:
        return bool(await lab.rows(tenant, "select id from consent where change = 'paused'"))

    await until(is_paused, seconds=SECONDS)
    said = await slack.say("How do I swin?", direct)
    await slack.do("edit-message", channel=direct, ts=said, user=PERSON, text="How do I swim?")
    await slack.wait_for(direct, bot, "re: How do I swim?")
    gone = await slack.say("My secret is plum", direct)
    await slack.do("delete-message", channel=direct, ts=gone, user=PERSON)
    await slack.say("Still there?", direct)
    await slack.wait_for(direct, bot, "re: Still there?")
    await until(lambda: lab.is_idle(tenant), seconds=SECONDS)
    assert await slack.answers_in(CHANNEL, bot) == [
        "re: Among others &amp; &lt;3?",
        "re: And then?",
    ]
    assert not any("plum" in text for text in await slack.answers_in(direct, bot))
    assert set(slack.answers) == {200}


async def test_the_same_over_a_socket(lab: LabHouse, slack: LocalSlack) -> None:
    tenant = await connect(
        lab,
        slack,
        signing_secret="sec-sm",
        bot_token="xoxb-sm",
        app_token=f"xapp-1-{SOCKET_APP}-sm",
        receive="socket",
    )
    direct, bot = DIRECT[SOCKET_APP], SOCKET_BOT

    async def is_hearing() -> bool:
        rows = await lab.rows(tenant, "select health from connection")
        return [row.health for row in rows] == ["hearing"]

    await until(is_hearing, seconds=SECONDS)
    await slack.say("Alone?", direct)
    await slack.wait_for(direct, bot, "re: Alone?")
    root = await slack.say(f"<@{bot}> And here?", CHANNEL)
    answer = await slack.wait_for(CHANNEL, bot, "re: And here?")
    assert answer["thread_ts"] == root
    await slack.do(
        "command", appId=SOCKET_APP, channel=direct, user=PERSON, command="/coach", text="how?"
    )
    await slack.wait_for(direct, bot, "re: how?")


async def _has_buttons(slack: LocalSlack, channel: str) -> bool:
    return any(_buttons_of(one) for one in await slack.messages(channel))


def _buttons_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = [b for b in message.get("blocks") or () if b.get("type") == "actions"]
    return [element for block in blocks for element in block["elements"]]


def _named(button: dict[str, Any]) -> dict[str, Any]:
    return {name: button[name] for name in ("action_id", "value")}
