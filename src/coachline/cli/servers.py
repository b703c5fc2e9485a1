"""``coachline up``, ``serve``, ``work`` and ``migrate``: the long-running commands."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr
from rich.console import Console

from coachline import __version__
from coachline.cli.support import WRONG_USE, complete, fail, told, with_values
from coachline.foundation.errors import CoachlineError, SettingsInvalid, Unavailable
from coachline.foundation.exhaustion import EXHAUSTED, is_exhausted
from coachline.foundation.heap import freeze_heap
from coachline.foundation.settings import Settings, load_settings

if TYPE_CHECKING:
    from coachline.app import HttpServer
    from coachline.bootstrap import Services
    from coachline.foundation.job_runner import JobRunner
    from coachline.knowledge import ChromaFolder, VectorStore
    from coachline.local import Home
    from coachline.local.routes import DemoRoutes

LOOPBACK = ("127.0.0.0/8", "::1/128")


def serve() -> None:
    """Serve webhooks and REST, on external servers or on those of a running `up`."""
    _run(_serve)


def work() -> None:
    """Answer conversations; start as many of these as the load needs."""
    _run(_work)


def migrate() -> None:
    """Bring the database's schema up to date, as its owner."""
    _run(_migrate)


def up(
    demo: Annotated[
        bool, typer.Option(help="Make a demo tenant with knowledge and a chat page at /.")
    ] = True,
    workers: Annotated[
        int, typer.Option(min=0, max=64, help="Worker processes beside this one; 0: work here.")
    ] = 0,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Instead of COACHLINE_PORT; 0: a free one."),
    ] = None,
) -> None:
    """Start everything here: servers, HTTP, worker, and a demo to talk to."""

    def start(settings: Settings) -> Awaitable[None]:
        if port is not None:
            settings = with_values(settings, {"port": str(port)})
        return _up(settings, with_demo=demo, workers=workers)

    # On a terminal the lines of this command are for a person; what is wrong still shows.
    _run(start, is_quiet=True)


def _run(command: Callable[[Settings], Awaitable[None]], *, is_quiet: bool = False) -> None:
    """Run a long command; ``is_quiet`` ones log warnings only, unless a level was chosen."""
    import uvloop

    from coachline.foundation.logs import configure_logs

    try:
        settings = load_settings()
        is_quiet = is_quiet and "log_level" not in settings.model_fields_set
        configure_logs("warning" if is_quiet else settings.log_level, settings.log_format)
        uvloop.run(_as_coroutine(command, settings))
    except SettingsInvalid as error:
        fail(error.message, code=WRONG_USE)
    except CoachlineError as error:
        fail(error.message)
    except Exception as error:
        # What closes the loop may need a thread itself, and hide what was told.
        if not is_exhausted(error):
            raise
        fail(EXHAUSTED)


async def _as_coroutine(command: Callable[[Settings], Awaitable[None]], settings: Settings) -> None:
    await command(settings)


async def _migrate(settings: Settings) -> None:
    from coachline.foundation.schema import migrate as run_migrations

    owner = complete(settings).owner_database_url
    if owner is None:
        raise SettingsInvalid("COACHLINE_OWNER_DATABASE_URL is not set.")
    await run_migrations(owner.get_secret_value())
    Console().print("The schema is up to date.")


async def _serve(settings: Settings) -> None:
    from coachline import bootstrap
    from coachline.app import HttpServer, create_app, open_socket

    settings, listener = _listen(complete(settings), open_socket)
    async with bootstrap.open_services(settings) as services, _in_step(services):
        server = HttpServer(
            create_app(services),
            listener,
            drain_seconds=settings.drain_seconds,
            close_streams=services.monitors.live_feed.close,
        )
        await _until_told(
            server.run(lambda: Console().print(f"Serving at {services.public_url}")), server.stop
        )


async def _work(settings: Settings) -> None:
    from coachline import bootstrap
    from coachline.worker import build_runner

    settings = complete(settings)
    async with bootstrap.open_services(settings) as services, _in_step(services):
        runner = build_runner(services, settings, _worker_url(settings))
        Console().print("Working.")
        await _until_told(runner.run(drain_seconds=settings.drain_seconds), runner.stop)


@asynccontextmanager
async def _in_step(services: Services) -> AsyncIterator[None]:
    """Keep this process's clock with the database's, so that one that is wrong here harms none."""
    clock, read = services.clock, services.database.now
    with suppress(Unavailable):
        await clock.look(read)
    keeping = asyncio.create_task(clock.keep(read))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def _worker_url(settings: Settings) -> str:
    url: SecretStr | None = settings.worker_database_url
    return "" if url is None else url.get_secret_value()


def _listen(
    settings: Settings, open_socket: Callable[[Settings], socket.socket]
) -> tuple[Settings, socket.socket]:
    """Listen now, so that a port in use is told before anything is started."""
    listener = open_socket(settings)
    port = listener.getsockname()[1]
    return with_values(settings, {"port": str(port)}), listener


async def _up(settings: Settings, *, with_demo: bool, workers: int) -> None:
    from coachline.app import open_socket
    from coachline.local import Home

    console = Console(highlight=False)

    def report(part: str, state: str) -> None:
        console.print(f"  [green]✓[/] {part:<12} {state}")

    home = Home(settings.home)
    with home.lock():
        settings, listener = _listen(settings, open_socket)
        console.print(f"Coachline {__version__}, data in {home.path}")
        if with_demo:
            networks = {*settings.outgoing_allow, *(ip_network(text) for text in LOOPBACK)}
            settings = settings.model_copy(update={"outgoing_allow": tuple(networks)})
        async with (
            _embedded(home, settings, report, shares_vectors=workers > 0) as (settings, vectors),
            _workers(home, settings, report, workers),
        ):
            await _run_everything(
                settings, vectors, listener, console, with_demo=with_demo, works=not workers
            )
    console.print("Stopped.")


