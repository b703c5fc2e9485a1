"""REST of the tenant's knowledge: documents, and searching them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from coachline.foundation.http import Caller, Guard, Page, decode_cursor
from coachline.foundation.ids import DocumentId
from coachline.knowledge.documents import Documents, DocumentState
from coachline.knowledge.retrieval import Retrieval
from coachline.knowledge.schemas import DocumentOut, DocumentWanted, SearchOut, SearchWanted

Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of a page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
State = Annotated[DocumentState | None, Query(description="Only documents in this state.")]


class KnowledgeRoutes:
    """``/api/v1/documents`` and ``/api/v1/knowledge/search`` of the caller's tenant."""

    def __init__(self, documents: Documents, retrieval: Retrieval, guard: Guard) -> None:
        self._documents = documents
        self._retrieval = retrieval
        self.router = APIRouter(prefix="/api/v1", tags=["knowledge"])
        add = self.router.add_api_route
        reader = [Depends(guard.scope("read"))]
        writer = [Depends(guard.scope("knowledge"))]
        add(
            "/documents",
            self.save_document,
            methods=["POST"],
            status_code=201,
            responses={200: {"model": DocumentOut, "description": "Replaced, or the same text."}},
            dependencies=writer,
        )
        add("/documents", self.list_documents, methods=["GET"], dependencies=reader)
        add("/documents/{document_id}", self.get_document, methods=["GET"], dependencies=reader)
        add(
            "/documents/{document_id}",
            self.remove_document,
            methods=["DELETE"],
            status_code=204,
            dependencies=writer,
        )
        add("/knowledge/search", self.search, methods=["POST"], dependencies=reader)

    async def save_document(
        self, caller: Caller, wanted: DocumentWanted, response: Response
    ) -> DocumentOut:
        """Add a document, or replace the one of the same source."""
        saved = await self._documents.save(
            caller.tenant_id,
            source=wanted.source,
            title=wanted.title,
            text=wanted.text,
            media_type=wanted.media_type,
            actor=caller.actor,
        )
        response.status_code = 201 if saved.created else 200
        return DocumentOut.model_validate(
            await self._documents.get(caller.tenant_id, saved.document_id)
        )

    async def list_documents(
        self, caller: Caller, cursor: Cursor = None, limit: Limit = 50, state: State = None
    ) -> Page[DocumentOut]:
        """List documents, oldest first."""
        after = None if cursor is None else DocumentId(decode_cursor(cursor, UUID))
        found = await self._documents.list(
            caller.tenant_id, after=after, limit=limit + 1, state=state
        )
        return Page[DocumentOut].cut(
            [DocumentOut.model_validate(one) for one in found], limit=limit, key=lambda one: one.id
        )

    async def get_document(self, caller: Caller, document_id: UUID) -> DocumentOut:
        """Read how a document is, without its text."""
        return DocumentOut.model_validate(
            await self._documents.get(caller.tenant_id, DocumentId(document_id))
        )

    async def remove_document(self, caller: Caller, document_id: UUID) -> None:
        """Take a document out of every answer, and erase it."""
        await self._documents.remove(caller.tenant_id, DocumentId(document_id), actor=caller.actor)

    async def search(self, caller: Caller, wanted: SearchWanted) -> SearchOut:
        """Find the passages that fit a question, best first."""
        return SearchOut.model_validate(
            await self._retrieval.search(caller.tenant_id, wanted.query, limit=wanted.limit)
        )
