"""A gateway on a cluster, a Valkey and a folder of vectors of its own: every byte can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from coachline.foundation.redis import open_redis
from coachline.foundation.schema import migrate
from coachline.knowledge import ChromaFolder
from coachline.knowledge.vector_files import scan_files
from coachline.local import PostgresServer, ensure_database
from conftest import ROLES
from fixtures.house import House, ground_on, open_house

DATABASE = "coachline"


@dataclass(frozen=True)
class Residues:
    """How often some words stand in each part of an installation."""

    tables: int
    wal: int
    keys: int
    vectors: int


@dataclass
class Ground:
    """The house, and every place where it keeps something."""

    house: House
    cluster: Path
    vectors: Path
    admin_url: str

    async def ask_database(self, *statements: str) -> None:
        """Run statements as the superuser."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def scan(self, *words: str) -> Residues:
        """Look for words in every byte of every file, and in Valkey's memory."""
        await self.ask_database("checkpoint")
        sought = [word.encode() for word in words]
        wal = sum(scan_files(path, sought).hits for path in self.cluster.rglob("pg_wal"))
        cluster = scan_files(self.cluster, sought)
        assert cluster.files > 500, "a whole cluster"
        return Residues(
            tables=cluster.hits - wal,
            wal=wal,
            keys=await self._count_keys(sought),
            vectors=scan_files(self.vectors, sought).hits,
        )

    async def _count_keys(self, words: list[bytes]) -> int:
        redis = open_redis(self.house.valkey.url)
        try:
            found = 0
            async for key in redis.scan_iter():
                name = str(key).encode()
                value = str(await redis.get(key)).encode()
                found += sum(word in name or word in value for word in words)
            return found
        finally:
            await redis.aclose()


@pytest.fixture
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """Everything of one installation, whose commands run as its operator types them."""
    folder = tmp_path_factory.mktemp("rights")
    server = PostgresServer(folder / "pg", runtime=folder / "run")
    await server.start()
    try:
        await ensure_database(server, database=DATABASE, roles=ROLES)
        owner_url = server.url("coachline_owner", ROLES["coachline_owner"], DATABASE)
        await migrate(owner_url)
        store = await ChromaFolder.open(folder / "chroma")
        base = ground_on(server, ROLES, DATABASE)
        place = type(base)(base.app_url, base.worker_url, vectors=store)
        try:
            async with open_house(place, owner_database_url=SecretStr(owner_url)) as house:
                owner = {"COACHLINE_OWNER_DATABASE_URL": owner_url}
                house.environment = {**house.environment, **owner}
                yield Ground(house, folder / "pg", folder / "chroma", server.admin_url(DATABASE))
        finally:
            await store.close()
    finally:
        await server.stop()
