"""Both databases, with a tenant."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
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

from santral.db.engine import Engine, connect, sqlite_url

__all__ = [
    "anyio_backend",
    "database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
async def sqlite_engine(
    sqlite_template: Path, tmp_path: Path, anyio_backend: str
) -> AsyncGenerator[Engine]:
    """Return an engine on SQLite alone, for what does not depend on the database."""
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    made = connect(sqlite_url(tmp_path))
    yield made
    await made.dispose()
