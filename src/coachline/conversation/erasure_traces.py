"""Where else something of a learner could be: jobs of the engine, Valkey, files of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import structlog

from coachline.foundation.database import Database
from coachline.foundation.engine import Engine
from coachline.foundation.errors import Unavailable
from coachline.foundation.ids import TenantId
from coachline.foundation.redis import REDIS_FAILURES, Redis, remove_keys
from coachline.knowledge import VectorFiles, VectorStore

# Shorter ones stand everywhere by chance.
_SHORTEST_WORD: Final = 8
_LOGS: Final = "ids, numbers and lengths; no text is ever written there"

log = structlog.get_logger()


class ErasureTraces:
    """Removes from Valkey what names a learner, and looks through the rest."""

    def __init__(
        self, database: Database, engine: Engine, redis: Redis, vectors: VectorStore
    ) -> None:
        self._database = database
        self._engine = engine
        self._redis = redis
        self._vectors = vectors

    async def look(
        self, tenant_id: TenantId, ids: Sequence[str], words: Sequence[str]
    ) -> dict[str, Any]:
        """Return what was found and removed, for the proof report.

        Args:
            tenant_id: whose learner it was.
            ids: of the learner, their identities and conversations.
            words: what they said and where they wrote, if that is still known.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        async with self._database.system() as session:
            jobs = await self._engine.count_naming(session, ids)
        return {
            "jobs": {"found": jobs, "why": "ids only; each goes when it is done"},
            "caches": await self._remove_keys(tenant_id, [*ids, *words]),
            "vectors": await self._scan(ids, words),
            "logs": {"why": _LOGS},
        }

    async def _remove_keys(self, tenant_id: TenantId, naming: Sequence[str]) -> dict[str, Any]:
        try:
            removed = await remove_keys(self._redis, f"t:{tenant_id}:", [n for n in naming if n])
        except REDIS_FAILURES as error:
            log.warning("erasure.without_cache", error=type(error).__name__)
            return {"is_reachable": False, "why": "rates only; each goes by itself"}
        return {"is_reachable": True, **asdict(removed)}

    async def _scan(self, ids: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
        if not isinstance(self._vectors, VectorFiles):
            return {"where": "server", "why": "holds vectors and ids of passages; no files here"}
        sought = {word.encode() for word in (*ids, *words) if len(word) >= _SHORTEST_WORD}
        try:
            scanned = await self._vectors.scan(sorted(sought))
        except (Unavailable, OSError) as error:
            log.warning("erasure.without_vectors", error=type(error).__name__)
            return {"where": "folder", "is_readable": False}
        if scanned.hits:
            log.error("erasure.left_in_vectors", hits=scanned.hits)
        return {"where": "folder", "words": len(sought), **asdict(scanned)}
