"""Bring the control database to the shape this version expects; forward only.

The steps are Alembic revisions shipped inside the package. They run from here, without alembic.ini
or env.py, so that an installed wheel can migrate.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import text

from santral.db.engine import Engine, reading, writing
from santral.errors import StoreError

_FOLDER = Path(__file__).with_name("migrations")

#: Any number that nobody else locks; chosen: the letters "santral" as base 36, cut to 31 bits.
_LOCK = 1_287_408_673


async def migrate(engine: Engine) -> list[str]:
    """Apply what is pending, all or nothing; return the names of the steps taken.

    Two processes may call this at once: the second waits, then finds nothing to do.

    Raises:
        StoreError: the database cannot be used, or a newer version made it.
    """
    async with writing(engine) as conn:
        return await conn.run_sync(_upgrade)


async def pending(engine: Engine) -> list[str]:
    """Return the names of the steps that this version needs and the database lacks.

    Raises:
        StoreError: the database cannot be used, or a newer version made it.
    """
    async with reading(engine) as conn:
        return [_name(step) for step in await conn.run_sync(_missing)]


async def ensure_usable(engine: Engine) -> None:
    """Migrate an empty database; leave the decision to migrate one with data to its operator.

    Raises:
        StoreError: steps are pending on a database with data.
    """
    steps = await pending(engine)
    if not steps:
        return
    if len(steps) < len(list(_scripts().walk_revisions())):
        raise StoreError(
            f"The database waits for {', '.join(steps)}. Make a backup, then run: santral db migrate"
        )
    await migrate(engine)


def _upgrade(conn: SyncConnection) -> list[str]:
    if conn.dialect.name == "postgresql":  # SQLite already holds its only write lock
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    context = MigrationContext.configure(conn)
    done: list[str] = []
    for step in _missing(conn):
        with Operations.context(context):
            step.module.upgrade()
        context.stamp(_scripts(), step.revision)
        done.append(_name(step))
    return done


def _missing(conn: SyncConnection) -> list[Script]:
    current = MigrationContext.configure(conn).get_current_revision()
    try:
        steps = list(_scripts().iterate_revisions("head", current or "base"))
    except RevisionError:
        raise StoreError(
            f"The database is at revision '{current}', which this version does not know: a newer "
            "Santral migrated it. Install that version again, or restore a backup."
        ) from None
    return [step for step in reversed(steps) if step.revision != current]


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_FOLDER))


def _name(step: Script) -> str:
    return Path(step.path).stem
