"""What each channel costs a process: importing it, reading what comes, cutting what goes."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Any

from benchmarks.report import Report
from channel_kit import Channel, InboundEvent, Shaping, WebhookRequest
from channel_kit.text import split
from fixtures.gateway import inherited
from fixtures.machine import ROOT

_CONFIGS: dict[str, dict[str, Any]] = {
    "slack": {"signing_secret": "s" * 32, "bot_token": "xoxb-1"},
    "sms": {
        "account_sid": "AC00000000000000000000000000000001",
        "auth_token": "t" * 32,
        "from_number": "+15550006789",
    },
    "telegram": {"token": "123456:" + "t" * 35, "username": "coach_bot"},
    "webhook": {"secrets": ["whsec_" + "c2VjcmV0" * 4], "callback_url": "https://coach.example/"},
}
_PARAGRAPH = (
    "Begin **small**: walk for ten minutes on *three* days, and write down how it felt [1]. "
    "See [the plan](https://coach.example/plan) for week two.\n\n"
    "- Monday: walk\n- Wednesday: walk and `stretch`\n- Saturday: walk with a friend\n\n"
)
_IMPORT = """
import sys, time
import aiohttp, pydantic, channel_kit
def kilobytes():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1])
before, begun = kilobytes(), time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - begun, kilobytes() - before)
"""


async def measure(report: Report, *, quick: bool) -> None:
    """Measure every installed channel, one after another, in this process."""
    report.begin("Channels: what one costs a process")
    for entry in sorted(entry_points(group="coachline.channels"), key=lambda found: found.name):
        if entry.name in _CONFIGS:
            await _measure_one(report, entry.name, entry.load(), rounds=3 if quick else 20)


async def _measure_one(report: Report, name: str, kind: type[Channel], *, rounds: int) -> None:
    seconds, megabytes = await _import_cost(kind.__module__.partition(".")[0])
    report.add(f"{name}: importing it and its platform's library", "ms", seconds * 1000)
    report.add(f"{name}: memory that takes", "MB RSS", megabytes)
    channel = kind(kind.Config.model_validate(_CONFIGS[name]), None)
    requests = _recorded(name, channel)
    report.add(
        f"{name}: reading a delivery ({len(requests)} recorded ones), median",
        "µs",
        *(_reading(channel, requests) for _ in range(rounds)),
    )
    for characters in (600, 10_000):
        text = (_PARAGRAPH * (characters // len(_PARAGRAPH) + 1))[:characters]
        report.add(
            f"{name}: cutting an answer of {characters:,} characters",
            "ms",
            *(_cutting(channel, text) for _ in range(rounds)),
        )


def _recorded(name: str, channel: Channel) -> list[WebhookRequest]:
    """The channel's samples that give events, as they are delivered."""
    found = []
    for path in sorted((ROOT / "channels" / name / "samples").glob("*.json")):
        sample = json.loads(path.read_text(encoding="utf-8"))
        body = sample["body"] if isinstance(sample["body"], str) else json.dumps(sample["body"])
        stamp = {"webhook-id": path.stem, "webhook-timestamp": "1763467200"}
        request = WebhookRequest(
            url="https://coach.example/webhooks/1",
            headers={**stamp, **sample["headers"]},
            body=body.encode(),
            received_at=datetime(2026, 11, 18, 12, tzinfo=UTC),
        )
        if _events(channel, request):
            found.append(request)
    return found


def _events(channel: Channel, request: WebhookRequest) -> list[InboundEvent]:
    return list(channel.parse(request))


def _reading(channel: Channel, requests: list[WebhookRequest]) -> float:
    """The median cost of reading one of these, in microseconds."""
    costs = []
    for request in requests:
        begun = time.perf_counter()
        channel.parse(request)
        costs.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(costs)


def _cutting(channel: Channel, text: str) -> float:
    """The cost of cutting an answer, in milliseconds."""
    limits = channel.capabilities
    begun = time.perf_counter()
    if isinstance(channel, Shaping):
        channel.shape(text)
    else:
        split(text, limits.max_text, limits.text_unit)
    return (time.perf_counter() - begun) * 1000


async def _import_cost(module: str) -> tuple[float, float]:
    """Seconds and megabytes of importing ``module`` into a fresh process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _IMPORT, module),
        stdout=asyncio.subprocess.PIPE,
        env=inherited(),
    )
    out, _ = await process.communicate()
    seconds, kilobytes = out.split()
    return float(seconds), int(kilobytes) / 1024
