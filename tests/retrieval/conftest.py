"""A library on both databases: files in a folder, ingested and searched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.db.databases import (
    anyio_backend,
    database,
    engine,
    migrated_postgres,
    sqlite_template,
)
from tests.db.postgres import postgres_server

from santral.config.collections import CollectionConfig
from santral.db.engine import Engine
from santral.retrieval.ingest.before.ingest import ingest
from santral.retrieval.ingest.before.report import IngestReport
from santral.retrieval.search.search import Searcher
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.wire.delta import Source

__all__ = [
    "anyio_backend",
    "database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def settings(**changes: object) -> CollectionConfig:
    return CollectionConfig.model_validate({"dimensions": 16, **changes})


class Library:
    """Files below ``root``, and what became of them."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.root = folder / "files"
        self.data = folder / "data"
        self.root.mkdir(parents=True)
        self.searcher = Searcher(self.data, {})

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    async def tenant(self, name: str) -> None:
        await create_tenant(self.engine, name, None, NOW, by=local_operator())

    async def ingest(
        self,
        *paths: Path,
        tenant: str = "acme",
        collection: str = "docs",
        config: CollectionConfig | None = None,
        max_file_bytes: int = 1_000_000,
    ) -> IngestReport:
        report = await ingest(
            self.engine,
            self.data,
            tenant,
            collection,
            paths or (self.root,),
            config=config or settings(),
            now=lambda: NOW,
            clock=lambda: 0.0,
            max_file_bytes=max_file_bytes,
        )
        self.searcher.refresh()
        return report

    def search(
        self, query: str, tenant: str = "acme", collection: str = "docs", **filters: str
    ) -> Sequence[Source]:
        return self.searcher.search(
            tenant, collection, query, top_k=5, max_tokens=2000, filters=filters
        )


@pytest.fixture
async def library(engine: Engine, tmp_path: Path) -> Library:
    made = Library(engine, tmp_path / "library")
    await made.tenant("acme")
    return made