@asynccontextmanager
async def _embedded(
    home: Home, settings: Settings, report: Callable[[str, str], None], *, shares_vectors: bool
) -> AsyncIterator[tuple[Settings, VectorStore | None]]:
    """The servers of this home, and the settings that lead to them."""
    from coachline.foundation.schema import migrate as run_migrations
    from coachline.knowledge import ChromaFolder
    from coachline.local import Supervisor

    supervisor = Supervisor(home, settings, report)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(supervisor.stop)
        opening: asyncio.Task[ChromaFolder] | None = None
        if settings.chroma_url is None and not shares_vectors:
            # Begun first: importing chromadb takes a second in which the servers start.
            opening = asyncio.create_task(ChromaFolder.open(home.chroma))
            stack.push_async_callback(_close_opened, opening)
        values = await supervisor.start()
        vectors, in_process = None, set[str]()
        if opening is not None:
            vectors, in_process = await opening, {"chroma_url"}
            report("ChromaDB", "embedded, in this process")
        elif settings.chroma_url is None:
            values |= await supervisor.start_chroma()
        settings = with_values(settings, values)
        if settings.owner_database_url is not None:
            await run_migrations(settings.owner_database_url.get_secret_value())
            report("Schema", "up to date")
        stack.callback(home.clear_runtime)
        home.write_runtime(told(settings), supervisor.embedded | in_process)
        yield settings, vectors


async def _close_opened(opening: asyncio.Task[ChromaFolder]) -> None:
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().close()


@asynccontextmanager
async def _workers(
    home: Home, settings: Settings, report: Callable[[str, str], None], count: int
) -> AsyncIterator[None]:
    """Worker processes beside this one; the page and its callbacks stay here."""
    from coachline.local import WorkerProcess

    allowed = ",".join(str(network) for network in settings.outgoing_allow)
    async with AsyncExitStack() as stack:
        for number in range(1, count + 1):
            worker = WorkerProcess(
                number,
                home=home.path,
                log=home.logs / f"worker-{number}.log",
                environment={"COACHLINE_OUTGOING_ALLOW": allowed},
            )
            stack.push_async_callback(worker.stop, drain_seconds=settings.drain_seconds)
            await worker.start()
            report(f"Worker {number}", f"process {worker.pid}")
        yield


async def _run_everything(
    settings: Settings,
    vectors: VectorStore | None,
    listener: socket.socket,
    console: Console,
    *,
    with_demo: bool,
    works: bool,
) -> None:
    from coachline import bootstrap
    from coachline.app import HttpServer, create_app
    from coachline.worker import build_runner

    async with (
        bootstrap.open_services(settings, vectors=vectors) as services,
        _in_step(services),
    ):
        demo = await _prepare_demo(services) if with_demo else None
        console_link = await _make_console_link(services) if with_demo else ""
        routers = [demo.router] if demo else []
        server = HttpServer(
            create_app(services, routers),
            listener,
            drain_seconds=settings.drain_seconds,
            close_streams=services.monitors.live_feed.close,
        )
        runner = build_runner(services, settings, _worker_url(settings)) if works else None

        def announce() -> None:
            if demo is not None:
                console.print(f"\nTalk to the demo coach: [bold]{services.public_url}/[/]")
            if console_link:
                console.print(f"Coach's side, good once: [bold]{console_link}[/]", soft_wrap=True)
            console.print(f"REST: {services.public_url}/openapi.json   Ctrl-C stops everything.")

        def stop() -> None:
            if demo is not None:
                demo.close()
            server.stop()
            if runner is not None:
                runner.stop()

        await _until_told(_together(server, runner, announce, stop, settings), stop)


async def _prepare_demo(services: Services) -> DemoRoutes | None:
    from coachline.local import Demo
    from coachline.local.routes import DemoRoutes

    demo = Demo(services.tenants, services.documents, services.connections)
    # The page's messages and its callbacks never leave this machine, whatever the public address.
    chat = await demo.prepare(f"http://127.0.0.1:{services.settings.port}")
    if chat is None:
        return None
    return DemoRoutes(chat, services.http, services.clock, public_url=services.public_url)


async def _make_console_link(services: Services) -> str:
    """A link that signs in to the demo's console: once, on this machine, within ten minutes."""
    from coachline.local import DEMO_TENANT

    tenant = await services.tenants.get_by_name(DEMO_TENANT)
    ticket = await services.sign_in.tickets.issue_link(tenant.id, is_local=True, actor="cli")
    return f"http://127.0.0.1:{services.settings.port}/console/sign-in/link?ticket={ticket}"


async def _together(
    server: HttpServer,
    runner: JobRunner | None,
    announce: Callable[[], None],
    stop: Callable[[], None],
    settings: Settings,
) -> None:
    """Serve and work until both end; when one ends or fails, the other is stopped and drained."""
    tasks = [asyncio.create_task(server.run(announce))]
    if runner is not None:
        tasks.append(asyncio.create_task(runner.run(drain_seconds=settings.drain_seconds)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop()
        await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        task.result()


async def _until_told(running: Awaitable[None], *stops: Callable[[], None]) -> None:
    """Await ``running``; the first SIGINT or SIGTERM calls ``stops``, a second one cancels."""
    freeze_heap()
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(running)
    told = False

    def on_signal() -> None:
        nonlocal told
        if told:
            task.cancel()
            return
        told = True
        Console().print("Finishing what is under way…")
        for stop in stops:
            stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
