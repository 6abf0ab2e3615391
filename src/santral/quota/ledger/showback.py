"""Who used what in a month: by model, prompt, route and tag, and as an invoice whose lines add up."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time

import msgspec
from msgspec import Struct

from santral.db.engine import Connection, Engine, reading
from santral.errors import BadRequest
from santral.quota.ledger import store
from santral.quota.ledger.entry import Used
from santral.quota.ledger.store import Dimension
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.store import load_tree
from santral.tenants.tenant import TenantId

#: What stands for rows that name no prompt, or have no tags.
NONE = "(none)"
_NANO = 10**9


class Month(Struct, frozen=True):
    """A month of UTC days."""

    first: date
    last: date

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read ``2026-11``.

        Raises:
            BadRequest: it is no month.
        """
        found = re.fullmatch(r"(\d{4})-(\d{2})", text)
        if found is None or not 1 <= int(found[2]) <= 12 or int(found[1]) == 0:
            raise BadRequest(f"'{text[:40]}' is no month. Write it as 2026-11.", param="month")
        year, month = int(found[1]), int(found[2])
        return cls(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def since_s(self) -> int:
        """When it begins, in seconds since 1970."""
        return _midnight_s(self.first)

    @property
    def until_s(self) -> int:
        """When it is over."""
        return _midnight_s(self.last) + 86_400


class Line(Struct, frozen=True, kw_only=True):
    """What one model, prompt, route or tag used."""

    name: str
    used: Used


class Part(Struct, frozen=True, kw_only=True):
    """What one tenant pays for: lines by model, and their sum."""

    tenant_id: str
    lines: list[Line]
    total: Used


class Invoice(Struct, frozen=True, kw_only=True):
    """What a tenant and everything beneath it used in a month. Derived from the rows, never kept."""

    tenant_id: str
    month: str
    parts: list[Part]  # the tenant's own, then of each tenant beneath it that used something
    total: Used

    @property
    def own(self) -> Used:
        """What the tenant used itself."""
        return next((p.total for p in self.parts if p.tenant_id == self.tenant_id), Used())


async def invoice(engine: Engine, tenant: str, month: Month, *, by: Principal) -> Invoice:
    """Return the invoice of a tenant, with the subtotals of what is beneath it.

    Raises:
        NotFound: no such tenant.
        NotAllowed: ``by`` may not read its ledger.
    """
    by.require("ledger.read", TenantId(tenant))
    async with reading(engine) as conn:
        if TenantId(tenant) not in await load_tree(conn):
            await known_tenant(conn, tenant)
        beneath = (await load_tree(conn)).beneath([TenantId(tenant)]) - {TenantId(tenant)}
        tenants = [tenant, *sorted(beneath)]
        rows = await store.used_by(conn, tenants, "model", month.first, month.last)
    parts = [_part(one, [row for row in rows if row[0] == one]) for one in tenants]
    parts = [part for part in parts if part.lines or part.tenant_id == tenant]
    return Invoice(
        tenant_id=tenant,
        month=str(month),
        parts=parts,
        total=_sum(part.total for part in parts),
    )


async def showback(
    conn: Connection, tenant_id: TenantId, by: Dimension, month: Month
) -> list[Line]:
    """Return what each model, prompt, route or tag of a tenant used in a month.

    A request with two tags stands in the lines of both: lines by tag add up to more than the total.
    """
    rows = await store.used_by(conn, [tenant_id], by, month.first, month.last)
    sums: dict[str, Used] = {}
    for _, text, used in rows:
        for name in _names(by, text):
            sums[name] = sums[name].plus(used) if name in sums else used
    return [Line(name=name, used=sums[name]) for name in sorted(sums)]


def usd(nanousd: int) -> str:
    """Return an amount in dollars with all its digits."""
    sign, amount = ("-", -nanousd) if nanousd < 0 else ("", nanousd)
    return f"{sign}{amount // _NANO}.{amount % _NANO:09d}"


def _part(tenant: str, rows: Sequence[tuple[str, str, Used]]) -> Part:
    lines = [Line(name=model, used=used) for _, model, used in rows]
    return Part(tenant_id=tenant, lines=lines, total=_sum(line.used for line in lines))


def _sum(parts: Iterable[Used]) -> Used:
    total = Used()
    for part in parts:
        total = total.plus(part)
    return total


def _names(by: Dimension, text: str) -> list[str]:
    if by != "tags":
        return [text or NONE]
    tags: dict[str, str] = msgspec.json.decode(text or "{}")
    return [f"{name}={value}" for name, value in tags.items()] or [NONE]


def _midnight_s(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
