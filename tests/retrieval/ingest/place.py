"""A workplace on a database and a folder, and what can be seen of it afterwards."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from santral.app.ingesting import workplace
from santral.config.schema import Config
from santral.db.engine import Engine, reading
from santral.retrieval import store
from santral.retrieval.access import Scope, as_administrator, as_member
from santral.retrieval.collection import Version
from santral.retrieval.collections import store as kept
from santral.retrieval.document import StoredChunk, StoredDocument
from santral.retrieval.index.entry import IndexState, Partition
from santral.retrieval.index.registry import open_reader
from santral.retrieval.ingest.ingest import Delivery, ingest
from santral.retrieval.ingest.paths import PathsSource
from santral.retrieval.ingest.report import IngestReport
from santral.retrieval.ingest.workplace import Workplace
from santral.retrieval.library import Shelf
from santral.retrieval.search.question import Question
from santral.retrieval.search.retriever import Retriever
from santral.retrieval.splitting import store as split_store
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
COLLECTION: dict[str, Any] = {"dimensions": 16}


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Place:
    """Files below ``root``, ingested into acme/docs."""

    def __init__(self, work: Workplace, config: Config, folder: Path, clock: Clock) -> None:
        self.work = work
        self.config = config
        self.root = folder / "files"
        self.clock = clock
        self.root.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    async def ingest(self, *paths: Path, **options: Any) -> IngestReport:
        known = [document.location for document in await self.documents()]
        settings = await self._settings()
        source = PathsSource(paths or (self.root,), known, settings.max_file_bytes)
        delivery = Delivery(source, has_sidecars=True)
        return await ingest(self.work, "acme", "docs", [delivery], **options)

    async def update(self) -> IngestReport:
        """Ingest nothing new."""
        return await ingest(self.work, "acme", "docs")

    async def documents(self) -> list[StoredDocument]:
        async with reading(self.work.engine) as conn:
            return await store.list_documents(conn, "acme", "docs")

    async def document(self, source: str) -> StoredDocument:
        return next(one for one in await self.documents() if one.source == source)

    async def active(self) -> Version | None:
        async with reading(self.work.engine) as conn:
            found = await kept.find_collection(conn, "acme", "docs")
            versions = await kept.list_versions(conn, "acme", "docs")
        wanted = found.active_version if found is not None else 0
        return next((one for one in versions if one.version == wanted), None)

    async def chunks(self) -> dict[str, list[StoredChunk]]:
        """The chunks of the active version, by the source of their document."""
        version = await self.active()
        assert version is not None
        documents = await self.documents()
        async with reading(self.work.engine) as conn:
            found = await split_store.list_chunks(
                conn, "acme", "docs", version.version, [one.id for one in documents]
            )
        return {one.source: found[one.id] for one in documents if found[one.id]}

    async def search(self, question: str, groups: Sequence[str] | None = None) -> list[str]:
        """The texts of the passages that a question finds, the best first."""
        scope = (
            as_administrator("acme", "docs")
            if groups is None
            else as_member("acme", "docs", groups)
        )
        shelf = await self._shelf()
        if shelf is None:
            return []
        try:
            found = await Retriever(_One(shelf), now=lambda: self.clock.now.timestamp()).search(
                scope, Question(text=question)
            )
        finally:
            await shelf.reader.close()
        return [source.text for source in found.sources]

    async def indexed(self) -> IndexState:
        shelf = await self._shelf()
        assert shelf is not None
        state = shelf.reader.state
        await shelf.reader.close()
        return state

    async def _shelf(self) -> Shelf | None:
        version = await self.active()
        if version is None:
            return None
        async with reading(self.work.engine) as conn:
            collection = await self.work.versions.find(conn, "acme", "docs")
        reader = await open_reader(
            Partition("acme", "docs", version.version),
            version.recipe.engine,
            self.config.indexes,
            self.config.data.folder,
        )
        model = None
        if version.model is not None:
            model = await self.work.models.open(
                "acme", version.recipe.embedding, version.recipe.dimensions, version.model
            )
        return Shelf(collection, version, reader, model)

    async def _settings(self) -> Any:
        return self.config.collections["docs"]


class _One:
    """The only collection there is."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def find(self, tenant_id: str, name: str) -> Shelf | None:
        return self._shelf


def config_of(folder: Path, collection: dict[str, Any] | None = None, **more: Any) -> Config:
    return Config.model_validate(
        {
            "data": {"folder": str(folder / "data")},
            "collections": {"docs": {**COLLECTION, **(collection or {})}},
            **more,
        }
    )


@asynccontextmanager
async def place_on(
    engine: Engine,
    folder: Path,
    collection: dict[str, Any] | None = None,
    *,
    change: Callable[[Workplace], Workplace] = lambda work: work,
    is_new: bool = True,
    **more: Any,
) -> AsyncGenerator[Place]:
    config = config_of(folder, collection, **more)
    clock = Clock()
    if is_new:
        await create_tenant(engine, "acme", None, NOW, by=local_operator())
    async with workplace(config, engine, clock=clock) as work:
        yield Place(change(work), config, folder, clock)


def scope_of(groups: Sequence[str]) -> Scope:
    return as_member("acme", "docs", groups)
