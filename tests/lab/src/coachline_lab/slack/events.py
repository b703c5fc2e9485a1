"""How events get to an app: signed posts with Slack's three retries, or a socket."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from coachline_lab.delivery import Delivered, InboundFaults, Outbound
from coachline_lab.slack.sockets import Sockets
from coachline_lab.slack.world import App, Installation

RETRY_SECONDS: Final = (0.0, 60.0, 300.0)
"""After the first failure, the second and the third."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver an event. ``at`` is the loop's clock; ``status`` 0: no answer."""

    account: str
    event_id: str
    number: int
    status: int
    at: float


class Events:
    """Delivers everything that an app is told.

    Args:
        time_scale: what the waits between attempts are multiplied with.
    """

    def __init__(self, outbound: Outbound, sockets: Sockets, time_scale: float) -> None:
        self.faults = InboundFaults()
        self.attempts: list[Attempt] = []
        self.time_scale = time_scale
        self._outbound = outbound
        self._sockets = sockets
        self._recent: deque[tuple[App, str, dict[str, Any]]] = deque(maxlen=1000)

    def emit(self, installation: Installation, event: dict[str, Any]) -> str | None:
        """Tell an app; return the event's id, or None where it is not subscribed."""
        app = installation.app
        if event["type"] not in app.events:
            return None
        envelope = envelope_of(installation, event)
        self._recent.append((app, installation.account, envelope))
        self._outbound.spawn(self._deliver(app, installation.account, envelope))
        if self.faults.is_doubled():
            self._outbound.spawn(self._deliver(app, installation.account, envelope))
        number: str = envelope["event_id"]
        return number

    def redeliver(self, count: int) -> None:
        """Deliver the last ``count`` events of all apps once more, as they were, signed anew."""
        for app, account, envelope in list(self._recent)[-count:]:
            self._outbound.spawn(self._deliver(app, account, envelope))

    def redeliver_event(self, event_id: str) -> None:
        """Deliver one of the last events once more, as it was, with all its retries."""
        for app, account, envelope in reversed(self._recent):
            if envelope["event_id"] == event_id:
                self._outbound.spawn(self._deliver(app, account, envelope))
                return

    async def verify_url(self, app: App, url: str) -> bool:
        """Send the challenge that Slack sends when an address is entered; True if it came back."""
        challenge = secrets.token_urlsafe(32)
        body = {"token": app.verification_token, "challenge": challenge, "type": "url_verification"}
        answer = await self.post(app, url, json.dumps(body).encode(), "application/json")
        return answer.is_taken and challenge.encode() in answer.body

    async def interact(self, app: App, kind: str, payload: dict[str, Any]) -> Delivered:
        """Send an interaction or a slash command, once; return what the app said."""
        if app.uses_socket:
            said = await self._sockets.send(app, kind, payload)
            body = b"" if said is None else json.dumps(said.get("payload", "")).encode()
            return Delivered(200 if said is not None else 0, body=body)
        form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
        body = urlencode(form).encode()
        return await self.post(app, app.request_url, body, "application/x-www-form-urlencoded")

    async def post(
        self,
        app: App,
        url: str,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> Delivered:
        """Post once, signed with the app's secret."""
        signed = signature_headers(app.signing_secret, body)
        return await self._outbound.post(
            url, body, {"Content-Type": content_type, **signed, **(headers or {})}
        )

    async def _deliver(self, app: App, account: str, envelope: dict[str, Any]) -> None:
        held = self.faults.held_seconds()
        if held:
            await asyncio.sleep(held)
        reason = ""
        for number in range(len(RETRY_SECONDS) + 1):
            if number:
                await asyncio.sleep(RETRY_SECONDS[number - 1] * self.time_scale)
            answer = await self._attempt(app, envelope, number, reason)
            at = asyncio.get_running_loop().time()
            event_id = envelope["event_id"]
            self.attempts.append(Attempt(account, event_id, number + 1, answer.status, at))
            if answer.is_taken or _ends_retries(answer):
                return
            reason = _reason(answer)

    async def _attempt(
        self, app: App, envelope: dict[str, Any], number: int, reason: str
    ) -> Delivered:
        if number == 0 and self.faults.is_lost():
            return Delivered(0, problem="ClientConnectionError")
        if app.uses_socket:
            said = await self._sockets.send(
                app, "events_api", envelope, retry_attempt=number, retry_reason=reason
            )
            return Delivered(200) if said is not None else Delivered(0, problem="timeout")
        if not app.request_url:
            return Delivered(0, problem="ClientConnectionError")
        headers = {}
        if number:
            headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason}
        body = json.dumps(envelope, separators=(",", ":")).encode()
        return await self.post(app, app.request_url, body, "application/json", headers)


def envelope_of(installation: Installation, event: dict[str, Any]) -> dict[str, Any]:
    """The outer event around an inner one."""
    team, app = installation.team.id, installation.app
    context = f"4-{secrets.token_urlsafe(24)}"
    return {
        "token": app.verification_token,
        "team_id": team,
        "context_team_id": team,
        "context_enterprise_id": None,
        "api_app_id": app.id,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev0{secrets.token_hex(5).upper()}",
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": team,
                "user_id": installation.bot.id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": context,
    }


def signature_headers(secret: str, body: bytes, *, at: int | None = None) -> dict[str, str]:
    """Slack's signature over raw bytes, version 0. ``at`` is Unix time; now without one."""
    stamp = str(int(time.time()) if at is None else at)
    signed = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256)
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={signed.hexdigest()}",
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
    }


def _ends_retries(answer: Delivered) -> bool:
    told = {name.casefold(): value for name, value in answer.headers.items()}
    return answer.status != 0 and told.get("x-slack-no-retry") == "1"


def _reason(answer: Delivered) -> str:
    if answer.status:
        return "http_error"
    return "http_timeout" if answer.problem == "timeout" else "connection_failed"
