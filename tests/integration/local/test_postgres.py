import fcntl
import os
import signal
import socket
import stat
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

import asyncpg
import pytest

from coachline.local import LocalServerError, PostgresServer, ensure_database
from coachline.local import postgres as postgres_file
from coachline.local.binaries import find_postgres
from coachline.local.process import LAUNCHER
from fixtures.child_processes import Parent, wait_ended

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
ROLES = {"coachline_owner": "owner's pw", "coachline_app": "app pw"}
TENANTS = ("aurora", "borealis")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another way to start")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")

START_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from coachline.local import PostgresServer
async def main():
    server = PostgresServer(Path(sys.argv[1], "postgres"), runtime=Path(sys.argv[1], "run"))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def _ask(url: str, question: str, *values: object) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question, *values)
    finally:
        await connection.close()


async def _run(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


def _read(path: Path) -> str:
    return path.read_text()


def _exists(path: Path) -> bool:
    return path.exists()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_data_is_kept_over_a_restart(place: Path) -> None:
    server = PostgresServer(place / "postgres", runtime=place / "run")
    await server.start()
    await _run(server.admin_url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    await server.stop()
    assert server.pid is None

    again = PostgresServer(place / "postgres", runtime=place / "run")
    await again.start()
    answer = await _ask(again.admin_url(), "SELECT answer FROM kept")
    await again.stop()

    assert answer == 42
    assert _names(place / "run") == []


@pytest.mark.parametrize("database", ["coachline", "named 'oddly' & \"so\""])
async def test_a_password_is_needed_and_enough(postgres: PostgresServer, database: str) -> None:
    await ensure_database(postgres, database=database, roles=ROLES)
    await ensure_database(postgres, database=database, roles=ROLES)

    for role, password in ROLES.items():
        found = await _ask(postgres.url(role, password, database), "SELECT current_user")
        assert found == role
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _ask(postgres.url(role, "guessed", database), "SELECT 1")


async def test_a_changed_password_is_taken_over(postgres: PostgresServer) -> None:
    await ensure_database(postgres, database="coachline", roles=ROLES)
    await ensure_database(
        postgres, database="coachline", roles={**ROLES, "coachline_app": "rotated"}
    )

    assert await _ask(postgres.url("coachline_app", "rotated", "coachline"), "SELECT 1") == 1


async def test_an_ordinary_role_cannot_get_around_row_level_security(
    postgres: PostgresServer,
) -> None:
    await ensure_database(postgres, database="coachline", roles=ROLES)
    owner = postgres.url("coachline_owner", ROLES["coachline_owner"], "coachline")
    app = postgres.url("coachline_app", ROLES["coachline_app"], "coachline")
    await _run(
        owner,
        "CREATE TABLE note (tenant text, body text);"
        "ALTER TABLE note ENABLE ROW LEVEL SECURITY;"
        "INSERT INTO note VALUES ('aurora', 'a'), ('borealis', 'b');"
        "ALTER TABLE note FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON note USING (tenant = current_setting('app.tenant', true));"
        "GRANT SELECT, INSERT ON note TO coachline_app",
    )
    seen = {}
    for tenant in TENANTS:
        connection = await asyncpg.connect(app, server_settings={"app.tenant": tenant})
        seen[tenant] = [row["tenant"] for row in await connection.fetch("SELECT * FROM note")]
        await connection.close()

    assert seen == {tenant: [tenant] for tenant in TENANTS}
    assert await _ask(owner, "SELECT count(*) FROM note") == 0
    for forbidden in (
        "ALTER ROLE coachline_app BYPASSRLS",
        "ALTER TABLE note DISABLE ROW LEVEL SECURITY",
        "SET ROLE coachline_owner",
        "CREATE ROLE another",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await _run(app, forbidden)


async def test_all_of_unicode_is_folded_and_searched(postgres: PostgresServer) -> None:
    url = postgres.admin_url()

    assert await _ask(url, "SELECT lower('ÅÉÖŁ')") == "åéöł"
    assert await _ask(url, "SELECT to_tsvector('simple', 'Übung') @@ 'übung'::tsquery") is True


async def test_no_port_is_open_unless_one_is_asked_for(
    place: Path, fast: Mapping[str, str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    closed = PostgresServer(place / "postgres", runtime=place / "run", settings=fast)
    await closed.start()
    listening = await _ask(closed.admin_url(), "SHOW listen_addresses")
    await closed.stop()
    opened = PostgresServer(place / "postgres", runtime=place / "run", settings=fast, tcp_port=port)
    await opened.start()
    by_socket = await _ask(opened.admin_url(), "SELECT inet_server_addr()")
    password = opened.admin_url().partition(":")[2].partition(":")[2].partition("@")[0]
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=port,
        user=postgres_file.ADMIN,
        password=password,
        database="postgres",
    )
    await connection.close()
    await opened.stop()

    assert listening == ""
    assert by_socket is None


async def test_no_permission_above_the_data_changes(place: Path, fast: Mapping[str, str]) -> None:
    data = place / "private" / "home" / "postgres"
    data.parent.mkdir(parents=True)
    (place / "private").chmod(0o700)
    programs = Path(postgres_file.__file__)
    watched = [*data.parents, *programs.parents, *find_postgres().parents]
    before = {path: path.stat() for path in watched}

    server = PostgresServer(data, runtime=place / "private" / "run", settings=fast)
    await server.start()
    await server.stop()

    for path, was in before.items():
        now = path.stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid), path
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / postgres_file.PASSWORD_FILE).stat().st_mode) == 0o600


@as_root
@on_linux
async def test_root_can_change_between_a_namespace_and_another_account(
    place: Path, fast: Mapping[str, str]
) -> None:
    answers = []
    ways: list[Literal["any", "account"]] = ["any", "account"] * 2
    for way in ways:
        server = PostgresServer(
            place / "postgres",
            runtime=place / "run",
            settings=fast,
            way=way,
        )
        await server.start()
        answers.append(
            await _ask(
                server.admin_url(),
                "SELECT set_config('application_name', $1, false)",
                way,
            )
        )
        await server.stop()

    assert answers == ways


@on_linux
async def test_kill_9_of_the_parent_shuts_the_server_down_cleanly(
    place: Path,
    run_parent: Callable[..., Awaitable[Parent]],
) -> None:
    parent = await run_parent(sys.executable, "-c", START_AND_WAIT, str(place))
    [pid] = await parent.read_pids()

    await parent.kill()
    await wait_ended(pid)

    assert not (place / "postgres" / "postmaster.pid").exists()
    assert "database system is shut down" in _read(place / "postgres.log")


@as_root
@on_linux
async def test_an_account_that_is_not_root_starts_it_directly(
    place: Path,
    run_parent: Callable[..., Awaitable[Parent]],
) -> None:
    # The launcher gives this script what an ordinary account has: an effective id that is not 0.
    launch = [sys.executable, str(LAUNCHER), "--death-signal", "15", "--starter", str(os.getpid())]
    shim = [*launch, "--unprivileged", str(place), "--"]
    parent = await run_parent(*shim, sys.executable, "-c", START_AND_WAIT, str(place))

    [pid] = await parent.read_pids()
    same_space = os.readlink(f"/proc/{pid}/ns/user")  # noqa: PTH115 (not a path)
    await parent.kill()
    await wait_ended(pid)

    assert same_space != os.readlink("/proc/self/ns/user")  # noqa: PTH115 (not a path)


async def test_a_server_that_was_killed_starts_again(
    place: Path,
) -> None:
    server = PostgresServer(place / "postgres", runtime=place / "run")
    await server.start()
    await _run(server.admin_url(), "CREATE TABLE kept AS SELECT 1 AS one")
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await wait_ended(pid)
    assert (place / "postgres" / "postmaster.pid").exists()

    await server.start()

    assert server.pid not in (None, pid)
    assert await _ask(server.admin_url(), "SELECT one FROM kept") == 1
    await server.stop()


async def test_a_pid_file_that_names_a_stranger_does_not_stop_the_start(
    place: Path, fast: Mapping[str, str]
) -> None:
    server = PostgresServer(place / "postgres", runtime=place / "run", settings=fast)
    await server.start()
    await server.stop()
    stale = f"{os.getppid()}\n{place / 'postgres'}\n1700000000\n5432\n{place / 'run'}\n\n0 0\n"
    (place / "postgres" / "postmaster.pid").write_text(stale)

    await server.start()

    assert await _ask(server.admin_url(), "SELECT 1") == 1
    await server.stop()


async def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(
    place: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, fast: Mapping[str, str]
) -> None:
    monkeypatch.setattr(postgres_file, "PREDECESSOR_SECONDS", 0.2)
    second = PostgresServer(place / "home" / "postgres", runtime=place / "run2", settings=fast)

    with pytest.raises(LocalServerError, match=f"process {postgres.pid}"):
        await second.start()

    assert await _ask(postgres.admin_url(), "SELECT 1") == 1


async def test_a_long_home_gets_a_short_socket_folder(place: Path, fast: Mapping[str, str]) -> None:
    home = place / ("far-away-" * 15)
    server = PostgresServer(home / "postgres", runtime=home / "run", settings=fast)
    await server.start()
    folder = Path(server.url("a", "b", "c").partition("host=")[2])

    assert await _ask(server.admin_url(), "SELECT 1") == 1
    assert home not in folder.parents
    await server.stop()
    assert not _exists(folder)


async def test_what_initdb_says_is_shown_and_nothing_half_made_is_left(
    place: Path,
) -> None:
    programs = place / "bin"
    programs.mkdir()
    for name, script in {
        "postgres": "echo 'postgres (PostgreSQL) 18.6'",
        "initdb": "echo 'initdb: error: could not write: No space left on device' >&2; exit 1",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    server = PostgresServer(place / "postgres", runtime=place / "run", binaries=programs)

    with pytest.raises(LocalServerError, match="No space left on device"):
        await server.start()

    assert _names(place) == ["bin", "postgres.log", "run"]


async def test_a_wrong_setting_is_reported_with_the_servers_words(
    place: Path, fast: Mapping[str, str]
) -> None:
    server = PostgresServer(
        place / "postgres", runtime=place / "run", settings={**fast, "shared_buffers": "many"}
    )

    with pytest.raises(LocalServerError, match="shared_buffers"):
        await server.start()
    assert server.pid is None


async def test_something_else_in_place_of_the_data_is_left_alone(
    place: Path, fast: Mapping[str, str]
) -> None:
    (place / "postgres").mkdir()
    (place / "postgres" / "thesis.txt").write_text("mine")
    server = PostgresServer(place / "postgres", runtime=place / "run", settings=fast)

    with pytest.raises(LocalServerError, match="is in the way"):
        await server.start()

    assert (place / "postgres" / "thesis.txt").read_text() == "mine"


async def test_programs_of_another_version_are_refused_with_advice(place: Path) -> None:
    (place / "postgres").mkdir()
    (place / "postgres" / "PG_VERSION").write_text("14\n")
    server = PostgresServer(place / "postgres", runtime=place / "run")

    with pytest.raises(LocalServerError, match="made by PostgreSQL 14"):
        await server.start()


async def test_a_lost_admin_password_is_explained(place: Path, fast: Mapping[str, str]) -> None:
    server = PostgresServer(place / "postgres", runtime=place / "run", settings=fast)
    await server.start()
    await server.stop()
    (place / "postgres" / postgres_file.PASSWORD_FILE).write_text("forgotten")

    with pytest.raises(LocalServerError, match="refuses the password"):
        await server.start()
    assert server.pid is None


async def test_missing_programs_say_what_to_do(place: Path) -> None:
    server = PostgresServer(place / "postgres", runtime=place / "run", binaries=place)

    with pytest.raises(LocalServerError, match="COACHLINE_DATABASE_URL"):
        await server.start()
    with pytest.raises(LocalServerError, match="not started"):
        server.url("a", "b", "c")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho 'postgres (PostgreSQL) 14.2'\n", "no PostgreSQL 15 or newer"),
        ("not a program", "cannot be run"),
    ],
)
async def test_programs_that_will_not_do_are_named(place: Path, script: str, message: str) -> None:
    for name in ("postgres", "initdb"):
        (place / name).write_text(script)
        (place / name).chmod(0o755)
    server = PostgresServer(place / "postgres-data", runtime=place / "run", binaries=place)

    with pytest.raises(LocalServerError, match=message):
        await server.start()


