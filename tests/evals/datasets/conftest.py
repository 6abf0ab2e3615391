"""Both databases, and who changes data sets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.db.databases import (
    anyio_backend,
    database,
    engine,
    migrated_postgres,
    sqlite_template,
)
from tests.db.postgres import postgres_server

from santral.db.engine import Engine
from santral.evals.datasets.change import create_dataset
from santral.evals.datasets.dataset import Dataset
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.permission import Principal

__all__ = [
    "anyio_backend",
    "database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TENANT = "acme"


@pytest.fixture
def operator() -> Principal:
    """Return who may do everything."""
    return local_operator()


@pytest.fixture
async def faq(engine: Engine, operator: Principal) -> Dataset:
    """Return an empty data set of a tenant."""
    await create_tenant(engine, TENANT, "Acme", NOW, by=operator)
    return await create_dataset(engine, TENANT, "faq", NOW, by=operator)
