"""The one HTTP client for addresses that tenants chose: it reaches public hosts and no others.

A name is judged by no check before the call: it may resolve to something else a moment later (DNS
rebinding). Every socket is made here, so every address of every attempt is judged as it is
connected to, whether it came from a name, a literal, an odd spelling or a second lookup.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver

from coachline.foundation.errors import Unavailable
from coachline.foundation.settings import Network

Outgoing = aiohttp.ClientSession
"""The client that :func:`open_outgoing` makes: what channels post with."""

PUBLIC_PORTS: Final = frozenset({443, 8443})
"""The ports of public hosts that may be called; a network in ``allow`` is open on every port."""

_TOTAL_SECONDS: Final = 15.0
_MOST_JSON_BYTES: Final = 262_144
_CONNECT_SECONDS: Final = 5.0
_BEGINNING_SECONDS: Final = 1.0

# IANA has given out global unicast from 2000::/3 only, so NAT64, site-local, mapped, compatible
# and multicast forms fall outside. `is_global` covers the rest on new Pythons, not on every one.
_GLOBAL_UNICAST_V6: Final = ip_network("2000::/3")
_NEVER_PUBLIC: Final = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers; some clouds keep their metadata here
        "168.63.129.16/32",  # a public number, but a cloud's own host service
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments: Teredo, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
    )
)

# Whether the request being connected is plain HTTP: the socket factory is told only the address.
_is_plain: ContextVar[bool] = ContextVar("coachline_outgoing_is_plain", default=True)


class AddressRefused(OSError):
    """The address is not one that tenants may make us call.

    The text is the same for every address, so that aiohttp, which tries each address of a name,
    hands this error on instead of a list of them; and so that it tells nobody what it found.
    """

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "The address or port is not allowed for outgoing calls")
        self.is_address_refused = True


class UrlRefused(aiohttp.ClientError):
    """The URL is not one that may be called, or it answered with a redirect that was followed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.is_address_refused = True


class FetchFailed(Unavailable):
    """An address gave no JSON of a sensible size in time, or may not be called at all."""

    code = "fetch_failed"


