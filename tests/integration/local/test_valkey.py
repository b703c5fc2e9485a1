import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from coachline.local import LocalServerError, ValkeyServer
from coachline.local import valkey as valkey_file
from fixtures.child_processes import Parent, wait_ended

START_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from coachline.local import ValkeyServer
async def main():
    server = ValkeyServer(Path(sys.argv[1], "run"))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
TENANTS = ("aurora", "borealis")


@pytest.fixture
async def valkey(place: Path) -> AsyncIterator[ValkeyServer]:
    """A running server of its own."""
    server = ValkeyServer(place / "run")
    await server.start()
    yield server
    await server.stop()


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_tenants_count_on_a_socket_that_only_the_owner_reaches(
    valkey: ValkeyServer, place: Path
) -> None:
    async with Redis.from_url(valkey.url, decode_responses=True) as client:
        for count, tenant in enumerate(TENANTS, start=1):
            await client.incrby(f"t:{tenant}:turns", count)
        found = [await client.get(f"t:{tenant}:turns") for tenant in TENANTS]
        port = await client.config_get("port")

    assert found == ["1", "2"]
    assert port == {"port": "0"}
    assert (place / "run" / "valkey.sock").stat().st_mode & 0o077 == 0


async def test_nothing_is_kept_on_disk_and_the_socket_goes_with_the_server(place: Path) -> None:
    server = ValkeyServer(place / "run")
    await server.start()
    async with Redis.from_url(server.url) as client:
        await client.set("t:aurora:kept", "no")
    await server.stop()
    left = _files(place / "run")
    await server.start()
    async with Redis.from_url(server.url) as client:
        found = await client.get("t:aurora:kept")
    await server.stop()

    assert left == ["valkey.log"]
    assert found is None
    assert server.pid is None


async def test_a_full_memory_drops_what_expires_and_keeps_the_rest(valkey: ValkeyServer) -> None:
    async with Redis.from_url(valkey.url) as client:
        await client.config_set("maxmemory", "4mb")
        await client.set("t:aurora:counter", "7")
        for number in range(400):
            await client.set(f"t:borealis:cache:{number}", b"x" * 20_000, ex=600)
        evicted = (await client.info("stats"))["evicted_keys"]
        counter = await client.get("t:aurora:counter")

    assert evicted > 0
    assert counter == b"7"


async def test_a_long_home_gets_a_short_socket_folder(place: Path) -> None:
    runtime = place / ("far-away-" * 15) / "run"
    server = ValkeyServer(runtime)
    await server.start()
    async with Redis.from_url(server.url) as client:
        assert await client.echo("here") == b"here"
    socket = Path(server.url.removeprefix("unix://"))
    await server.stop()

    assert runtime not in socket.parents
    assert not await asyncio.to_thread(socket.parent.exists)


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")
async def test_kill_9_of_the_parent_stops_the_server(
    place: Path, run_parent: Callable[..., Awaitable[Parent]]
) -> None:
    parent = await run_parent(sys.executable, "-c", START_AND_WAIT, str(place))
    [pid] = await parent.read_pids()

    await parent.kill()
    await wait_ended(pid)

    assert _files(place / "run") == ["valkey.log"]


async def test_a_server_that_ends_at_once_shows_its_words(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = place / "valkey-server"
    program.write_text("#!/bin/sh\necho 'cannot allocate memory' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(valkey_file, "find_valkey", lambda: program)

    with pytest.raises(LocalServerError, match="cannot allocate memory"):
        await ValkeyServer(place / "run").start()


async def test_no_address_before_the_start_and_no_harm_from_stopping(place: Path) -> None:
    server = ValkeyServer(place / "run")
    await server.stop()

    with pytest.raises(LocalServerError, match="was not started"):
        server.url  # noqa: B018 (reading it raises)
