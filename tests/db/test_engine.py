"""Connections: what SQLite is told, and what people are told when a database cannot be used."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from tests.db.postgres import Server

from santral.config.schema import Config, DataConfig
from santral.db.engine import Engine, connect, database_url, reading, sqlite_url, writing
from santral.db.store import bump_revision, read_revision
from santral.db.tables import tenants
from santral.errors import ConfigError, StoreError

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def failure(url: str) -> str:
    """Return what somebody is told who reads from ``url``."""
    engine = connect(url)
    try:
        with pytest.raises(StoreError) as caught:
            async with reading(engine) as conn:
                await conn.execute(text("SELECT number FROM revision"))
    finally:
        await engine.dispose()
    assert "\n" not in caught.value.message
    return caught.value.message


async def test_sqlite_runs_in_wal_with_foreign_keys_and_patience(tmp_path: Path) -> None:
    engine = connect(sqlite_url(tmp_path))
    async with reading(engine) as conn:
        found = [
            (await conn.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        ]
    await engine.dispose()
    assert found == ["wal", 1, 5000, 2]


async def test_a_violated_reference_is_refused_on_both(engine: Engine) -> None:
    with pytest.raises(IntegrityError):
        async with writing(engine) as conn:
            await conn.execute(
                text(
                    "INSERT INTO collections (tenant_id, name, revision, generation, created_at, "
                    "updated_at) VALUES ('nobody', 'docs', 0, 0, '2026-01-01', '2026-01-01')"
                )
                if engine.dialect.name == "sqlite"
                else text(
                    "INSERT INTO memberships (tenant_id, user_id, role, created_at) "
                    "VALUES ('default', 'nobody', 'owner', now())"
                )
            )


async def test_moments_come_back_in_utc_from_both(engine: Engine) -> None:
    ankara = NOON.astimezone(timezone(timedelta(hours=3)))
    async with writing(engine) as conn:
        values = {"id": "acme", "name": "Acme", "is_active": True, "created_at": ankara}
        await conn.execute(insert(tenants).values(values))
    async with reading(engine) as conn:
        found = (await conn.execute(select(tenants.c.created_at))).scalar_one()
    assert found == NOON
    assert found.tzinfo is UTC


async def test_a_moment_without_a_zone_is_refused(engine: Engine) -> None:
    naive = NOON.replace(tzinfo=None)
    statement = insert(tenants).values(id="a", name="A", is_active=True, created_at=naive)
    async with writing(engine) as conn:
        with pytest.raises(StatementError, match="time zone"):
            await conn.execute(statement)


async def test_readers_do_not_wait_for_a_writer(engine: Engine) -> None:
    async with writing(engine) as busy:
        await bump_revision(busy)
        async with asyncio.timeout(2):
            async with reading(engine) as conn:
                assert await read_revision(conn) == 0


async def test_writers_that_read_first_lose_no_update(engine: Engine) -> None:
    async def one() -> None:
        async with writing(engine) as conn:
            await conn.execute(select(tenants))
            await bump_revision(conn)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(one())
    async with reading(engine) as conn:
        assert await read_revision(conn) == 8


async def test_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    told = await failure(sqlite_url(tmp_path / "nowhere"))
    assert "cannot be opened. Check that its folder exists" in told


async def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    config = Config(data=DataConfig(folder=tmp_path / "file" / "data"))
    with pytest.raises(StoreError, match=r"cannot be made.*data\.folder"):
        database_url(config)


async def test_the_data_folder_is_made_at_first_use(tmp_path: Path) -> None:
    config = Config(data=DataConfig(folder=tmp_path / "a" / "b"))
    assert database_url(config) == sqlite_url(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


async def test_another_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "santral.db").write_bytes(b"Dear diary, " * 200)
    assert "a file of another kind" in await failure(sqlite_url(tmp_path))


async def test_an_unmigrated_database_says_what_to_run(empty_database: str) -> None:
    assert "santral db migrate" in await failure(empty_database)


async def test_a_read_only_database_is_a_sentence(tmp_path: Path) -> None:
    told = await failure(f"sqlite:///file:{tmp_path / 'santral.db'}?mode=ro&uri=true")
    assert "cannot be opened" in told
    connection = connect(sqlite_url(tmp_path))
    async with writing(connection) as conn:
        await conn.execute(text("CREATE TABLE revision (number INTEGER)"))
    await connection.dispose()
    engine = connect(f"sqlite:///file:{tmp_path / 'santral.db'}?mode=ro&uri=true")
    with pytest.raises(StoreError, match="read-only disk"):
        async with writing(engine) as conn:
            await conn.execute(text("INSERT INTO revision VALUES (1)"))
    await engine.dispose()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_read_only_folder_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be opened" in await failure(sqlite_url(tmp_path))


async def test_a_refused_connection_is_a_sentence_without_the_password() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = await failure(f"postgresql://santral:very-secret@127.0.0.1:{port}/santral")
    assert f"127.0.0.1:{port} refuses connections" in told
    assert "very-secret" not in told


@pytest.mark.postgres
async def test_a_database_that_is_not_there_is_a_sentence(postgres_server: Server) -> None:
    url = postgres_server.url.replace("/postgres", "/nowhere")
    assert "does not exist on the server. Create it" in await failure(url)


@pytest.mark.postgres
async def test_a_role_that_is_not_there_is_a_sentence(postgres_server: Server) -> None:
    told = await failure(postgres_server.url.replace("santral@", "stranger@"))
    assert "database.url" in told


@pytest.mark.postgres
async def test_a_connection_that_the_server_cut_is_replaced(postgres_server: Server) -> None:
    url = postgres_server.create()
    engine = connect(url)
    async with reading(engine) as conn:
        await conn.execute(text("SELECT 1"))
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{url.rsplit('/', 1)[1]}'"
    )
    async with reading(engine) as conn:
        assert (await conn.execute(text("SELECT 1"))).scalar_one() == 1
    await engine.dispose()
    postgres_server.drop(url)


@pytest.mark.postgres
async def test_reading_cannot_write_on_postgresql(postgres_server: Server) -> None:
    url = postgres_server.create()
    engine = connect(url)
    with pytest.raises(StoreError, match="read-only"):
        async with reading(engine) as conn:
            await conn.execute(text("CREATE TABLE sneaky (id INTEGER)"))
    await engine.dispose()
    postgres_server.drop(url)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("not a url", "cannot be read"),
        ("mysql://u:p@h/d", "'mysql'"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+asyncpg"),
    ],
)
def test_a_wrong_url_is_a_sentence_without_the_url(url: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(url)
    assert part in caught.value.message
    assert "u:p" not in caught.value.message


def test_plain_names_of_databases_get_their_drivers() -> None:
    assert connect("postgresql://h/d").url.drivername == "postgresql+asyncpg"
    assert connect("sqlite:////tmp/x.db").url.drivername == "sqlite+aiosqlite"
