"""Queues and raters over both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from tests.db.databases import (
    anyio_backend,
    database,
    engine,
    migrated_postgres,
    sqlite_template,
)
from tests.db.postgres import postgres_server

__all__ = [
    "anyio_backend",
    "database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def rng() -> Random:
    return Random(7)
