"""Every engine of the registry, each in room of its own: one contract for all."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.db.databases import anyio_backend
from tests.db.postgres import Server
from tests.retrieval.index.engines import (
    EmbeddedEngine,
    EngineUnderTest,
    PgvectorEngine,
    QdrantEngine,
)
from tests.retrieval.index.pgvector_server import pgvector_server
from tests.retrieval.index.qdrant_front import QdrantFront, running_front

from santral.config.collections import IndexServerConfig
from santral.retrieval.index.qdrant import writer

__all__ = ["anyio_backend", "pgvector_server"]


# An engine is a name here and a fixture of its own below: ``<name>_engine``.
@pytest.fixture(
    params=[
        "embedded",
        pytest.param("pgvector", marks=pytest.mark.postgres),
        "qdrant",
    ]
)
def index(request: pytest.FixtureRequest) -> EngineUnderTest:
    """Return each engine in turn."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def embedded_engine(tmp_path: Path) -> EngineUnderTest:
    """Return the embedded engine on an empty folder."""
    return EmbeddedEngine(tmp_path)


@pytest.fixture
def pgvector_engine(pgvector_server: Server) -> Generator[EngineUnderTest]:
    """Return PostgreSQL with pgvector on an empty database."""
    url = pgvector_server.create()
    plain = url.replace("postgresql+asyncpg", "postgresql")
    settings = IndexServerConfig(kind="pgvector", url=plain, timeout_s=10)
    yield PgvectorEngine(settings, pgvector_server)
    pgvector_server.drop(url)


@pytest.fixture
def qdrant_front() -> Generator[QdrantFront]:
    """Return Qdrant's engine on an empty folder: in memory where it can be, it asks the disk a lot."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=place) as folder,
        running_front(QdrantFront(Path(folder))) as front,
    ):
        yield front


@pytest.fixture
def qdrant_engine(qdrant_front: QdrantFront, monkeypatch: pytest.MonkeyPatch) -> EngineUnderTest:
    """Return Qdrant's engine as an index; who closes a writer waits less than elsewhere."""
    monkeypatch.setattr(writer, "GRACE_S", 1.0)
    return QdrantEngine(qdrant_front)