class AddressGuard:
    """Judges addresses: public ones, and the networks in ``allow``."""

    def __init__(self, allow: Sequence[Network]) -> None:
        self._allow = tuple(allow)

    @property
    def allows_networks(self) -> bool:
        """Whether any network beside the public ones is allowed."""
        return bool(self._allow)

    def check(self, host: str, port: int, *, is_plain: bool) -> None:
        """Pass an IP address and port that may be connected to.

        Plain HTTP, and ports beside :data:`PUBLIC_PORTS`, only reach networks in ``allow``.

        Raises:
            AddressRefused: it may not.
        """
        address = _unwrapped(host)
        if any(address in network for network in self._allow):
            return
        if is_plain or port not in PUBLIC_PORTS or not is_public(address):
            raise AddressRefused

    def open_socket(self, address_info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for one attempt to connect, as aiohttp's ``socket_factory``.

        Raises:
            AddressRefused: the attempt is not allowed.
        """
        family, kind, protocol, _, address = address_info
        self.check(str(address[0]), int(address[1]), is_plain=_is_plain.get())
        return socket.socket(family=family, type=kind, proto=protocol)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address belongs to the public internet."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST_V6:
        return False
    return address.is_global and not any(address in network for network in _NEVER_PUBLIC)


def open_outgoing(
    allow: Sequence[Network] = (), *, resolver: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    """Open the client; the caller closes it. Needs a running event loop.

    Only ``https`` URLs without credentials are called (``http`` too, when ``allow`` names
    networks, and then only there); no redirect is followed, no proxy or ``.netrc`` is taken from
    the environment, no cookie is kept, no lookup is remembered. A call ends after 15 s, a
    connection attempt after 5 s. Callers bound how much of an answer they read.

    A call that is not allowed raises :class:`UrlRefused`, or ``aiohttp.ClientConnectorError``
    whose ``os_error`` is an :class:`AddressRefused`; both carry ``is_address_refused``.

    Args:
        allow: networks beside public ones.
        resolver: how names are looked up; the system's way when None.
    """
    guard = AddressGuard(allow)
    connector = aiohttp.TCPConnector(
        resolver=resolver or aiohttp.ThreadedResolver(),
        use_dns_cache=False,
        socket_factory=guard.open_socket,
        # Bounded by the conversations a worker runs: a pool would let one slow host stop others.
        limit=0,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=_TOTAL_SECONDS, connect=_CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "Coachline"},
        trust_env=False,
        trace_configs=[_url_rules(guard)],
    )


async def fetch_json(
    http: Outgoing,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """Read a JSON document, or send a form and read the answer to it.

    Args:
        http: made by :func:`open_outgoing`.
        url: what is called.
        form: sent as ``application/x-www-form-urlencoded`` by POST; None for a GET.
        headers: beside ``Accept``.

    Returns:
        The status and the document.

    Raises:
        FetchFailed: no answer, one above 256 KiB, none in JSON, or an address that may not be
            called. The message names no address.
    """
    method = "GET" if form is None else "POST"
    sent = {"Accept": "application/json", **(headers or {})}
    try:
        async with http.request(
            method, url, data=form, headers=sent, allow_redirects=False
        ) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                body += chunk
                if len(body) > _MOST_JSON_BYTES:
                    raise FetchFailed("The answer is too large.")
            return answer.status, json.loads(body)
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise FetchFailed("The address does not answer.") from None
    except (ValueError, RecursionError):
        raise FetchFailed("The answer is no JSON document.") from None


@dataclass(frozen=True, slots=True)
class Answered:
    """What a call was answered with: the status, the headers, and the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    beginning: bytes


class CallFailed(Exception):
    """A call got no answer.

    ``problem`` is ``refused`` (the address is not one to be called), ``timeout``, or
    ``unreachable``. It tells nothing of the address, which may hold a token of the tenant.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


async def post(
    http: Outgoing,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    most_bytes: int,
) -> Answered:
    """Post ``body``, and read at most ``most_bytes`` of the answer, for a second at most.

    Args:
        http: what :func:`open_outgoing` made.
        url: where to.
        body: what is posted.
        headers: beside those of every call; no encoding of the answer is asked for.
        seconds: how long the status may be waited for.
        most_bytes: of the answer's body that are read.

    Raises:
        CallFailed: there was no answer.
    """
    limits = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, _CONNECT_SECONDS))
    try:
        async with http.post(
            url,
            data=body,
            headers={"Accept-Encoding": "identity", **headers},
            allow_redirects=False,
            timeout=limits,
        ) as response:
            beginning = await _read_beginning(response, most_bytes)
            return Answered(response.status, dict(response.headers), beginning)
    except TimeoutError:
        raise CallFailed("timeout") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise CallFailed("refused" if _is_refused(error) else "unreachable") from None


def _is_refused(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "is_address_refused", False):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _read_beginning(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """What comes soon; the status counts whatever becomes of the rest."""
    found = bytearray()
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_BEGINNING_SECONDS):
            while len(found) < most_bytes:
                piece = await response.content.read(most_bytes - len(found))
                if not piece:
                    break
                found += piece
    return bytes(found)


def _url_rules(guard: AddressGuard) -> aiohttp.TraceConfig:
    # A trace, because it sees the URL as it was given (a middleware sees it without credentials)
    # and because no single request can leave it out.
    async def check_url(
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        _check_url(params, allows_plain=guard.allows_networks)
        _is_plain.set(params.url.scheme != "https")

    async def refuse_redirect(
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        _params: aiohttp.TraceRequestRedirectParams,
    ) -> None:
        raise UrlRefused("A redirect is not followed")

    rules = aiohttp.TraceConfig()
    rules.on_request_start.append(check_url)
    rules.on_request_redirect.append(refuse_redirect)
    return rules


def _check_url(params: aiohttp.TraceRequestStartParams, *, allows_plain: bool) -> None:
    url = params.url
    if not url.absolute or not url.host:
        raise UrlRefused("The URL is not absolute")
    if url.scheme != "https" and not (allows_plain and url.scheme == "http"):
        raise UrlRefused("The URL is not https")
    if url.user is not None or url.password is not None:
        raise UrlRefused("The URL holds credentials")


def _unwrapped(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