async def test_no_address_before_the_start_and_no_harm_from_stopping(place: Path) -> None:
    server = PostgresServer(place / "postgres", runtime=place / "run")
    await server.stop()

    with pytest.raises(LocalServerError, match="was not started"):
        server.url("a", "b", "c")


async def test_what_learners_write_is_not_in_the_servers_log(
    postgres: PostgresServer, place: Path
) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await _run(
            postgres.admin_url(),
            "CREATE TABLE note (body text UNIQUE); INSERT INTO note VALUES ('my secret sorrow');"
            "INSERT INTO note VALUES ('my secret sorrow')",
        )

    said = _read(place / "home" / "postgres.log")
    assert "duplicate key" in said
    assert "secret sorrow" not in said


@pytest.mark.skipif(not DEBIAN_15.is_dir(), reason="Debian's PostgreSQL 15 is not installed")
async def test_debians_version_15_works_as_well(place: Path, fast: Mapping[str, str]) -> None:
    server = PostgresServer(
        place / "postgres", runtime=place / "run", settings=fast, binaries=DEBIAN_15
    )
    await server.start()
    await ensure_database(server, database="coachline", roles=ROLES)
    url = server.url("coachline_app", ROLES["coachline_app"], "coachline")
    version = await _ask(url, "SHOW server_version_num")
    folded = await _ask(url, "SELECT lower('ÅÉÖŁ')")
    await server.stop()

    assert str(version).startswith("15")
    assert folded == "åéöł"


def test_the_lock_is_one_that_a_crash_releases(tmp_path: Path) -> None:
    first = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    second = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(first, fcntl.LOCK_EX)
        assert not postgres_file._try_lock(second)
        os.close(first)
        assert postgres_file._try_lock(second)
    finally:
        os.close(second)
