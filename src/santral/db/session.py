"""The control database for one command: opened, checked, closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from santral.config.load import load
from santral.config.schema import Config
from santral.db.engine import Engine, connect, database_url
from santral.db.migrate import ensure_usable

Answer = TypeVar("Answer")


def with_database(env: Mapping[str, str], work: Callable[[Engine], Awaitable[Answer]]) -> Answer:
    """Run ``work`` on the control database of the configuration found from ``env``.

    Raises:
        ConfigError: the configuration cannot be used.
        StoreError: the database cannot be used, or waits for ``santral db migrate``.
    """
    config = load(None, env).config

    async def with_engine() -> Answer:
        async with control_database(config) as engine:
            return await work(engine)

    return asyncio.run(with_engine())


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
