"""What a tenant's coach knows: documents, their passages, and finding the ones that fit."""

from coachline.knowledge.absent_vectors import AbsentVectors
from coachline.knowledge.chroma import ChromaFolder
from coachline.knowledge.chroma_server import ChromaServer
from coachline.knowledge.documents import (
    Document,
    DocumentPassage,
    Documents,
    DocumentState,
    SavedDocument,
)
from coachline.knowledge.embedding import EmbedText
from coachline.knowledge.errors import (
    CollectionMissing,
    DimensionsDiffer,
    DocumentEmpty,
    DocumentNotFound,
    DocumentNotText,
    DocumentTooLarge,
    VectorFolderInUse,
    VectorsUnavailable,
)
from coachline.knowledge.ingestion import INGEST_JOB, Ingestion
from coachline.knowledge.purge import PURGE_JOB, Purge
from coachline.knowledge.reading import MAX_DOCUMENT_BYTES, MEDIA_TYPES, MediaType, read_bytes
from coachline.knowledge.rebuild import Rebuild
from coachline.knowledge.rebuild_requests import REBUILD_JOB, RebuildRequests
from coachline.knowledge.retrieval import Passage, Retrieval, Retrieved
from coachline.knowledge.vector_files import FilesScanned, VectorFiles
from coachline.knowledge.vectors import Hit, Vector, VectorStore

__all__ = [
    "INGEST_JOB",
    "MAX_DOCUMENT_BYTES",
    "MEDIA_TYPES",
    "PURGE_JOB",
    "REBUILD_JOB",
    "AbsentVectors",
    "ChromaFolder",
    "ChromaServer",
    "CollectionMissing",
    "DimensionsDiffer",
    "Document",
    "DocumentEmpty",
    "DocumentNotFound",
    "DocumentNotText",
    "DocumentPassage",
    "DocumentState",
    "DocumentTooLarge",
    "Documents",
    "EmbedText",
    "FilesScanned",
    "Hit",
    "Ingestion",
    "MediaType",
    "Passage",
    "Purge",
    "Rebuild",
    "RebuildRequests",
    "Retrieval",
    "Retrieved",
    "SavedDocument",
    "Vector",
    "VectorFiles",
    "VectorFolderInUse",
    "VectorStore",
    "VectorsUnavailable",
    "read_bytes",
]
