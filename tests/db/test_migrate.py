"""The schema: made in steps, equal to what stores expect, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import text

import santral.db.migrate
from santral.db.engine import Engine, connect, reading, sqlite_url, writing
from santral.db.migrate import ensure_usable, migrate, pending
from santral.db.store import bump_revision, read_revision
from santral.db.tables import metadata
from santral.errors import StoreError

pytestmark = pytest.mark.anyio

MIGRATE = """
import asyncio, sys
from santral.db.engine import connect
from santral.db.migrate import migrate

async def main():
    engine = connect(sys.argv[1])
    print(",".join(await migrate(engine)))
    await engine.dispose()

asyncio.run(main())
"""


async def test_the_migrated_schema_is_what_the_stores_expect(engine: Engine) -> None:
    def differences(conn: SyncConnection) -> object:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    async with reading(engine) as conn:
        assert await conn.run_sync(differences) == []


async def test_a_missing_column_would_be_noticed(empty_database: str) -> None:
    engine = connect(empty_database)
    await migrate(engine)
    async with writing(engine) as conn:
        await conn.execute(text("ALTER TABLE tenants RENAME COLUMN name TO called"))
    with pytest.raises(AssertionError):
        await test_the_migrated_schema_is_what_the_stores_expect(engine)
    await engine.dispose()


async def test_migrating_twice_changes_nothing(empty_database: str) -> None:
    engine = connect(empty_database)
    waiting = await pending(engine)
    assert waiting
    assert waiting[0] == "0001_first_tables"
    assert await migrate(engine) == waiting
    assert await pending(engine) == []
    assert await migrate(engine) == []
    await engine.dispose()


def test_two_processes_may_migrate_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", MIGRATE, sqlite_url(tmp_path)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(run.communicate()[0].strip() for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    assert said[0] == ""
    assert said[1].startswith("0001_first_tables")


async def test_of_many_at_once_one_migrates_and_the_others_wait(empty_database: str) -> None:
    engines = [connect(empty_database) for _ in range(4)]
    done: list[list[str]] = []

    async def one(engine: Engine) -> None:
        done.append(await migrate(engine))

    async with asyncio.TaskGroup() as group:
        for engine in engines:
            group.create_task(one(engine))
    assert sorted(map(len, done))[:3] == [0, 0, 0]
    assert sum(map(len, done)) > 0
    for engine in engines:
        assert await pending(engine) == []
        await engine.dispose()


async def test_a_failing_step_leaves_nothing_behind(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "migrations"
    (broken / "versions").mkdir(parents=True)
    for name, before, body in (
        ("0001_good", None, "CREATE TABLE good (id INTEGER)"),
        ("0002_bad", "0001", "CREATE NONSENSE"),
    ):
        (broken / "versions" / f"{name}.py").write_text(
            f"from alembic import op\nrevision = {name[:4]!r}\ndown_revision = {before!r}\n"
            f"def upgrade():\n    op.execute({body!r})\n"
        )
    monkeypatch.setattr(santral.db.migrate, "_FOLDER", broken)
    engine = connect(empty_database)
    with pytest.raises(Exception, match="NONSENSE"):
        await migrate(engine)
    assert await pending(engine) == ["0001_good", "0002_bad"]
    async with writing(engine) as conn:
        await conn.execute(text("CREATE TABLE good (id INTEGER)"))
    await engine.dispose()


async def test_a_database_of_a_newer_version_is_refused(empty_database: str) -> None:
    engine = connect(empty_database)
    await migrate(engine)
    async with writing(engine) as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer"):
        await migrate(engine)
    with pytest.raises(StoreError, match="9999"):
        await pending(engine)
    await engine.dispose()


async def test_a_database_with_data_is_migrated_by_its_operator_only(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ensure_usable(engine)
    later = tmp_path / "migrations" / "versions"
    later.mkdir(parents=True)
    paths = sorted((santral.db.migrate._FOLDER / "versions").glob("*.py"))
    for path in paths:
        (later / path.name).write_text(path.read_text())
    last = paths[-1].name[:4]
    (later / "9000_later.py").write_text(
        f"revision = '9000'\ndown_revision = '{last}'\ndef upgrade():\n    pass\n"
    )
    monkeypatch.setattr(santral.db.migrate, "_FOLDER", later.parent)
    with pytest.raises(StoreError, match=r"9000_later.*santral db migrate"):
        await ensure_usable(engine)


async def test_an_empty_database_gets_its_tables_at_first_use(tmp_path: Path) -> None:
    engine = connect(sqlite_url(tmp_path))
    await ensure_usable(engine)
    assert await pending(engine) == []
    await engine.dispose()


async def test_the_revision_grows_with_its_transaction(engine: Engine) -> None:
    async with reading(engine) as conn:
        before = await read_revision(conn)
    async with writing(engine) as conn:
        assert await bump_revision(conn) == before + 1
    with contextlib.suppress(RuntimeError):
        async with writing(engine) as conn:
            await bump_revision(conn)
            raise RuntimeError("undo")
    async with reading(engine) as conn:
        assert await read_revision(conn) == before + 1
