"""The fault proxy does each thing it is told to, also to connections that are already there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.fault_proxy import FaultProxy, Mode

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """A proxy in front of a server that sends back what it gets."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    async with FaultProxy((host, port)) as found:
        yield found
    server.close()
    await server.wait_closed()


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[Connection]:
    """A living connection through the proxy."""
    reader, writer = await asyncio.open_connection(*proxy.address)
    assert await _ask(reader, writer, b"hello") == b"hello"
    yield reader, writer
    writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    writer.write(data)
    await writer.drain()
    return await asyncio.wait_for(reader.readexactly(len(data)), 5)


async def _ask_anew(proxy: FaultProxy, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*proxy.address)
    try:
        return await _ask(reader, writer, data)
    finally:
        writer.close()


async def test_pass_carries_much_data_unchanged(client: Connection) -> None:
    reader, writer = client
    data = bytes(range(256)) * 8_192
    answers = asyncio.create_task(reader.readexactly(len(data)))
    writer.write(data)
    await writer.drain()
    assert await asyncio.wait_for(answers, 10) == data


async def test_pass_carries_the_end(client: Connection) -> None:
    reader, writer = client
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_delay_holds_each_piece_back(proxy: FaultProxy, client: Connection) -> None:
    await proxy.switch(Mode.DELAY, seconds=0.1)
    began = time.monotonic()
    assert await _ask(*client, b"late") == b"late"
    assert time.monotonic() - began >= 0.2  # there and back


async def test_a_black_hole_accepts_and_never_answers(proxy: FaultProxy) -> None:
    await proxy.switch(Mode.BLACK_HOLE)
    reader, writer = await asyncio.open_connection(*proxy.address)
    writer.write(b"anyone?")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    await proxy.switch(Mode.PASS)
    assert await asyncio.wait_for(reader.readexactly(7), 5) == b"anyone?"
    writer.close()


async def test_a_living_connection_falls_into_the_black_hole_too(
    proxy: FaultProxy, client: Connection
) -> None:
    reader, writer = client
    await proxy.switch(Mode.BLACK_HOLE)
    writer.write(b"lost?")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    await proxy.switch(Mode.PASS)
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"lost?"


async def test_reset_breaks_living_connections_and_new_ones(
    proxy: FaultProxy, client: Connection
) -> None:
    await proxy.switch(Mode.RESET)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client[0].read(1), 5)
    with pytest.raises(ConnectionResetError):
        await _ask_anew(proxy, b"x")


@pytest.mark.parametrize("after_bytes", [0, 1, 7])
async def test_cut_lets_that_many_bytes_of_the_answer_through(
    proxy: FaultProxy, after_bytes: int
) -> None:
    await proxy.switch(Mode.CUT, after_bytes=after_bytes)
    reader, writer = await asyncio.open_connection(*proxy.address)
    writer.write(b"0123456789")
    got = await asyncio.wait_for(reader.readexactly(after_bytes), 5)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.readexactly(1), 5)
    assert got == b"0123456789"[:after_bytes]
    writer.close()


async def test_drip_comes_byte_by_byte_and_switching_back_releases_the_rest(
    proxy: FaultProxy, client: Connection
) -> None:
    reader, writer = client
    await proxy.switch(Mode.DRIP, seconds=0.02)
    began = time.monotonic()
    writer.write(b"0123456789" * 100)
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"01234"
    assert time.monotonic() - began >= 0.08
    await proxy.switch(Mode.PASS)
    rest = await asyncio.wait_for(reader.readexactly(995), 5)
    assert b"01234" + rest == b"0123456789" * 100


async def test_refuse_leaves_nobody_listening_and_the_address_comes_back(
    proxy: FaultProxy, client: Connection
) -> None:
    address = proxy.address
    await proxy.switch(Mode.REFUSE)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client[0].read(1), 5)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
    await proxy.switch(Mode.PASS)
    assert proxy.address == address
    reader, writer = await asyncio.open_connection(*address)
    assert await _ask(reader, writer, b"back") == b"back"
    writer.close()


async def test_a_target_that_is_gone_resets_the_client(proxy: FaultProxy) -> None:
    async with FaultProxy(("127.0.0.1", 1)) as lonely:
        reader, writer = await asyncio.open_connection(*lonely.address)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
    assert lonely.connections == 1
    assert proxy.connections == 0


async def test_unix_sockets_are_carried_and_broken_the_same_way(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(_echo, tmp_path / "far")
    async with FaultProxy(tmp_path / "far", listen=tmp_path / "near") as proxy:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "near")
        assert await _ask(reader, writer, b"hello") == b"hello"
        await proxy.switch(Mode.RESET)
        assert await asyncio.wait_for(reader.read(1), 5) == b""
        writer.close()
    server.close()
    await server.wait_closed()
    assert not (tmp_path / "near").exists()


async def test_leaving_ends_every_connection(proxy: FaultProxy) -> None:
    async with FaultProxy(proxy.address) as outer:
        reader, writer = await asyncio.open_connection(*outer.address)
        assert await _ask(reader, writer, b"hello") == b"hello"
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(1), 5)
    writer.close()
