"""The control database for one command: opened, checked, closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from santral.config.schema import Config
from santral.db.engine import Engine, connect, database_url
from santral.db.migrate import ensure_usable


@asynccontextmanager
async def control_database(config: Config) -> AsyncGenerator[Engine]:
    """Hold the control database that ``config`` names; a new one gets its tables first.

    Raises:
        StoreError: it cannot be used, or an older version made it and nobody migrated it yet.
    """
    engine = connect(database_url(config))
    try:
        await ensure_usable(engine)
        yield engine
    finally:
        await engine.dispose()
