"""A private PostgreSQL: made, started, waited for and stopped, as root or as anybody."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import asyncpg

from coachline.local.binaries import find_postgres
from coachline.local.errors import LocalServerError
from coachline.local.process import ChildProcess
from coachline.local.sockets import socket_folder

ADMIN = "coachline_admin"
SOCKET_PORT = 5432  # no port is opened: it only names the socket's file
START_SECONDS = 60.0
INITDB_SECONDS = 120.0
PREDECESSOR_SECONDS = 30.0
PASSWORD_FILE = "coachline_admin_password"  # noqa: S105 (the name of a file)

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "jit": "off",  # every statement here is short; compiling costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_permissions": "0700",
    # Statements and DETAIL lines can hold what learners wrote; that is never logged.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class PostgresServer:
    """One PostgreSQL server over one data folder, reached by a unix socket with passwords.

    The caller makes sure that nobody else starts a server on ``data`` (`Home.lock`).

    Args:
        data: the server's own folder; made at the first start, kept afterwards.
        runtime: folder of the socket; where its path is too long a short one is used instead.
        binaries: folder with ``postgres`` and ``initdb``; looked for when None.
        settings: server settings over `SETTINGS`, by their names in postgresql.conf.
        tcp_port: also listen on this port of 127.0.0.1, for clients that know no unix socket.
        log: file for the server's messages; ``postgres.log`` beside ``data`` when None.
        way: ``account`` to run without a user namespace when root, see `launch`.
    """

    def __init__(
        self,
        data: Path,
        *,
        runtime: Path,
        binaries: Path | None = None,
        settings: Mapping[str, str] | None = None,
        tcp_port: int | None = None,
        log: Path | None = None,
        way: Literal["any", "account"] = "any",
    ) -> None:
        self._data = data.absolute()
        self._runtime = runtime.absolute()
        self._binaries = binaries
        self._settings = {**SETTINGS, **(settings or {})}
        self._tcp_port = tcp_port
        self._log = log or self._data.with_name("postgres.log")
        self._way = way
        self._port = tcp_port or SOCKET_PORT
        self._child: ChildProcess | None = None
        self._sockets: Path | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs, else None."""
        return self._child.pid if self._child else None

    def url(self, role: str, password: str, database: str) -> str:
        """The address of ``database`` for ``role``, as asyncpg, SQLAlchemy and psql read it.

        Raises:
            LocalServerError: the server was not started.
        """
        if self._sockets is None:
            raise LocalServerError("PostgreSQL was not started.")
        port = f"&port={self._port}" if self._port != SOCKET_PORT else ""
        return (
            f"postgresql://{quote(role, safe='')}:{quote(password, safe='')}@/"
            f"{quote(database, safe='')}?host={quote(str(self._sockets))}{port}"
        )

    def admin_url(self, database: str = "postgres") -> str:
        """The address for the superuser: to make databases and roles, never to serve anybody."""
        password = (self._data / PASSWORD_FILE).read_text(encoding="ascii")
        return self.url(ADMIN, password, database)

    async def start(self) -> None:
        """Make the data folder if there is none, start the server and wait until it answers.

        Raises:
            LocalServerError: no programs, no space, a folder in use or of another version, or no
                answer in time; the message has the end of the server's log.
        """
        folder = await asyncio.to_thread(find_postgres, self._binaries)
        major = await self._read_major(folder)
        await asyncio.to_thread(self._make_folders)
        if not (self._data / "PG_VERSION").exists():
            await self._initialise(folder, major)
        self._check_version(major)
        lock = await self._take_folder()
        try:
            self._child = self._make_child(self._command(folder), self._data, signal.SIGINT)
            await self._child.start(pass_fds=[lock])
        finally:
            os.close(lock)
        await self._child.wait_ready(self._answers, START_SECONDS)

    async def wait(self) -> int:
        """Wait for as long as the server runs; its exit status, negative for a signal.

        Raises:
            LocalServerError: it was not started.
        """
        if self._child is None:
            raise LocalServerError("PostgreSQL was not started.")
        return await self._child.wait()

    async def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server and wait until it has ended.

        Args:
            mode: ``fast`` breaks off connections and closes cleanly; ``immediate`` leaves the
                cleaning up to the next start.
        """
        if self._child is None:
            return
        fast = [signal.SIGINT] if mode == "fast" else []
        await self._child.stop(*fast, signal.SIGQUIT)
        if self._sockets is not None and self._sockets != self._runtime:
            with contextlib.suppress(OSError):
                self._sockets.rmdir()

    def _make_folders(self) -> None:
        self._data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sockets = socket_folder(self._runtime, f".s.PGSQL.{self._port}.lock")

    def _make_child(
        self, command: list[str], owned: Path, death_signal: signal.Signals
    ) -> ChildProcess:
        return ChildProcess(
            "PostgreSQL",
            command,
            log=self._log,
            death_signal=death_signal,
            # Nothing is inherited: PGDATA, PGPORT and their like would change what is started.
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            unprivileged=owned,
            way=self._way,
        )

    def _command(self, folder: Path) -> list[str]:
        settings = {
            **self._settings,
            "listen_addresses": "127.0.0.1" if self._tcp_port else "",
            "port": str(self._port),
            "unix_socket_directories": '"' + str(self._sockets).replace('"', '""') + '"',
        }
        words = [str(folder / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            words += ["-c", f"{name}={value}"]
        return words

    async def _read_major(self, folder: Path) -> int:
        program = str(folder / "postgres")
        try:
            process = await asyncio.create_subprocess_exec(
                program, "--version", stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise LocalServerError(f"{program} cannot be run: {error}.") from error
        said, _ = await process.communicate()
        match = re.search(rb"\) (\d+)", said)
        if match is None or int(match[1]) < 15:
            raise LocalServerError(
                f"{program} is no PostgreSQL 15 or newer ({said.decode().strip()!r})."
            )
        return int(match[1])

    def _check_version(self, major: int) -> None:
        made_by = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if made_by != str(major):
            raise LocalServerError(
                f"{self._data} was made by PostgreSQL {made_by}, but this is {major}. Use programs "
                f"of version {made_by}, or move the folder away and restore a pg_dump into a new "
                "one."
            )

    async def _initialise(self, folder: Path, major: int) -> None:
        """Make the data folder under another name first: half a folder is never mistaken for one.

        Raises:
            LocalServerError: initdb failed, or something else lies where the folder should be.
        """
        new = self._data.with_name(self._data.name + ".new")
        password = new.with_name(new.name + ".password")
        await asyncio.to_thread(_make_empty, new, password)
        try:
            command = _initdb_command(folder, new, password, major)
            if self._settings.get("fsync") == "off":
                command.append("--no-sync")  # who does not want the data safe wants this neither
            child = self._make_child(command, new, signal.SIGTERM)
            await child.start()
            if await child.wait_ended(INITDB_SECONDS) != 0:
                raise child.failure("could not make its data folder")
            password.rename(new / PASSWORD_FILE)
            try:
                new.rename(self._data)
            except OSError as error:
                raise LocalServerError(
                    f"{self._data} is in the way: it is no data folder of PostgreSQL and not "
                    f"empty ({error.strerror}). Move it away or set COACHLINE_HOME."
                ) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
            password.unlink(missing_ok=True)

    async def _take_folder(self) -> int:
        """Lock the data folder and return the open lock, which the server will inherit.

        A server keeps the lock as long as any process of it lives. So the lock tells, where
        process ids could mislead, whether an earlier one still closes down or left its pid file.

        Raises:
            LocalServerError: an earlier server does not end.
        """
        lock = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY)
        pid_file = self._data / "postmaster.pid"
        try:
            async with asyncio.timeout(PREDECESSOR_SECONDS):
                while not _try_lock(lock):  # noqa: ASYNC110 (the kernel offers no event)
                    await asyncio.sleep(0.05)
            pid_file.unlink(missing_ok=True)
        except TimeoutError:
            os.close(lock)
            first_line = pid_file.read_text(encoding="utf-8").partition("\n")[0]
            raise LocalServerError(
                f"Another PostgreSQL (process {first_line}) works in {self._data}. Stop it first."
            ) from None
        except BaseException:
            os.close(lock)
            raise
        return lock

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.admin_url(), timeout=5)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
            return False
        except asyncpg.InvalidPasswordError as error:
            raise LocalServerError(
                f"PostgreSQL refuses the password in {self._data / PASSWORD_FILE}. Restore that "
                "file, or move the data folder away to begin anew."
            ) from error
        await connection.close()
        return True


async def ensure_database(
    server: PostgresServer,
    *,
    database: str,
    roles: Mapping[str, str],
    owner: str = "coachline_owner",
) -> None:
    """Make login roles and a database where they are missing; set the roles' passwords.

    No role may pass row-level security or make roles: a test of isolation that ran as a superuser
    would prove nothing.

    Args:
        server: a started server.
        database: made with ``owner`` as its owner.
        roles: passwords by role; ``owner`` must be one of them.
        owner: the role that runs migrations.
    """
    connection = await asyncpg.connect(server.admin_url())
    try:
        for role, password in roles.items():
            exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            statement = await connection.fetchval(
                "SELECT format($1 || ' ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE "
                "NOCREATEDB NOREPLICATION PASSWORD %L', $2::text, $3::text)",
                "ALTER" if exists else "CREATE",
                role,
                password,
            )
            await connection.execute(statement)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            statement = await connection.fetchval(
                "SELECT format('CREATE DATABASE %I OWNER %I', $1::text, $2::text)", database, owner
            )
            await connection.execute(statement)
    finally:
        await connection.close()


def _initdb_command(folder: Path, data: Path, password: Path, major: int) -> list[str]:
    # The built-in locale knows all of Unicode and needs nothing of the system; 15 and 16 lack it.
    if major >= 17:
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    else:
        locale = ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
    return [
        str(folder / "initdb"),
        *("-D", str(data), "-U", ADMIN, "--encoding=UTF8", *locale),
        *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256", f"--pwfile={password}"),
    ]


def _make_empty(folder: Path, password: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    password.unlink(missing_ok=True)
    descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(24))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
