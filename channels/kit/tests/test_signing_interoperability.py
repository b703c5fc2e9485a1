"""Our signatures are those of the published Standard Webhooks packages, both ways."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from channel_kit.signing import generate_secret, parse_secret, sign, verify

BODY = '{"text":"Grüße 👋🏽","type":"message"}'


@pytest.fixture(scope="module")
def npm_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the pinned npm package is installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed: the npm package was not compared")
    folder = tmp_path_factory.mktemp("npm")
    shutil.copytree(Path(__file__).parent / "npm", folder, dirs_exist_ok=True)
    installed = subprocess.run(  # noqa: S603 - our own command
        [npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if installed.returncode != 0:
        pytest.skip("no npm registry answered: the npm package was not compared")
    return folder


def test_the_python_package_accepts_ours_and_we_accept_its() -> None:
    secret, now = generate_secret(), datetime.now(UTC)
    headers = sign([parse_secret(secret)], message_id="m1", timestamp=now, body=BODY.encode())
    theirs = Webhook(secret)
    assert theirs.verify(BODY, headers)["type"] == "message"
    headers["webhook-signature"] = theirs.sign("m1", now, BODY)
    verify([parse_secret(secret)], headers, BODY.encode(), now=now)


def test_the_npm_package_accepts_ours_and_we_accept_its(npm_package: Path) -> None:
    secret, now = generate_secret(), datetime.now(UTC)
    headers = sign([parse_secret(secret)], message_id="m1", timestamp=now, body=BODY.encode())
    given = {
        "secret": secret,
        "id": "m1",
        "seconds": int(now.timestamp()),
        "body": BODY,
        "headers": headers,
    }
    answer = subprocess.run(
        ["node", "cross_check.js"],  # noqa: S607 - the machine's node
        cwd=npm_package,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    headers["webhook-signature"] = answer.stdout
    verify([parse_secret(secret)], headers, BODY.encode(), now=now)
