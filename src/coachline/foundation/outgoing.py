"""The one HTTP client for addresses that tenants chose: it reaches public hosts and no others.

A name is judged by no check before the call: it may resolve to something else a moment later (DNS
rebinding). Every socket is made here, so every address of every attempt is judged as it is
connected to, whether it came from a name, a literal, an odd spelling or a second lookup.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import SimpleNamespace
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver

from coachline.foundation.settings import Network

Outgoing = aiohttp.ClientSession
"""The client that :func:`open_outgoing` makes: what channels post with."""

PUBLIC_PORTS: Final = frozenset({443, 8443})
"""The ports of public hosts that may be called; a network in ``allow`` is open on every port."""

_TOTAL_SECONDS: Final = 15.0
_CONNECT_SECONDS: Final = 5.0

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
