"""Twilio's webhooks: signed, and tried again as the address itself asks for."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urldefrag, urlencode

import aiohttp

from coachline_lab.twilio.records import Account, Delivery

_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400


def sign(account: Account, url: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that prove a form posted to ``url`` (without its fragment)."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    if account.shared_key is None:
        digest = hmac.new(account.token.encode(), signed.encode(), hashlib.sha1).digest()
        return {"X-Twilio-Signature": base64.b64encode(digest).decode()}
    key, secret = account.shared_key
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return {
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
        "X-Twilio-Webhooks-Signature-Settings": f"key={key},algorithm=HMAC_SHA256",
    }


class _Overrides:
    """The connection overrides in an address's fragment, with Twilio's defaults.

    Once more, and only when no connection came about, unless the fragment says otherwise:
    ``rc`` (0 to 5), ``rp`` (``4xx``, ``5xx``, ``ct``, ``rt``, ``all``), ``ct`` and ``rt`` in
    milliseconds.
    """

    def __init__(self, fragment: str) -> None:
        given = {name: values[0] for name, values in parse_qs(fragment).items()}
        self.retries = min(int(given.get("rc", "1")), 5)
        self._policy = set(given.get("rp", "ct").split(","))
        connect, total = int(given.get("ct", "5000")) / 1000, int(given.get("rt", "15000")) / 1000
        self.limits = aiohttp.ClientTimeout(total=min(total, 15.0), connect=connect)

    def wants_again(self, status: int | None, *, was_connected: bool) -> bool:
        """Tell whether an attempt that ended like this is repeated."""
        if status is None:
            kind = "rt" if was_connected else "ct"
        elif status >= _SERVER_ERROR:
            kind = "5xx"
        elif status >= _CLIENT_ERROR:
            kind = "4xx"
        else:
            return False
        return bool(self._policy & {kind, "all"})


class Webhooks:
    """Posts to the addresses that accounts gave."""

    def __init__(self, http: aiohttp.ClientSession, pause_seconds: float) -> None:
        self._http = http
        self._pause_seconds = pause_seconds

    async def deliver(
        self,
        account: Account,
        address: str,
        sid: str,
        fields: Mapping[str, str],
        *,
        is_lost: bool = False,
    ) -> Delivery:
        """Post a form until it is taken or the overrides say that it is enough.

        Args:
            is_lost: the first attempt finds no connection.
        """
        url, fragment = urldefrag(address)
        overrides = _Overrides(fragment)
        token = str(uuid.uuid4())
        statuses: list[int | None] = [None] if is_lost else []
        answer = ""
        for _ in range(1 + overrides.retries - len(statuses)):
            if statuses:
                await asyncio.sleep(self._pause_seconds)
            was_connected = True
            try:
                answer, status = await self._post(account, url, fields, token, overrides.limits)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                status, answer = None, ""
                was_connected = not isinstance(error, aiohttp.ClientConnectorError)
            statuses.append(status)
            if not overrides.wants_again(status, was_connected=was_connected):
                break
        return Delivery(sid, url, fields, tuple(statuses), answer)

    async def _post(
        self,
        account: Account,
        url: str,
        fields: Mapping[str, str],
        token: str,
        limits: aiohttp.ClientTimeout,
    ) -> tuple[str, int]:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "I-Twilio-Idempotency-Token": token,
            "User-Agent": "TwilioProxy/1.1",
            **sign(account, url, fields),
        }
        async with self._http.post(
            url, data=urlencode(fields), headers=headers, allow_redirects=False, timeout=limits
        ) as response:
            return await response.text(), response.status
