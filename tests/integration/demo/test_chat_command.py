"""``coachline chat`` on the webhook channel, against a scripted gateway."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, TextIO
from uuid import UUID

import pytest
from typer.testing import CliRunner

from coachline.cli import app, chat
from coachline.foundation.ids import new_id
from fixtures.scripted_gateway import ScriptedGateway

Script = Callable[[ScriptedGateway], Any]


class _Connections:
    """Remembers what the command does to its connection; the gateway follows."""

    def __init__(self, gateway: ScriptedGateway, connection_id: UUID, *, is_known: bool) -> None:
        self._gateway = gateway
        self._id = connection_id
        self._is_known = is_known
        self.calls: list[str] = []

    async def find_named(self, tenant_id: UUID, name: str) -> SimpleNamespace | None:
        assert name == "terminal"
        return SimpleNamespace(id=self._id) if self._is_known else None

    async def add(
        self, tenant_id: UUID, channel: str, name: str, config: dict[str, Any], *, actor: str
    ) -> SimpleNamespace:
        assert (channel, name) == ("webhook", "terminal")
        self._take("add", config)
        return SimpleNamespace(id=self._id)

    async def configure(
        self, tenant_id: UUID, connection_id: UUID, config: dict[str, Any], *, actor: str
    ) -> None:
        self._take("configure", config)

    async def set_state(
        self,
        tenant_id: UUID,
        connection_id: UUID,
        state: str,
        *,
        actor: str,
        problem: str | None = None,
    ) -> None:
        assert problem is None, "a chat that was ended is nothing for `doctor`"
        self.calls.append(state)

    def _take(self, call: str, config: dict[str, Any]) -> None:
        assert config["stream"] is True
        self.calls.append(call)
        self._gateway.secret = config["secrets"][0]
        self._gateway.callback_url = config["callback_url"]


class Terminal:
    """Runs the command with lines on its standard input and a gateway that follows a script."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lines: Callable[[str], TextIO]) -> None:
        self._monkeypatch = monkeypatch
        self._lines = lines
        self.calls: list[str] = []
        self.messages: list[dict[str, Any]] = []

    def run(
        self, typed: str, script: Script, *arguments: str, is_known: bool = False
    ) -> tuple[int, str]:
        """Exit code and output."""

        @asynccontextmanager
        async def open_services() -> AsyncIterator[SimpleNamespace]:
            async with ScriptedGateway().serving() as gateway:
                public_url, _, connection_id = gateway.inbound_url.rpartition("/webhooks/")
                connections = _Connections(gateway, UUID(connection_id), is_known=is_known)
                answering = asyncio.ensure_future(script(gateway))
                try:
                    yield SimpleNamespace(
                        tenants=SimpleNamespace(get_by_name=_get_by_name),
                        connections=connections,
                        public_url=public_url,
                    )
                finally:
                    answering.cancel()
                    await asyncio.gather(answering, return_exceptions=True)
                    self.calls = connections.calls
                    self.messages = gateway.messages

        self._monkeypatch.setattr(chat, "open_services", open_services)
        # The test runner puts a stream without a descriptor there; the command reads a real one.
        self._monkeypatch.setattr(chat, "sys", _SystemWith(self._lines(typed)))
        result = CliRunner().invoke(app, ["chat", *arguments])
        return result.exit_code, result.output


class _SystemWith:
    def __init__(self, stdin: TextIO) -> None:
        self.stdin = stdin

    @property
    def stdout(self) -> TextIO:
        return sys.stdout


async def _get_by_name(name: str) -> SimpleNamespace:
    return SimpleNamespace(id=new_id(), name=name)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    opened: list[TextIO] = []

    def lines(text: str) -> TextIO:
        reading, writing = os.pipe()
        os.write(writing, text.encode())
        os.close(writing)
        opened.append(os.fdopen(reading))
        return opened[-1]

    yield Terminal(monkeypatch, lines)
    for stream in opened:
        stream.close()


async def _echo(gateway: ScriptedGateway) -> None:
    while True:
        message = await gateway.next_message()
        await gateway.draft(message, "You")
        source = {"number": 1, "title": "Notes", "source": "notes.md"}
        await gateway.reply(message, f"You said {message['text']} [1]", citations=[source])


