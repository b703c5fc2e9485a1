"""The pages of knowledge: documents, their passages, and trying a question."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Query, Request, Response, UploadFile

from coachline.console.knowledge_pages import SUFFIXES, Brought, Shelf, Written
from coachline.console.pages import Pages, is_part
from coachline.console.routes.desk import Desk, Seated
from coachline.console.seat import Seat
from coachline.foundation.errors import CoachlineError
from coachline.foundation.http import Page, decode_cursor
from coachline.foundation.ids import DocumentId
from coachline.knowledge import Documents, Retrieval

Cursor = Annotated[str | None, Query(max_length=128)]
_PATH = "/console/knowledge"
_ON_A_PAGE = 50
_PASSAGES = 20
_BEST = 5


class KnowledgePages:
    """``/console/knowledge`` and what is below it."""

    def __init__(
        self, documents: Documents, retrieval: Retrieval, shelf: Shelf, pages: Pages, desk: Desk
    ) -> None:
        self._documents = documents
        self._retrieval = retrieval
        self._shelf = shelf
        self._pages = pages
        self.router = APIRouter(prefix=_PATH, include_in_schema=False)
        add = self.router.add_api_route
        reader, writer = [Depends(desk.seat("read"))], [Depends(desk.seat("knowledge"))]
        add("", self.show, methods=["GET"], dependencies=reader)
        add("/list", self.show_list, methods=["GET"], dependencies=reader)
        add("/files", self.add_files, methods=["POST"], dependencies=writer)
        add("/text", self.add_text, methods=["POST"], dependencies=writer)
        add("/{document_id}", self.show_passages, methods=["GET"], dependencies=reader)
        add("/{document_id}/remove", self.remove, methods=["POST"], dependencies=writer)

    async def show(
        self,
        request: Request,
        seat: Seated,
        cursor: Cursor = None,
        question: Annotated[str, Query(max_length=2_000)] = "",
    ) -> Response:
        """Every document, and the passages that fit a question that somebody tries."""
        return await self._show(request, seat, cursor=cursor, question=question)

    async def show_list(self, request: Request, seat: Seated, cursor: Cursor = None) -> Response:
        """The documents alone, for a page that keeps up."""
        listed = await self._list(seat, cursor)
        return self._pages.render(request, "knowledge_list.html", seat, listed=listed)

    async def add_files(
        self, request: Request, seat: Seated, files: Annotated[list[UploadFile], File()]
    ) -> Response:
        """Take files in."""
        brought = [
            Brought(file.filename or "", await file.read())
            for file in files
            if file.filename or file.size
        ]
        try:
            told = await self._shelf.add_files(seat.tenant_id, brought, actor=seat.actor)
        except CoachlineError as error:
            return await self._refuse(request, seat, error, file_fault=error.message)
        return self._pages.done(request, _PATH, told)

    async def add_text(
        self,
        request: Request,
        seat: Seated,
        source: Annotated[str, Form()] = "",
        text: Annotated[str, Form()] = "",
    ) -> Response:
        """Take a text in that was typed."""
        written = Written(source, text)
        try:
            told = await self._shelf.add_text(seat.tenant_id, written, actor=seat.actor)
        except CoachlineError as error:
            return await self._refuse(
                request, seat, error, text_fault=error.message, written=written
            )
        return self._pages.done(request, _PATH, told)

    async def show_passages(
        self,
        request: Request,
        seat: Seated,
        document_id: UUID,
        after: Annotated[int, Query(ge=-1, le=10**9)] = -1,
    ) -> Response:
        """A document's passages, as they are found."""
        wanted = DocumentId(document_id)
        document = await self._documents.get(seat.tenant_id, wanted)
        found = await self._documents.list_passages(
            seat.tenant_id, wanted, after=after, limit=_PASSAGES + 1
        )
        return self._pages.render(
            request,
            "knowledge_document.html",
            seat,
            document=document,
            passages=found[:_PASSAGES],
            next_after=found[_PASSAGES - 1].position if len(found) > _PASSAGES else None,
            after=after,
        )

    async def remove(self, request: Request, seat: Seated, document_id: UUID) -> Response:
        """Take a document out of every answer."""
        await self._documents.remove(seat.tenant_id, DocumentId(document_id), actor=seat.actor)
        return self._pages.done(request, _PATH, "Removed. No answer uses it any more.")

    async def _refuse(
        self, request: Request, seat: Seat, error: CoachlineError, **shown: Any
    ) -> Response:
        """The page with what was typed and what is wrong, where the sender can mend it."""
        if is_part(request) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise error
        return await self._show(request, seat, status=error.status, **shown)

    async def _show(
        self,
        request: Request,
        seat: Seat,
        *,
        cursor: str | None = None,
        question: str = "",
        status: int = HTTPStatus.OK,
        **shown: Any,
    ) -> Response:
        found = None
        if question.strip():
            found = await self._retrieval.search(seat.tenant_id, question, limit=_BEST)
        usual: dict[str, Any] = {"file_fault": "", "text_fault": "", "written": Written()}
        return self._pages.render(
            request,
            "knowledge.html",
            seat,
            status=status,
            listed=await self._list(seat, cursor),
            question=question,
            found=found,
            suffixes=SUFFIXES,
            most_bytes=self._shelf.most_bytes,
            **(usual | shown),
        )

    async def _list(self, seat: Seat, cursor: str | None) -> Page[Any]:
        after = None if cursor is None else DocumentId(decode_cursor(cursor, UUID))
        found = await self._documents.list(seat.tenant_id, after=after, limit=_ON_A_PAGE + 1)
        return Page[Any].cut(found, limit=_ON_A_PAGE, key=lambda one: one.id)
