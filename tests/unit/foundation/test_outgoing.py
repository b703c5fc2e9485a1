"""The outgoing client reaches public hosts over https and nothing else (SSRF)."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from unittest.mock import patch

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from coachline.foundation import outgoing
from coachline.foundation.outgoing import (
    AddressGuard,
    AddressRefused,
    UrlRefused,
    is_public,
    open_outgoing,
)
from coachline.foundation.settings import Network

ANYWHERE = "0.0.0.0"  # noqa: S104  # an address to refuse, and to listen on for a moment
HERE: Network = ip_network("127.0.0.2/32")
"""Stands in for the public network: allowed, while 127.0.0.1 is not."""


class Listener:
    """A TCP server on every loopback address that counts connections and answers HTTP."""

    def __init__(self) -> None:
        self.connections: list[str] = []
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(str(writer.get_extra_info("sockname")[0]))
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answer.replace(b"{port}", str(self.port).encode()))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()


class ScriptedResolver(AbstractResolver):
    """Answers one list of addresses after another, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return None


@pytest.fixture
async def listener(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listener]:
    found = Listener()
    plain = socket.create_server((ANYWHERE, 0))
    found.port = plain.getsockname()[1]
    # So that nothing but the address can be what is refused in a call over https.
    monkeypatch.setattr(outgoing, "PUBLIC_PORTS", frozenset({found.port}))
    sockets = [plain]
    if socket.has_ipv6:
        sockets.append(socket.create_server(("::1", found.port), family=socket.AF_INET6))
    servers = [await asyncio.start_server(found.serve, sock=sock) for sock in sockets]
    yield found
    for server in servers:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def _client(
    *answers: Sequence[str], allow: Sequence[Network] = ()
) -> AsyncIterator[aiohttp.ClientSession]:
    resolver = ScriptedResolver(*answers) if answers else None
    async with open_outgoing(allow, resolver=resolver) as session:
        yield session


