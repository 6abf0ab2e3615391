"""Migrated databases for tests, one SQLite file and one PostgreSQL database for each test."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from tests.db.postgres import Server

from santral.db.engine import Engine, connect, sqlite_url
from santral.db.migrate import migrate
from santral.db.tables import metadata

#: Emptying costs a tenth of making anew; connections that a failed test left open are cut first, and
#: triggers that refuse it are silent in this session.
EMPTY = (
    "SET session_replication_role = replica",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    f"TRUNCATE {', '.join(name for name in metadata.tables if name != 'revision')}",
    "UPDATE revision SET number = 0",
)

BOTH = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated database file to copy."""
    folder = tmp_path_factory.mktemp("sqlite-template")
    _migrate(sqlite_url(folder))
    return folder / "santral.db"


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Server) -> str:
    """Return the URL of a migrated database; whoever uses it empties it first."""
    url = postgres_server.create()
    _migrate(url)
    return url


@pytest.fixture(params=[BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """Return the URL of a migrated, empty database, of SQLite and then of PostgreSQL.

    Its tables are to stay as they are: a test that alters them takes ``empty_database``.
    """
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "santral.db")
        yield sqlite_url(tmp_path)
        return
    server: Server = request.getfixturevalue("postgres_server")
    url: str = request.getfixturevalue("migrated_postgres")
    server.execute(*EMPTY, url=url)
    yield url


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
