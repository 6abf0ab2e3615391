"""Connections to the control database: SQLite in one file, or PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy import Connection as SyncConnection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from santral.config.schema import Config
from santral.db.explain import explain
from santral.errors import ConfigError, StoreError

#: What stores and their callers hold, so that nobody else names SQLAlchemy.
Engine = AsyncEngine
Connection = AsyncConnection

FILE_NAME = "santral.db"

#: How long a writer waits for another one before it gives up. Chosen: longer than any transaction of
#: ours, shorter than a person waits.
BUSY_TIMEOUT_MS = 5_000
#: Pause between two tries where that wait does not hold. Chosen.
_BUSY_PAUSE_MS = 20

#: WAL lets readers read while one writes; FULL asks the disk at each commit, so that a power cut takes
#: none: the collector removes what it has billed from the spool. Source: https://www.sqlite.org/pragma.html
_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


def sqlite_url(folder: Path) -> str:
    """Return the URL of the embedded database in ``folder``."""
    url = URL.create("sqlite+aiosqlite", database=str(folder / FILE_NAME))
    return url.render_as_string(hide_password=False)


def database_url(config: Config) -> str:
    """Return the URL of the control database; the data folder is made where it is the embedded one.

    Raises:
        StoreError: the data folder cannot be made.
    """
    if config.database.url is not None:
        return config.database.url.reveal()
    folder = config.data.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The data folder {folder} cannot be made: {error.strerror or error}. "
            "Make it writable, or set data.folder to another place."
        ) from None
    return sqlite_url(folder)


def connect(url: str) -> Engine:
    """Return the engine for ``url``; nothing is opened before its first use.

    Every failure to connect, and every failure of a statement that is not the statement's own
    fault, arrives as ``StoreError`` with a remedy.

    Raises:
        ConfigError: the URL is malformed or names another database.
    """
    target = _parse(url)
    if target.get_backend_name() == "sqlite":
        engine = create_async_engine(target)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    else:
        # The look for a dead connection costs one round trip and saves the first request after the
        # server was restarted.
        engine = create_async_engine(target, pool_pre_ping=True)
    event.listen(engine.sync_engine, "do_connect", _open(target))
    event.listen(engine.sync_engine, "handle_error", _translate(target))
    return engine


@asynccontextmanager
async def reading(engine: Engine) -> AsyncGenerator[Connection]:
    """Hold a connection for reading one consistent state: it never waits for a writer."""
    async with engine.connect() as plain:
        conn = await plain.execution_options(santral_reads=True, postgresql_readonly=True)
        async with conn.begin():
            yield conn


@asynccontextmanager
async def writing(engine: Engine) -> AsyncGenerator[Connection]:
    """Hold a transaction that commits when the block ends, and leaves nothing when it raises.

    On SQLite it takes the write lock at once: a transaction that reads first and writes later
    would fail instead of waiting when another one wrote in between.
    """
    async with engine.begin() as conn:
        yield conn


def _parse(url: str) -> URL:
    try:
        target = make_url(url)
    except ArgumentError:
        raise ConfigError(
            "The database URL cannot be read. It looks like "
            "postgresql+asyncpg://user:password@host:5432/name or sqlite+aiosqlite:////path/santral.db."
        ) from None
    driver = _DRIVERS.get(target.drivername)
    if driver is None:
        raise ConfigError(
            f"The database URL names '{target.drivername}'. Santral keeps its control database in "
            "sqlite+aiosqlite or postgresql+asyncpg."
        )
    return target.set(drivername=driver)


def _begin_sqlite(conn: SyncConnection) -> None:
    is_reading = conn.get_execution_options().get("santral_reads", False)
    conn.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _open(target: URL) -> Any:
    is_sqlite = target.get_backend_name() == "sqlite"

    def do_connect(dialect: Any, record: Any, args: Any, params: Any) -> Any:
        try:
            if is_sqlite:
                # aiosqlite leaves a thread behind when a file cannot be opened: ask first.
                sqlite3.connect(*args, **params).close()
            connection = dialect.connect(*args, **params)
            if is_sqlite:
                _prepare(connection)
        except Exception as error:  # drivers and the network raise errors of many kinds
            raise explain(error, target) from error
        return connection

    return do_connect


def _prepare(connection: Any) -> None:
    is_ready = False
    try:
        connection.isolation_level = None  # transactions begin where we say, not at the first write
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            _execute_patiently(cursor, pragma)
        cursor.close()
        is_ready = True
    finally:
        if not is_ready:
            connection.close()


def _execute_patiently(cursor: Any, pragma: str) -> None:
    """Run a pragma. Switching to the write-ahead log does not heed the busy timeout.

    Source: https://www.sqlite.org/wal.html, section 9: SQLITE_BUSY comes at once when several
    connections switch a new file together.
    """
    for _ in range(BUSY_TIMEOUT_MS // _BUSY_PAUSE_MS):
        try:
            cursor.execute(pragma)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            await_only(asyncio.sleep(_BUSY_PAUSE_MS / 1000))
        else:
            return
    cursor.execute(pragma)


def _translate(target: URL) -> Any:
    def handle_error(context: ExceptionContext) -> None:
        if context.is_pre_ping:
            return  # the pool replaces a dead connection by itself
        error = context.sqlalchemy_exception
        if not isinstance(error, DBAPIError) or isinstance(error, IntegrityError):
            return  # a store knows what a violated constraint means; the rest is our own mistake
        failure = explain(context.original_exception, target)
        if failure.is_known:
            raise failure from context.original_exception

    return handle_error
