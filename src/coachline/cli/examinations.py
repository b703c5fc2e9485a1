"""What ``coachline doctor`` looks at, in the order in which it tells: each asks its own room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coachline.foundation.errors import CoachlineError
from coachline.foundation.settings import Settings

if TYPE_CHECKING:
    from coachline.foundation.database import Database
    from coachline.messaging import Checkup
    from coachline.tenancy import Tenant

_PART_SECONDS: Final = 5.0
# Read tenant by tenant, so an installation with thousands of them takes its time.
_TENANTS_SECONDS: Final = 60.0
_MOST_CONNECTIONS: Final = 10_000
_MOST_TOLD: Final = 5
_APART_SECONDS: Final = 2.0
_LATE_SECONDS: Final = 600.0


class PartMissing(CoachlineError):
    """A part that nobody named and that no running `coachline up` offers."""


@dataclass(frozen=True, slots=True)
class Examination:
    """One look. ``check`` returns what to tell when all is well, and raises what is wrong.

    ``field`` is the setting that leads to the part; None where it needs none.
    """

    name: str
    field: str | None
    check: Callable[[Settings], Awaitable[str]]
    seconds: float = _PART_SECONDS


@asynccontextmanager
async def _open_database(settings: Settings) -> AsyncIterator[Database]:
    from coachline.foundation.database import Database

    if settings.database_url is None or settings.worker_database_url is None:
        raise PartMissing("no URL")
    database = Database(
        settings.database_url.get_secret_value(),
        settings.worker_database_url.get_secret_value(),
        pool_size=1,
        pooler=settings.database_pooler,
    )
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _open_migrated(settings: Settings) -> AsyncIterator[Database]:
    """The database, once it is known to be at the revision that this code needs."""
    from coachline.foundation.schema import newest_revision, read_revision

    async with _open_database(settings) as database:
        await database.ping()
        found, newest = await read_revision(database), newest_revision()
        if found != newest:
            raise CoachlineError(
                f"the schema is at {found or 'nothing'}, this code needs {newest}: "
                "run `coachline migrate`"
            )
        yield database


async def check_database(settings: Settings) -> str:
    """PostgreSQL answers both roles, and its schema fits this code."""
    from coachline.foundation.schema import newest_revision

    async with _open_migrated(settings):
        return f"schema {newest_revision()}"


async def check_isolation(settings: Settings) -> str:
    """Policies and roles keep tenants apart as the migrations made them."""
    from coachline.tenancy import Isolation

    async with _open_migrated(settings) as database:
        found = await Isolation(database).check()
    if found.violations:
        raise CoachlineError(_some([f"{thing}: {rule}" for thing, rule in found.violations]))
    return f"{found.tables} tables keep tenants apart"


async def check_redis(settings: Settings) -> str:
    """Redis or Valkey answers."""
    from coachline.foundation.redis import REDIS_FAILURES, open_redis

    if settings.redis_url is None:
        raise PartMissing("no URL")
    redis = open_redis(settings.redis_url.get_secret_value())
    try:
        await redis.ping()
    except REDIS_FAILURES as error:
        raise CoachlineError(f"does not answer ({type(error).__name__})") from None
    finally:
        await redis.aclose()
    return "answers"


async def check_clocks(settings: Settings) -> str:
    """The clocks of this machine, of PostgreSQL and of Redis agree."""
    from coachline.foundation.clock import Offset, SystemClock, measure_offset
    from coachline.foundation.redis import REDIS_FAILURES, open_redis, read_clock

    clock = SystemClock()
    offsets: dict[str, Offset] = {}
    async with _open_database(settings) as database:
        # The first question opens a connection, whose time is nobody's clock.
        await database.now()
        offsets["PostgreSQL"] = await measure_offset(clock, database.now)
    if settings.redis_url is not None:
        redis = open_redis(settings.redis_url.get_secret_value())
        try:
            await redis.ping()
            offsets["Valkey"] = await measure_offset(clock, lambda: read_clock(redis))
        except REDIS_FAILURES:
            # That it does not answer is said of Valkey itself.
            offsets.pop("Valkey", None)
        finally:
            await redis.aclose()
    told = ", ".join(f"{name} {offset.seconds:+.1f} s" for name, offset in offsets.items())
    if any(offset.is_beyond(_APART_SECONDS) for offset in offsets.values()):
        raise CoachlineError(f"against this machine: {told}; let one time service set them all")
    return told


async def check_vectors(settings: Settings) -> str:
    """ChromaDB answers."""
    from coachline.knowledge import ChromaServer

    if settings.chroma_url is None:
        return "in the process of `coachline up`"
    store = ChromaServer(settings.chroma_url)
    try:
        return f"{len(await store.list_names(''))} collections"
    finally:
        await store.close()


async def check_chat_model(settings: Settings) -> str:
    """The model that answers is there."""
    return await _find_model(settings.ollama_url, settings.chat_model, "COACHLINE_CHAT_MODEL")


async def check_embed_model(settings: Settings) -> str:
    """The model that reads for the search is there."""
    url = settings.embed_url or settings.ollama_url
    return await _find_model(url, settings.embed_model, "COACHLINE_EMBED_MODEL")


async def _find_model(url: str | None, model: str, setting: str) -> str:
    from coachline.inference import OllamaServer

    if url is None:
        raise PartMissing("no URL")
    server = OllamaServer(url)
    try:
        offered = await server.list_models()
    finally:
        await server.close()
    if model not in offered and f"{model}:latest" not in offered:
        raise CoachlineError(
            f"{model} is not at {url}: pull it, or set {setting} to one of "
            f"{', '.join(offered) or 'none'}"
        )
    return f"{model} at {url}"


async def check_keys(settings: Settings) -> str:
    """The master keys can be read."""
    from coachline.foundation.seal import parse_master_keys

    if settings.master_keys is None:
        raise PartMissing("no keys")
    parse_master_keys(settings.master_keys.get_secret_value())
    return "can be read"


async def check_disks(settings: Settings) -> str:
    """The disks below the data folder, and below an embedded PostgreSQL, have room."""
    from coachline.local import Home, look_at_disk

    folders = [settings.home]
    # Making a `Home` makes its folders.
    if settings.home.exists() and "database_url" in Home(settings.home).read_embedded():
        folders.append(Home(settings.home).postgres)
    try:
        disks = [await asyncio.to_thread(look_at_disk, folder) for folder in folders]
    except OSError as error:
        raise CoachlineError(f"cannot be looked at ({error.strerror})") from None
    told = [f"{disk.folder}: {disk.free / 1024**3:.1f} GiB free" for disk in disks]
    if any(disk.is_nearly_full for disk in disks):
        raise CoachlineError(f"nearly full: {', '.join(told)}")
    return ", ".join(told)


async def check_connections(settings: Settings) -> str:
    """No open connection is deaf, and none was closed by its platform."""
    from coachline import bootstrap

    ill: list[str] = []
    count = 0
    async with _open_migrated(settings), bootstrap.open_services(settings) as services:
        for tenant in await services.tenants.list():
            for item in await services.connections.list(tenant.id, limit=_MOST_CONNECTIONS):
                count += item.state == "active"
                if item.state == "active" and item.health in ("deaf", "lost"):
                    why = f" ({item.problem})" if item.problem else ""
                    ill.append(f"{tenant.name}/{item.name} is {item.health}{why}")
                elif item.state != "active" and item.problem:
                    ill.append(f"{tenant.name}/{item.name} is closed ({item.problem})")
    if ill:
        raise CoachlineError("; ".join(ill))
    return f"{count} open"


async def check_queue(settings: Settings) -> str:
    """Nothing is stuck, waits for too long, or for a person's decision."""
    from coachline.messaging import Checkups

    async with _open_migrated(settings) as database:
        checkups = Checkups(
            database, lease_seconds=settings.lease_seconds, sweep_seconds=settings.sweep_seconds
        )
        engine = await checkups.examine_engine()
        ill = []
        if engine.untaken or engine.silent:
            ill.append(
                f"{engine.untaken} jobs that nobody takes and {engine.silent} of processes that "
                f"fell silent, for {engine.oldest_seconds:.0f} s: is `coachline work` running?"
            )
        for tenant in await _list_active(database):
            ill += _queue_complaints(tenant.name, await checkups.examine(tenant.id))
    if ill:
        raise CoachlineError(_some(ill))
    return "nothing is stuck, nothing waits for a decision"


