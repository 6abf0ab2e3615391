"""What was spent, as rows that are only ever added: balances are sums over them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from santral.db.engine import Engine, reading, writing
from santral.quota.ledger import store
from santral.quota.ledger.entry import Balance, ledger_rows
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.store import load_tree
from santral.tenants.tenant import TenantId
from santral.traces.record import TraceRecord

#: Rows of one transaction. Measured: past some hundred the cost of a row no longer falls, and a
#: transaction of this size holds SQLite's write lock for some milliseconds.
BATCH_ROWS = 500


async def write_ledger(engine: Engine, records: Iterable[TraceRecord]) -> int:
    """Add the rows of ``records`` and return how many were sent; those already there stay as they are.

    After an error some batches may be written: send all again.

    Raises:
        StoreError: the database cannot be used.
    """
    rows = [row for record in records for row in ledger_rows(record)]
    for start in range(0, len(rows), BATCH_ROWS):
        async with writing(engine) as conn:
            await store.insert_rows(conn, rows[start : start + BATCH_ROWS])
    return len(rows)


async def show_ledger(
    engine: Engine, tenant: str, day: date | None, *, by: Principal
) -> list[tuple[date, str, str, Balance]]:
    """Return what a tenant used by day, route and model, the latest day first.

    Raises:
        NotFound: no such tenant.
        NotAllowed: ``by`` may not read its ledger.
    """
    by.require("ledger.read", TenantId(tenant))
    async with reading(engine) as conn:
        if TenantId(tenant) not in await load_tree(conn):  # what a deleted one spent stays its own
            await known_tenant(conn, tenant)
        return await store.balances_by_day(conn, TenantId(tenant), day)