def test_each_line_is_answered_in_turn_with_its_sources(terminal: Terminal) -> None:
    code, output = terminal.run("one\n\n  two  \nthree", _echo)
    assert code == 0, output
    said = [line for line in output.splitlines() if line]
    assert said == [
        line
        for text in ("one", "two", "three")
        for line in (f"You said {text} [1]".ljust(len(said[0])), "[1] Notes · notes.md")
    ]
    assert [message["text"] for message in terminal.messages] == ["one", "two", "three"]
    assert len({message["thread"] for message in terminal.messages}) == 1
    assert terminal.calls == ["add", "disabled"]


def test_json_is_one_line_an_answer(terminal: Terminal) -> None:
    code, output = terminal.run("one\ntwo\n", _echo, "--json")
    assert code == 0, output
    answers = [json.loads(line) for line in output.splitlines()]
    assert [answer["text"] for answer in answers] == ["You said one [1]", "You said two [1]"]
    for answer in answers:
        assert UUID(answer["event_id"])
        assert answer["citations"] == [{"number": 1, "title": "Notes", "source": "notes.md"}]
        assert answer["seconds"] > 0


def test_parts_are_put_together_and_what_comes_twice_is_shown_once(terminal: Terminal) -> None:
    async def script(gateway: ScriptedGateway) -> None:
        message = await gateway.next_message()
        await gateway.reply(message, "first", part=1, parts=2, id="a")
        await gateway.reply(message, "first", part=1, parts=2, id="a")
        await gateway.reply({**message, "thread": "elsewhere"}, "not for us", part=2, parts=2)
        await gateway.reply({**message, "id": "another"}, "not this one", part=2, parts=2)
        await gateway.reply(message, "second", part=2, parts=2, id="b")

    code, output = terminal.run("go\n", script, "--json")
    assert code == 0, output
    assert json.loads(output)["text"] == "first\n\nsecond"


def test_quit_ends_before_the_lines_behind_it(terminal: Terminal) -> None:
    code, _ = terminal.run("one\n/quit\ntwo\n", _echo)
    assert code == 0
    assert [message["text"] for message in terminal.messages] == ["one"]


def test_a_known_connection_is_used_again_and_closed_again(terminal: Terminal) -> None:
    code, _ = terminal.run("one\n", _echo, is_known=True)
    assert code == 0
    assert terminal.calls == ["configure", "disabled"]


def test_a_gateway_that_still_remembers_the_last_secret_is_asked_again(terminal: Terminal) -> None:
    async def script(gateway: ScriptedGateway) -> None:
        gateway.statuses = [401, 404]
        await _echo(gateway)

    code, output = terminal.run("one\n", script, is_known=True)
    assert code == 0, output
    assert "You said one" in output


def test_no_answer_in_time_says_where_to_look(terminal: Terminal) -> None:
    async def script(gateway: ScriptedGateway) -> None:
        await gateway.next_message()

    code, output = terminal.run("one\n", script, "--wait-seconds", "1")
    assert code == 1
    assert "coachline why" in output
    assert "COACHLINE_OUTGOING_ALLOW" in output
    assert terminal.calls == ["add", "disabled"]


def test_an_overloaded_gateway_ends_a_pipe_with_its_reason(terminal: Terminal) -> None:
    async def script(gateway: ScriptedGateway) -> None:
        gateway.statuses = [503]

    code, output = terminal.run("one\n", script)
    assert code == 1
    assert "503" in output


def test_a_message_that_is_too_long_is_not_sent(terminal: Terminal) -> None:
    code, output = terminal.run("x" * 8_001, _echo)
    assert code == 1
    assert "8,000 characters" in output
    assert not terminal.messages


def test_a_forged_callback_is_not_shown(terminal: Terminal) -> None:
    statuses: list[int] = []

    async def script(gateway: ScriptedGateway) -> None:
        message = await gateway.next_message()
        forged = {"type": "reply", "id": "x", "thread": message["thread"], "text": "forged"}
        statuses.append(await gateway.post(forged, secret="whsec_" + "A" * 44))
        statuses.append(await gateway.post({"type": "other"}))
        await gateway.reply(message, "genuine")

    code, output = terminal.run("one\n", script)
    assert (code, statuses) == (0, [401, 400])
    assert "genuine" in output
    assert "forged" not in output
