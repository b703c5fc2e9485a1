"""The programs that the README shows do what it says, against the real channel."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import MagicMock

import pytest
import yaml

from channel_kit import InboundEvent, WebhookRequest
from channel_kit.signing import generate_secret
from channel_webhook import WebhookChannel, WebhookConfig
from docs.pages import ROOT

SECRET = generate_secret()


def _program(page: str, first_line: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (found,) = (block for block in blocks if block.startswith(first_line))
    return found


class _Gateway(ThreadingHTTPServer):
    """Proves and reads what is posted, as step 3 of a message's path does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        config = {"secrets": [SECRET], "callback_url": "https://example.org/"}
        self.channel = WebhookChannel(WebhookConfig.model_validate(config), MagicMock())
        self.events: list[InboundEvent] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Gateway

    def do_POST(self) -> None:
        request = WebhookRequest(
            method="POST",
            url=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers["content-length"])),
            received_at=datetime.now(UTC),
        )
        self.server.channel.verify(request)
        self.server.events += self.server.channel.parse(request)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gateway() -> Iterator[_Gateway]:
    with _Gateway() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_sender_of_the_readme_signs_what_the_channel_accepts(
    tmp_path: Path, gateway: _Gateway
) -> None:
    program = tmp_path / "send.py"
    program.write_text(_program("README.md", '"""Send one signed message'))
    url = f"http://127.0.0.1:{gateway.server_port}/webhooks/x"
    for text in ("How do I start again?", "Ça va? 🙂"):
        subprocess.run(  # noqa: S603 - the program of the README
            [sys.executable, str(program), url, SECRET, text], check=True, capture_output=True
        )
    assert [event.text for event in gateway.events] == ["How do I start again?", "Ça va? 🙂"]
    assert {event.sender.id for event in gateway.events} == {"ada"}


def test_the_receiver_of_the_quickstart_is_a_program() -> None:
    program = _program("docs/quickstart.md", '"""Print every reply')
    assert compile(program, "receive.py", "exec")


@pytest.mark.parametrize("file", ["config/compose.yaml", "config/prometheus.yml"])
def test_example_configurations_can_be_read(file: str) -> None:
    assert yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
