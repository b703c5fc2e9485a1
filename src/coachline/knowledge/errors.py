"""What can go wrong with documents and vectors."""

from __future__ import annotations

from coachline.foundation.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)


class DocumentNotFound(NotFound):
    """This tenant has no such document."""

    code = "document_not_found"


class DocumentNotText(UnsupportedMedia):
    """The bytes are not text, or text that no database can store."""

    code = "document_not_text"


class DocumentEmpty(InvalidInput):
    """The document has no words."""

    code = "document_empty"


class DocumentTooLarge(TooLarge):
    """The document is longer than one document may be."""

    code = "document_too_large"


class VectorsUnavailable(Unavailable):
    """The vector store cannot be reached, is too slow, or failed."""

    code = "vectors_unavailable"


class CollectionMissing(Conflict):
    """The vector store lost a collection that PostgreSQL knows; a rebuild restores it."""

    code = "vector_collection_missing"


class DimensionsDiffer(Conflict):
    """A vector is of another length than the collection: it came from another model."""

    code = "vector_dimensions_differ"


class VectorFolderInUse(Conflict):
    """Another process owns the folder of vectors; two writers would damage its index silently."""

    code = "vector_folder_in_use"
