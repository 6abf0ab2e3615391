"""Pages of the ledger: what a month cost, by model, prompt, route and tag, and its export."""

from __future__ import annotations

import asyncio
import io
import tempfile
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import cast, get_args

from fastapi import Response

from santral.console.frame import Frame, Visit
from santral.console.pick import pick_tenant, tenant_choices
from santral.console.render import HEADERS
from santral.console.traces import choice
from santral.db.engine import reading
from santral.errors import Overloaded
from santral.quota.ledger.entry import Used
from santral.quota.ledger.export import export_month
from santral.quota.ledger.showback import Line, Month, invoice, showback
from santral.quota.ledger.store import Dimension
from santral.quota.ledger.write import show_ledger
from santral.tenants.tenant import TenantId, tenant_id

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
VIEWS = ("day", *DIMENSIONS)
#: Months that can be chosen from. Chosen.
_MONTHS = 13
#: How long a page waits for an export; beyond it, the command line writes it. Chosen.
_EXPORT_S = 60.0


class LedgerPages:
    """The pages over the ledger."""

    def __init__(self, frame: Frame) -> None:
        frame.show("/ledger", self.month)
        frame.show("/ledger/export", self.export)

    async def month(self, visit: Visit) -> Response:
        """What a tenant and everything beneath it used in a month."""
        choices = await tenant_choices(visit, "ledger.read")
        tenant = pick_tenant(visit, choices, "ledger.read")
        month, by = _month(visit), choice(visit.asked("by"), VIEWS, "model")
        bill = await invoice(visit.engine, tenant, month, by=visit.principal)
        lines = await _lines(visit, tenant, by, month)
        return visit.page(
            "ledger.html",
            tenant=tenant,
            choices=choices,
            month=str(month),
            months=_months(visit),
            by=by,
            views=VIEWS,
            bill=bill,
            lines=lines,
            most=max((line.used.cost_nanousd for line in lines), default=0),
        )

    async def export(self, visit: Visit) -> Response:
        """The rows of a tenant's month, and its summaries, as files in one archive."""
        tenant, month = tenant_id(visit.asked("tenant")), Month.parse(visit.asked("month"))
        visit.principal.require("ledger.read", tenant)
        form = "parquet" if visit.asked("form") == "parquet" else "csv"
        with tempfile.TemporaryDirectory() as folder:
            try:
                async with asyncio.timeout(_EXPORT_S):
                    files = await export_month(
                        visit.engine, month, Path(folder), form=form, tenants=[tenant]
                    )
            except TimeoutError:
                raise Overloaded(
                    "The month is larger than a page can wait for. Write it on the command line: "
                    f"santral ledger export --month {month} --tenant {tenant}"
                ) from None
            archive = await asyncio.to_thread(_packed, files)
        headers = {
            **HEADERS,
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="ledger-{month}-{tenant}.zip"',
        }
        return Response(archive, 200, headers, "application/zip")


async def _lines(visit: Visit, tenant: TenantId, by: str, month: Month) -> list[Line]:
    """Return what the tenant used itself: the latest day first, else the dearest first."""
    if by == "day":
        return await _by_day(visit, tenant, month)
    async with reading(visit.engine) as conn:
        lines = await showback(conn, tenant, cast("Dimension", by), month)
    return sorted(lines, key=lambda line: -line.used.cost_nanousd)


async def _by_day(visit: Visit, tenant: TenantId, month: Month) -> list[Line]:
    sums: dict[date, Used] = {}
    for day, _, _, spent in await show_ledger(visit.engine, tenant, None, by=visit.principal):
        if month.first <= day <= month.last:
            used = Used(
                attempts=spent.attempts,
                input_tokens=spent.tokens,
                cost_nanousd=spent.cost_nanousd,
                unpriced=spent.unpriced,
                estimated=spent.estimated,
            )
            sums[day] = sums[day].plus(used) if day in sums else used
    return [Line(name=day.isoformat(), used=sums[day]) for day in sorted(sums, reverse=True)]


def _month(visit: Visit) -> Month:
    return Month.parse(visit.asked("month") or f"{visit.now:%Y-%m}")


def _months(visit: Visit) -> list[str]:
    """Return the latest months, the newest first."""
    first, found = visit.now.replace(day=1), list[str]()
    for _ in range(_MONTHS):
        found.append(f"{first:%Y-%m}")
        first = (first - timedelta(days=1)).replace(day=1)
    return found


def _packed(files: list[Path]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    return packed.getvalue()
