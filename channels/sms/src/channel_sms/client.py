"""Twilio's own library over the gateway's HTTP session.

The library's asynchronous client ignores its time-out, keeps the last request and answer, and
opens a session of its own; this one does none of that.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import aiohttp
from twilio.http import AsyncHttpClient  # type: ignore[import-untyped]  # it has no types
from twilio.http.response import Response  # type: ignore[import-untyped]  # it has no types
from twilio.rest import Client  # type: ignore[import-untyped]  # it has no types

from channel_kit import OutcomeUnknown
from channel_kit.answers import read_at_most
from channel_sms.config import SmsConfig
from channel_sms.problems import Refused, classify

# Connecting has its own, shorter limit: running into it proves that nothing was sent.
LIMITS: Final = aiohttp.ClientTimeout(total=15, connect=5)
_MOST_BYTES: Final = 4 * 1024 * 1024
_TWILIO: Final = ".twilio.com"
_OK: Final = range(200, 300)


class TwilioHttp(AsyncHttpClient):  # type: ignore[misc]  # it has no types
    """Makes the library's requests. Nothing is retried, redirected, kept or logged."""

    def __init__(self, http: aiohttp.ClientSession, api_url: str) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self._http = http
        self._api = urlsplit(api_url)

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        allow_redirects: bool = False,
    ) -> Response:
        """Return a successful answer that holds JSON.

        Raises:
            Refused: for any other answer.
            ChannelError: there was none.
        """
        query = urlencode(params or {}, doseq=True)
        given = {**(headers or {}), "Accept-Encoding": "identity"}
        if auth is not None:
            given["Authorization"] = basic_auth(*auth)
        try:
            async with self._http.request(
                method,
                self._address(uri, query),
                data=urlencode(data, doseq=True).encode() if data else None,
                headers=given,
                allow_redirects=False,
                timeout=LIMITS,
            ) as response:
                body = await read_at_most(response, _MOST_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Without the cause: its text holds the address, and what it came from the account.
            raise classify(error) from None
        if response.status not in _OK:
            wait = response.headers.get("Retry-After")
            raise Refused(response.status, _error_code(body), wait)
        if body is None or _json(body) is None:
            raise OutcomeUnknown("Twilio's answer cannot be read")
        return Response(response.status, body.decode("utf-8", "replace"), dict(response.headers))

    def _address(self, uri: str, query: str) -> str:
        """Return where a product of Twilio's is, seen from the configured address of its API.

        ``messaging.twilio.com`` is ``messaging.dublin.ie1.twilio.com`` beside
        ``api.dublin.ie1.twilio.com``, and ``{api_url}/messaging`` where it is not Twilio's.
        """
        asked = urlsplit(uri)
        product = asked.netloc.partition(".")[0]
        path, host = asked.path, self._api.netloc
        if host.startswith("api.") and host.endswith(_TWILIO):
            host = host.replace("api.", f"{product}.", 1)
        else:
            path = path if product == "api" else f"/{product}{path}"
            path = self._api.path.rstrip("/") + path
        joined = "&".join(filter(None, (asked.query, query)))
        return urlunsplit((self._api.scheme, host, path, joined, ""))


def open_client(config: SmsConfig, http: aiohttp.ClientSession) -> Any:
    """Return the library's client for one account. Makes no request."""
    return Client(
        config.account_sid,
        config.auth_token.get_secret_value(),
        http_client=TwilioHttp(http, str(config.api_url)),
        # Not empty, or the library looks into the environment of the process.
        environment={"TWILIO_EDGE": ""},
    )


def basic_auth(user: str, password: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _error_code(body: bytes | None) -> int | None:
    code = (_json(body or b"") or {}).get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) else None