def _queue_complaints(tenant: str, found: Checkup) -> list[str]:
    complaints = []
    if found.stuck:
        complaints.append(f"{tenant}: {found.stuck} conversations are stuck")
    if found.event_seconds > _LATE_SECONDS:
        complaints.append(f"{tenant}: a message waits for {found.event_seconds / 60:.0f} min")
    if found.reply_seconds > _LATE_SECONDS:
        complaints.append(f"{tenant}: a reply waits for {found.reply_seconds / 60:.0f} min")
    # What learners did not want waits for nobody; it may be looked at.
    undecided = {state: n for state, n in found.troubles.items() if state != "suppressed"}
    if undecided:
        counts = ", ".join(f"{number} {state}" for state, number in sorted(undecided.items()))
        complaints.append(f"{tenant}: replies {counts}: `coachline reply list --tenant {tenant}`")
    return complaints


async def _list_active(database: Database) -> list[Tenant]:
    from coachline.foundation.clock import SystemClock
    from coachline.tenancy import Keys, Tenants

    clock = SystemClock()
    tenants = await Tenants(database, Keys(database, clock), clock).list()
    return [tenant for tenant in tenants if tenant.status == "active"]


def _some(complaints: list[str]) -> str:
    more = len(complaints) - _MOST_TOLD
    return "; ".join(complaints[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")


PARTS: Final = (
    Examination("PostgreSQL", "database_url", check_database),
    Examination("Isolation", "database_url", check_isolation),
    Examination("Valkey", "redis_url", check_redis),
    Examination("ChromaDB", "chroma_url", check_vectors),
    Examination("Models", "ollama_url", check_chat_model),
    Examination("Embeddings", "embed_url", check_embed_model),
    Examination("Master keys", "master_keys", check_keys),
    Examination("Clocks", "database_url", check_clocks),
    Examination("Disk", None, check_disks),
    Examination("Connections", "database_url", check_connections, _TENANTS_SECONDS),
    Examination("Queue", "database_url", check_queue, _TENANTS_SECONDS),
)
"""In the order in which the operator reads them: what stands on another comes after it."""
