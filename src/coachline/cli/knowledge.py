"""``coachline knowledge``: what a tenant's coach knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from coachline.cli.support import emit, fail, open_services, run
from coachline.foundation.errors import CoachlineError, InvalidInput, NotFound, Unavailable
from coachline.foundation.ids import DocumentId, TenantId
from coachline.foundation.settings import Settings

if TYPE_CHECKING:
    from coachline.bootstrap import Services
    from coachline.knowledge import Document

app = typer.Typer(no_args_is_help=True, help="Add, list, remove, search documents.")

TenantName = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
WaitSeconds = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for the worker; 0: not at all.")
]

_ACTOR = "cli"
_POLL_SECONDS = 0.2
_PAGE = 200
_SEARCH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    source: str


@app.command()
def add(
    path: Annotated[Path, typer.Argument(exists=True, help="A file, or a folder with files.")],
    tenant: TenantName,
    wait: WaitSeconds = 300,
    as_json: AsJson = False,
) -> None:
    """Add Markdown and plain text; a file that was added before is replaced.

    Of a folder: every .md, .markdown and .txt file in it, at any depth. A file's path below PATH
    is its source: under it the document is replaced.
    """

    async def work() -> None:
        files = await asyncio.to_thread(_find_files, path)
        async with open_services() as services:
            tenant_id = (await services.tenants.get_by_name(tenant)).id
            with _progress(as_json) as progress:
                saved, refused = await _save_all(services, tenant_id, files, progress)
                settled = await _wait(services, tenant_id, saved, wait, progress)
        problems = refused + _problems(settled)
        passages = sum(document.passages for document in settled)
        emit({"documents": len(settled), "passages": passages}, as_json)
        _report(problems, waiting=_waiting(settled) if wait else 0)

    run(work)


@app.command(name="list")
def list_all(tenant: TenantName, as_json: AsJson = False) -> None:
    """List the documents of a tenant, oldest first."""

    async def work() -> None:
        async with open_services() as services:
            tenant_id = (await services.tenants.get_by_name(tenant)).id
            emit([_shown(one) async for one in _all_documents(services, tenant_id)], as_json)

    run(work)


@app.command()
def remove(
    document: Annotated[str, typer.Argument(help="Id or source, as `list` shows them.")],
    tenant: TenantName,
    as_json: AsJson = False,
) -> None:
    """Take a document out of every answer, and erase it."""

    async def work() -> None:
        async with open_services() as services:
            tenant_id = (await services.tenants.get_by_name(tenant)).id
            document_id = await _document_id(services, tenant_id, document)
            await services.documents.remove(tenant_id, document_id, actor=_ACTOR)
        emit({"removed": str(document_id)}, as_json)

    run(work)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A question, as a learner would ask it.")],
    tenant: TenantName,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Most passages shown.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Ask the running server what it finds for a question."""

    async def work() -> None:
        async with open_services() as services:
            tenant_id = (await services.tenants.get_by_name(tenant)).id
            async with _short_lived_key(services, tenant_id) as key:
                found = await _ask_server(services.settings, key, {"query": query, "limit": limit})
        if as_json:
            emit(found, as_json)
        else:
            emit([_shown_passage(passage) for passage in found["passages"]], as_json)
            if found["problem"]:
                fail(found["problem"])

    run(work)


@app.command()
def rebuild(
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", help="The tenant's name; all by default.")
    ] = None,
    wait: WaitSeconds = 300,
    as_json: AsJson = False,
) -> None:
    """Make all vectors anew from PostgreSQL: after a loss, or for another embedding model."""

    async def work() -> None:
        async with open_services() as services:
            wanted = await services.tenants.list()
            if tenant is not None:
                wanted = [await services.tenants.get_by_name(tenant)]
            settled: list[Document] = []
            with _progress(as_json) as progress:
                for one in wanted:
                    await services.rebuild_requests.add(one.id, actor=_ACTOR)
                for one in wanted:
                    ids = [document.id async for document in _all_documents(services, one.id)]
                    settled += await _wait(services, one.id, ids, wait, progress)
        passages = sum(document.passages for document in settled)
        emit({"documents": len(settled), "passages": passages}, as_json)
        _report(_problems(settled), waiting=_waiting(settled) if wait else 0)

    run(work)


def _find_files(path: Path) -> Sequence[_File]:
    from coachline.knowledge import MEDIA_TYPES

    if path.is_file():
        return [_File(path, path.name)]
    found = sorted(
        file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in MEDIA_TYPES
    )
    if not found:
        raise InvalidInput(f"{path} holds no file that ends in {', '.join(MEDIA_TYPES)}.")
    return [_File(file, file.relative_to(path).as_posix()) for file in found]


