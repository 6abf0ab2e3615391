"""Migrated databases for tests, one SQLite file and one PostgreSQL database for each test."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from tests.db.postgres import Server, name_of

from santral.db.engine import Engine, connect, sqlite_url
from santral.db.migrate import migrate

BOTH = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated database file to copy."""
    folder = tmp_path_factory.mktemp("sqlite-template")
    _migrate(sqlite_url(folder))
    return folder / "santral.db"


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Server) -> str:
    """Return the name of a migrated database to copy."""
    url = postgres_server.create()
    _migrate(url)
    return name_of(url)


@pytest.fixture(params=[BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """Return the URL of a migrated database, of SQLite and then of PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "santral.db")
        yield sqlite_url(tmp_path)
        return
    server: Server = request.getfixturevalue("postgres_server")
    url = server.create(request.getfixturevalue("postgres_template"))
    yield url
    server.drop(url)


@pytest.fixture(params=[BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.postgres)])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """Return the URL of a database without tables, of SQLite and then of PostgreSQL."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    server: Server = request.getfixturevalue("postgres_server")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio."""
    return "asyncio"


@pytest.fixture
async def engine(database: str, anyio_backend: str) -> AsyncGenerator[Engine]:
    """Return an engine on a migrated database, SQLite and then PostgreSQL."""
    made = connect(database)
    yield made
    await made.dispose()


def _migrate(url: str) -> None:
    async def run() -> None:
        engine = connect(url)
        await migrate(engine)
        await engine.dispose()

    # In a thread of its own: an async test may have a loop on this one.
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    thread.join()
