"""A gateway of which two processes have a clock that is wrong by minutes (libfaketime)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from channel_kit.signing import parse_secret, sign
from fixtures.gateway import Connected, Gateway
from fixtures.waiting import until
from lab.callback_receiver import CallbackReceiver

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
"""Where Debian's libfaketime is, or None. Whole processes are skewed with it, never made to jump:
it then also moves what never jumps on a real machine, and breaks waiting for a time."""

_SECONDS = 90.0
_SENDERS = ("ann", "bob", "cid")
# So long that no busy machine ends one, and much shorter than the clocks are wrong.
_LEASE: Mapping[str, str] = {"COACHLINE_LEASE_SECONDS": "60"}


@dataclass(frozen=True, slots=True)
class WrongClockFigures:
    """What a gateway did while the clocks of two of its processes were wrong."""

    messages: int
    answered: int
    repeated: int
    lost_leases: int
    fresh_refused: int
    stale_accepted: int
    refused_replies: int


def with_clock(offset: str) -> Mapping[str, str]:
    """The environment of a process whose clock is this far from the true one, e.g. ``-10m``."""
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME": offset, **_LEASE}


async def live_with_wrong_clocks(
    gateway: Gateway, receiver: CallbackReceiver, *, rounds: int
) -> WrongClockFigures:
    """Talk to a gateway whose web process is ten minutes ahead, and one worker ten behind.

    The second worker's clock is right: each sees the leases and times that the others wrote. In
    each round three people write, and somebody repeats a delivery that is ten minutes old.
    """
    web = await gateway.serve(**with_clock("+10m"))
    workers = [await gateway.work(**with_clock("-10m")), await gateway.work(**_LEASE)]
    to = await gateway.connect("clocked", receiver)
    fresh_refused = stale_accepted = 0
    sent: list[str] = []
    for number in range(rounds):
        for sender in _SENDERS:
            message_id = f"{number}-{sender}"
            status, _ = await gateway.post(to, message_id, f"Hello {message_id}", sender=sender)
            fresh_refused += status != 200
            sent.append(message_id)
        stale_accepted += await _post_stale(gateway, to, f"{number}-stale") == 200
        await until(lambda: len(set(_answered(receiver, to))) >= len(sent), seconds=_SECONDS)
    logs = "".join(process.log.read_text(errors="replace") for process in (web, *workers))
    # The database may hold conversations that killed workers of other gateways left behind.
    mine = [line for line in logs.splitlines() if to.tenant_id in line]
    answers = _answered(receiver, to)
    return WrongClockFigures(
        messages=len(sent),
        answered=len(set(answers)),
        repeated=len(answers) - len(set(answers)),
        lost_leases=sum("lease.taken_over" in line or "lease.lost" in line for line in mine),
        fresh_refused=fresh_refused,
        stale_accepted=stale_accepted,
        refused_replies=len(receiver.refused),
    )


def _answered(receiver: CallbackReceiver, to: Connected) -> list[str]:
    mine = [reply.body for reply in receiver.accepted if reply.path == to.path]
    return [event for body in mine for event in body["in_reply_to"]]


async def _post_stale(gateway: Gateway, to: Connected, message_id: str) -> int:
    body = b'{"type": "message", "id": "x", "sender": {"id": "eve"}, "text": "again"}'
    headers = sign(
        [parse_secret(to.secret)],
        message_id=message_id,
        timestamp=datetime.now(UTC) - timedelta(minutes=10),
        body=body,
    )
    async with gateway.http.post(to.inbound_url, data=body, headers=headers) as answer:
        return answer.status
