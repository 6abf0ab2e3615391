"""A month of the ledger as files: one of rows for each tenant, and summaries by tag, prompt and model."""

from __future__ import annotations

import asyncio
import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec

from santral.db.engine import Engine, reading
from santral.errors import StoreError
from santral.quota.ledger import store
from santral.quota.ledger.entry import LedgerRow, Place
from santral.quota.ledger.parquet.store import Kind, csv_to_parquet
from santral.quota.ledger.showback import Line, Month, showback, usd
from santral.quota.ledger.store import Dimension
from santral.tenants.tenant import TenantId
from santral.wire.usage import CLASSES

Format = Literal["csv", "parquet"]

#: Rows read at once. Chosen: some megabytes.
PAGE_ROWS = 5_000

_SUMMARIES: dict[str, Dimension] = {"tag": "tags", "prompt": "prompt", "model": "model"}
#: A spreadsheet takes a cell that begins so for a formula. Source: OWASP, CSV Injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

_ROW: dict[str, Kind] = {
    "tenant_id": "VARCHAR",
    "request_id": "VARCHAR",
    "attempt": "BIGINT",
    "kind": "VARCHAR",
    "occurred_at": "TIMESTAMPTZ",
    "day": "DATE",
    "key_id": "VARCHAR",
    "user_id": "VARCHAR",
    "route": "VARCHAR",
    "prompt": "VARCHAR",
    "tags": "VARCHAR",
    "deployment": "VARCHAR",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    **dict.fromkeys(CLASSES, "BIGINT"),
    "is_estimated": "BOOLEAN",
    "cost_nanousd": "BIGINT",
    "cost_usd": "DECIMAL(38,9)",
    "price_version": "VARCHAR",
}
_SUMMARY: dict[str, Kind] = {
    "tenant_id": "VARCHAR",
    "month": "VARCHAR",
    "name": "VARCHAR",
    "attempts": "BIGINT",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_nanousd": "BIGINT",
    "cost_usd": "DECIMAL(38,9)",
    "corrected_nanousd": "BIGINT",
    "unpriced": "BIGINT",
    "estimated": "BIGINT",
}


async def export_month(
    engine: Engine,
    month: Month,
    folder: Path,
    *,
    form: Format = "csv",
    tenants: Sequence[str] | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> list[Path]:
    """Write the files of some tenants, or of all with rows in the month; return their paths.

    A file is there whole or not at all; one of an earlier export is replaced.

    Raises:
        StoreError: the ledger cannot be read, or a file not be written.
    """
    if tenants is None:
        async with reading(engine) as conn:
            tenants = await store.tenants_between(conn, month.first, month.last)
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        paths: list[Path] = []
        for tenant in tenants:
            paths += await _export(engine, TenantId(tenant), month, folder, form, progress)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}.") from None
    return paths


async def _export(
    engine: Engine,
    tenant: TenantId,
    month: Month,
    folder: Path,
    form: Format,
    progress: Callable[[int], None],
) -> list[Path]:
    stem = f"ledger-{month}-{quote(tenant, safe='')}"
    with _File(folder / f"{stem}.{form}", _ROW) as rows:
        after = Place(month.since_s)
        while page := await _page(engine, tenant, after, month.until_s):
            rows.write(map(_row, page))
            progress(len(page))
            after = Place.of(page[-1])
    paths = [rows.path]
    for name, dimension in _SUMMARIES.items():
        async with reading(engine) as conn:
            lines = await showback(conn, tenant, dimension, month)
        with _File(folder / f"{stem}-by-{name}.{form}", _SUMMARY) as summary:
            summary.write(_summary(tenant, month, line) for line in lines)
        paths.append(summary.path)
    return paths


async def _page(engine: Engine, tenant: TenantId, after: Place, until_s: int) -> list[LedgerRow]:
    async with reading(engine) as conn:
        return await store.billed_page(conn, tenant, after, until_s, PAGE_ROWS)


class _File:
    """A file that appears under its name when the block ends well."""

    def __init__(self, path: Path, columns: dict[str, Kind]) -> None:
        self.path = path
        self._columns = columns
        self._is_csv = path.suffix == ".csv"
        self._making = path.with_name(f".{path.name}.{os.getpid()}.making")

    def __enter__(self) -> _File:
        self._file = self._making.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(self._columns)
        return self

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows, their cells in the order of the columns."""
        texts = [self._is_csv and kind == "VARCHAR" for kind in self._columns.values()]
        self._writer.writerows(
            [_harmless(cell) if text else cell for text, cell in zip(texts, row, strict=True)]
            for row in rows
        )

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        try:
            if kind is None:
                self._finish()
        finally:
            self._making.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._is_csv:
            self._making.replace(self.path)
            return
        parquet = self._making.with_suffix(".parquet")
        try:
            csv_to_parquet(self._making, parquet, self._columns)
            parquet.replace(self.path)
        finally:
            parquet.unlink(missing_ok=True)


def _harmless(cell: object) -> object:
    """Return a text that no spreadsheet runs as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _row(row: LedgerRow) -> list[object]:
    made = {
        "occurred_at": row.occurred_at.isoformat(),
        "tags": msgspec.json.encode(row.tags).decode() if row.tags else "",
        "is_estimated": "true" if row.is_estimated else "false",
        "cost_usd": "" if row.cost_nanousd is None else usd(row.cost_nanousd),
    }
    return [made[name] if name in made else getattr(row, name) for name in _ROW]


def _summary(tenant: TenantId, month: Month, line: Line) -> list[object]:
    made = {
        "tenant_id": tenant,
        "month": str(month),
        "name": line.name,
        "cost_usd": usd(line.used.cost_nanousd),
    }
    return [made[name] if name in made else getattr(line.used, name) for name in _SUMMARY]
