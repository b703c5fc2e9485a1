"""All SQL of knowledge, one class per concern. Imported by this room only."""

from coachline.knowledge.repository.collections import CollectionRepository
from coachline.knowledge.repository.documents import DocumentRepository
from coachline.knowledge.repository.embeddings import EmbeddingRepository
from coachline.knowledge.repository.passages import PassageRepository

__all__ = [
    "CollectionRepository",
    "DocumentRepository",
    "EmbeddingRepository",
    "PassageRepository",
]