async def _save_all(
    services: Services, tenant_id: TenantId, files: Sequence[_File], progress: Progress
) -> tuple[list[DocumentId], list[str]]:
    """Store every file that is text; ids of the documents, and what was wrong with the others."""
    from coachline.knowledge import MEDIA_TYPES, read_bytes

    saved: list[DocumentId] = []
    refused: list[str] = []
    for file in progress.track(files, description="reading "):
        try:
            data = await asyncio.to_thread(file.path.read_bytes)
            done = await services.documents.save(
                tenant_id,
                source=file.source,
                text=read_bytes(data),
                media_type=MEDIA_TYPES.get(file.path.suffix.lower(), "text/plain"),
                actor=_ACTOR,
            )
            saved.append(done.document_id)
        except OSError as error:
            refused.append(f"{file.path}: {error.strerror}")
        except Unavailable:
            raise
        except CoachlineError as error:
            refused.append(f"{file.path}: {error.message}")
    return saved, refused


async def _wait(
    services: Services,
    tenant_id: TenantId,
    document_ids: Sequence[DocumentId],
    seconds: float,
    progress: Progress,
) -> Sequence[Document]:
    """The documents once none of them is queued any more, or the time is over."""
    bar = progress.add_task("indexing", total=len(document_ids))
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found: list[Document] = []
        for begin in range(0, len(document_ids), _PAGE):
            page = document_ids[begin : begin + _PAGE]
            found += await services.documents.list_by_id(tenant_id, page)
        waiting = _waiting(found)
        progress.update(bar, completed=len(document_ids) - waiting)
        if not waiting or asyncio.get_running_loop().time() >= deadline:
            return found
        await asyncio.sleep(_POLL_SECONDS)


async def _all_documents(services: Services, tenant_id: TenantId) -> AsyncIterator[Document]:
    after: DocumentId | None = None
    while page := await services.documents.list(tenant_id, after=after, limit=_PAGE):
        for document in page:
            yield document
        after = page[-1].id


async def _document_id(services: Services, tenant_id: TenantId, named: str) -> DocumentId:
    try:
        return DocumentId(UUID(named))
    except ValueError:
        async for document in _all_documents(services, tenant_id):
            if document.source == named:
                return document.id
    raise NotFound(f"There is no document with the source {named!r}.")


@asynccontextmanager
async def _short_lived_key(services: Services, tenant_id: TenantId) -> AsyncIterator[str]:
    """A key of this tenant for one call: the server answers no one without."""
    expires_at = services.clock.now() + timedelta(minutes=1)
    key = await services.keys.create(
        tenant_id, "knowledge search", ["read"], expires_at, actor=_ACTOR
    )
    try:
        yield key.secret
    finally:
        await services.keys.revoke(tenant_id, key.key.id, actor=_ACTOR)


async def _ask_server(settings: Settings, key: str, wanted: Mapping[str, object]) -> dict[str, Any]:
    """The vectors are the server's alone, so the server is asked: it finds what learners get."""
    import aiohttp

    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 # nosec B104 - read, not bound
    host = f"[{host}]" if ":" in host else host
    url = f"http://{host}:{settings.port}/api/v1/knowledge/search"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SEARCH_SECONDS)) as http,
            http.post(url, json=wanted, headers={"Authorization": f"Bearer {key}"}) as answer,
        ):
            found: dict[str, Any] = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(
            f"No Coachline server answers at {url}. Start `coachline up` or `coachline serve`; "
            "COACHLINE_HOST and COACHLINE_PORT say where it is."
        ) from error
    if "passages" not in found:
        raise Unavailable(f"The server refused: {found.get('detail') or answer.status}")
    return found


def _progress(as_json: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=as_json,
    )


def _waiting(documents: Sequence[Document]) -> int:
    return sum(document.state == "queued" for document in documents)


def _problems(documents: Sequence[Document]) -> list[str]:
    return [f"{one.source}: {one.problem}" for one in documents if one.problem]


def _report(problems: Sequence[str], *, waiting: int) -> None:
    """End with what is wrong, if anything is."""
    lines = list(problems)
    if waiting:
        lines.append(
            f"{waiting} documents still wait for a worker: is `coachline up` or `coachline work` "
            "running? They are stored, and will be indexed when it is."
        )
    if lines:
        fail("\n".join(lines))


def _shown(document: Document) -> dict[str, object]:
    return {
        "id": str(document.id),
        "source": document.source,
        "title": document.title,
        "state": document.state,
        "passages": document.passages,
        "problem": document.problem,
    }


def _shown_passage(passage: Mapping[str, Any]) -> dict[str, object]:
    return {name: passage[name] for name in ("title", "source", "text")}
