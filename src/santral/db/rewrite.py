"""Writing the database anew, so that nothing that was deleted is left in its files."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text

from santral.db.engine import Engine
from santral.errors import StoreError


async def rewrite(engine: Engine, tables: Iterable[str]) -> None:
    """Write SQLite's file anew; on PostgreSQL give the space of deleted rows of ``tables`` free.

    PostgreSQL overwrites that space as it is used again.

    Raises:
        StoreError: somebody reads for so long that it has to be tried again.
    """
    if engine.dialect.name == "postgresql":
        async with engine.connect() as conn:
            alone = await conn.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text(f"VACUUM {', '.join(tables)}"))
        return
    async with engine.connect() as conn:
        raw = (await conn.get_raw_connection()).driver_connection
        assert raw is not None  # noqa: S101 - it was just taken
        # The driver's own connection: not possible in a transaction.
        for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            cursor = await raw.execute(statement)
            row = await cursor.fetchone()
            await cursor.close()
            if row is not None and row[0]:
                raise StoreError(
                    "The log of the control database cannot be emptied while somebody reads. It is "
                    "tried again."
                )