def _is_refused(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "is_address_refused", False):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _get(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        return await response.text()


REFUSED_ADDRESSES = [
    ANYWHERE,
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]

PUBLIC_ADDRESSES = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "::ffff:8.8.8.8",
    "2606:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
def test_an_address_inside_is_refused_on_every_port(address: str) -> None:
    guard = AddressGuard(())
    for port in (443, 8443, 80):
        with pytest.raises(AddressRefused):
            guard.check(address, port, is_plain=False)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_reached_over_https_on_two_ports_only(address: str) -> None:
    guard = AddressGuard((HERE,))
    guard.check(address, 443, is_plain=False)
    guard.check(address, 8443, is_plain=False)
    for port in (22, 25, 80, 5432, 6379, 8080, 11434):
        with pytest.raises(AddressRefused):
            guard.check(address, port, is_plain=False)
    with pytest.raises(AddressRefused):
        guard.check(address, 443, is_plain=True)


def test_every_listed_address_is_what_it_is_listed_as() -> None:
    assert not any(is_public(ip_address(address)) for address in REFUSED_ADDRESSES)
    assert all(is_public(ip_address(a)) for a in PUBLIC_ADDRESSES if not a.startswith("::ffff"))


def test_an_allowed_network_is_open_on_every_port_and_plain() -> None:
    guard = AddressGuard((ip_network("10.1.0.0/16"), ip_network("fd00::/64")))
    guard.check("10.1.2.3", 9000, is_plain=True)
    guard.check("::ffff:10.1.2.3", 9000, is_plain=True)
    guard.check("fd00::5", 80, is_plain=True)
    for outside in ("10.2.0.1", "fd00:0:0:1::5"):
        with pytest.raises(AddressRefused):
            guard.check(outside, 443, is_plain=False)


def test_a_refusal_is_alike_for_every_address_and_marked() -> None:
    first, second = AddressRefused(), AddressRefused()
    assert str(first) == str(second)
    assert isinstance(first, OSError)
    assert first.is_address_refused


async def test_the_same_call_reaches_the_listener_when_its_network_is_allowed(
    listener: Listener,
) -> None:
    async with _client(["127.0.0.2"], allow=[HERE]) as session:
        assert await _get(session, f"http://stand-in.test:{listener.port}/") == "ok"
    assert listener.connections == ["127.0.0.2"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", ANYWHERE, "::"])
async def test_a_name_that_leads_inside_is_not_connected_to(
    listener: Listener, scheme: str, address: str
) -> None:
    async with _client([address], allow=[HERE]) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await _get(session, f"{scheme}://evil.test:{listener.port}/")
    assert isinstance(caught.value.os_error, AddressRefused)
    assert listener.connections == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
        ANYWHERE,
        "0",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.0.1.",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "①②⑦.⓪.⓪.①",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_odd_spelling_of_loopback_is_not_connected_to(
    listener: Listener, scheme: str, host: str
) -> None:
    async with _client(allow=[HERE]) as session:
        with pytest.raises((aiohttp.ClientError, ValueError)):
            await _get(session, f"{scheme}://{host}:{listener.port}/")
    assert listener.connections == []


@pytest.mark.parametrize("port", [22, 80, 6379, 65535])
async def test_another_port_of_a_public_host_is_refused_before_the_network(port: int) -> None:
    async with _client(["93.184.216.34"]) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await _get(session, f"https://public.test:{port}/")
    assert isinstance(caught.value.os_error, AddressRefused)


async def test_plain_http_does_not_reach_a_public_host_when_a_network_is_allowed() -> None:
    async with _client(["93.184.216.34"], allow=[HERE]) as session:
        for port in (80, 443):
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await _get(session, f"http://public.test:{port}/")
            assert isinstance(caught.value.os_error, AddressRefused)


async def test_a_name_that_is_rebound_between_two_calls_is_judged_again(
    listener: Listener,
) -> None:
    async with _client(["127.0.0.2"], ["127.0.0.1"], allow=[HERE]) as session:
        url = f"http://rebinding.test:{listener.port}/"
        assert await _get(session, url) == "ok"
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await _get(session, url)
    assert _is_refused(caught.value)
    assert listener.connections == ["127.0.0.2"]


async def test_of_several_addresses_only_allowed_ones_are_connected_to(listener: Listener) -> None:
    mixed = ["127.0.0.1", "::1", "127.0.0.2", "127.0.0.3"]
    async with _client(mixed, allow=[HERE]) as session:
        assert await _get(session, f"http://mixed.test:{listener.port}/") == "ok"
    assert listener.connections == ["127.0.0.2"]


async def test_several_refused_addresses_are_one_marked_refusal(listener: Listener) -> None:
    async with _client(["127.0.0.1", "::1", "10.0.0.1"]) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await _get(session, f"https://inside.test:{listener.port}/")
    assert isinstance(caught.value.os_error, AddressRefused)
    assert listener.connections == []


@pytest.mark.parametrize(
    "url",
    [
        "https://user@stand-in.test:{port}/",
        "https://user:secret@stand-in.test:{port}/",
        "https://:secret@stand-in.test:{port}/",
        "http://good.test@stand-in.test:{port}/",
        "http://good.test:443@127.0.0.2:{port}/",
        "http://good.test%40stand-in.test@127.0.0.2:{port}/",
        "/relative",
        "relative",
        "//stand-in.test:{port}/",
        "?query",
        "",
        "https://",
        "https:///path",
        "ftp://stand-in.test:{port}/",
        "file:///etc/hostname",
        "gopher://stand-in.test:{port}/",
        "ws://stand-in.test:{port}/",
        "unix:///run/socket",
    ],
)
async def test_a_url_of_another_form_is_refused_before_any_lookup(
    listener: Listener, url: str
) -> None:
    resolver = ScriptedResolver(["127.0.0.2"])
    async with open_outgoing([HERE], resolver=resolver) as session:
        with pytest.raises((aiohttp.ClientError, ValueError)) as caught:
            await _get(session, url.replace("{port}", str(listener.port)))
    assert "secret" not in str(caught.value)
    assert (resolver.asked, listener.connections) == (0, [])


async def test_http_is_refused_when_no_network_is_allowed(listener: Listener) -> None:
    resolver = ScriptedResolver(["127.0.0.2"])
    async with open_outgoing(resolver=resolver) as session:
        with pytest.raises(UrlRefused) as caught:
            await _get(session, f"http://stand-in.test:{listener.port}/")
    assert _is_refused(caught.value)
    assert (resolver.asked, listener.connections) == (0, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/", "http://stand-in.test:{port}/next", "/next", "//a.test/"]
)
async def test_a_redirect_is_not_followed_even_when_asked_to(
    listener: Listener, status: int, target: str
) -> None:
    listener.answer = (
        f"HTTP/1.1 {status} Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    async with _client(["127.0.0.2"], allow=[HERE]) as session:
        url = f"http://stand-in.test:{listener.port}/"
        with pytest.raises(UrlRefused):
            await session.post(url, allow_redirects=True, max_redirects=5)
        async with session.post(url, allow_redirects=False) as response:
            assert response.status == status
    assert listener.connections == ["127.0.0.2"] * 2


async def test_the_rules_hold_for_a_call_that_brings_its_own_middlewares(
    listener: Listener,
) -> None:
    async with _client(["127.0.0.1"], allow=[HERE]) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://evil.test:{listener.port}/", middlewares=())
        with pytest.raises(UrlRefused):
            await session.get(f"http://a@evil.test:{listener.port}/", middlewares=())
    assert listener.connections == []


async def test_concurrent_calls_of_both_schemes_do_not_mix(listener: Listener) -> None:
    async with _client(["93.184.216.34"], allow=[HERE]) as session:
        calls = [_get(session, f"{scheme}://a.test:444/") for scheme in ("http", "https") * 10]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientConnectorError) for result in results)
    assert listener.connections == []


async def test_proxies_of_the_environment_are_ignored(listener: Listener) -> None:
    proxy = f"http://127.0.0.2:{listener.port}"
    environment = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy}
    with patch.dict(os.environ, environment):
        async with _client(["127.0.0.1"], allow=[HERE]) as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await _get(session, "https://evil.test/")
    assert listener.connections == []


async def test_cookies_are_not_kept_and_the_software_is_not_detailed(listener: Listener) -> None:
    listener.answer = listener.answer.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n", 1)
    async with _client(["127.0.0.2"], allow=[HERE]) as session:
        url = f"http://stand-in.test:{listener.port}/"
        for _ in range(2):
            async with session.get(url) as response:
                assert response.request_info.headers.get("Cookie") is None
                assert response.request_info.headers["User-Agent"] == "Coachline"
    assert len(listener.connections) == 2


async def test_a_name_is_looked_up_for_every_connection(listener: Listener) -> None:
    resolver = ScriptedResolver(["127.0.0.2"])
    async with open_outgoing([HERE], resolver=resolver) as session:
        for _ in range(3):
            await _get(session, f"http://stand-in.test:{listener.port}/")
    assert resolver.asked == 3


async def test_every_call_ends() -> None:
    async with _client() as session:
        assert session.timeout.total == 15
        assert session.timeout.connect == 5
