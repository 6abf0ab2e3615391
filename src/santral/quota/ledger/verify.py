"""Prove that rows, traces and the providers' usage agree, a slice of time after the other.

The row and the trace of a request bear the second in which it began, so a slice of one holds whatever
the same slice of the other must answer for, and memory holds one slice.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Protocol, TypeAlias, TypeVar

from msgspec import Struct

from santral.db.engine import Engine, reading
from santral.providers.catalogue.archive import PriceArchive
from santral.quota.ledger import store
from santral.quota.ledger.entry import ERASED, REPRICE, SETTLE, SHADOW, LedgerRow, usage_of
from santral.quota.ledger.reprice import cost_by, total
from santral.tenants.inherit import inherited
from santral.tenants.tenant import Tenant
from santral.traces.question import BilledAttempt

#: Rows, or attempts, of one slice. Chosen: some tens of megabytes.
MOST = 20_000
#: The longest slice: what is empty is passed over in steps of this many seconds. Chosen.
_LONGEST_S = 2**22
#: What ended so lately may be on its way from the ledger to the traces, in seconds. Chosen.
_FRESH_S = 900
#: How long a slice with such requests waits before it is read again, in seconds. Chosen: collecting
#: takes about one.
_SETTLES_S = 3.0

_Slice: TypeAlias = tuple[list[LedgerRow], list[BilledAttempt]]
_Item = TypeVar("_Item")
_SAME = ("tenant_id", "deployment", "provider", "model", "price_version", "price_row")
_SAME_TOO = ("price_variant", "cost_nanousd")


class Disagreement(Struct, frozen=True, kw_only=True):
    """One thing that does not agree, with the ids by which it is found."""

    what: str
    tenant_id: str
    request_id: str
    attempt: int
    trace_id: str = ""
    detail: str = ""


class Verified(Struct, kw_only=True):
    """What was looked at, and what could not be proved."""

    rows: int = 0
    attempts: int = 0
    corrections: int = 0
    disagreements: int = 0
    outlived: int = 0  # rows whose trace is gone by the tenant's retention, or erased
    unproved: dict[str, int] = {}  # rows by version of prices of which no copy is kept

    @property
    def is_proved(self) -> bool:
        """Whether everything agrees and nothing was left out."""
        return not self.disagreements and not self.unproved


class Traces(Protocol):
    """Gives the attempts that traces know of; it may be asked in a thread."""

    def billed(
        self, tenant: str | None, since_us: int, until_us: int, limit: int
    ) -> list[BilledAttempt]: ...


class Case(Struct, frozen=True, kw_only=True):
    """What is verified, and against what."""

    since_s: int
    until_s: int
    now_s: int
    tenant: str | None = None
    keeps_since_s: Mapping[str, int] = {}  # by tenant: how long ago its traces may be removed


async def verify(
    engine: Engine,
    traces: Traces,
    prices: PriceArchive,
    case: Case,
    *,
    tell: Callable[[Disagreement], None],
    progress: Callable[[int], None] = lambda rows: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Verified:
    """Compare a window and ``tell`` of every disagreement.

    Raises:
        StoreError: ledger or traces cannot be read.
    """
    done = Verified()
    proof = _Proof(prices, case, done)
    slices = _Slices(engine, traces, case)
    async for first, span in slices.read():
        slice_ = first
        found = list(proof.disagreements(*slice_))
        if found and span[1] > case.now_s - _FRESH_S:
            await sleep(_SETTLES_S)
            slice_ = await slices.take(*span, limit=None)
            found = list(proof.disagreements(*slice_))
        proof.count(*slice_, found)
        progress(sum(row.kind == SETTLE for row in slice_[0]))
        for one in found:
            tell(one)
    return done


def kept_since(tenants: Iterable[Tenant], default_days: int | None, now_s: int) -> dict[str, int]:
    """Return by tenant since when its traces must still be there, in seconds since 1970."""
    days = {tenant.id: tenant.retention_days or default_days for tenant in inherited(tenants)}
    return {tenant: now_s - kept * 86_400 for tenant, kept in days.items() if kept is not None}


class _Slices:
    """Cuts the window so that no slice holds much more than ``MOST``."""

    def __init__(self, engine: Engine, traces: Traces, case: Case) -> None:
        self._engine = engine
        self._traces = traces
        self._case = case

    async def read(self) -> AsyncGenerator[tuple[_Slice, tuple[int, int]]]:
        """Yield every slice and from when to when it reaches."""
        at, length = self._case.since_s, 60
        while at < self._case.until_s:
            end = min(at + length, self._case.until_s)
            limit = MOST + 1 if end - at > 1 else None
            rows, attempts = await self.take(at, end, limit=limit)
            most = max(len(rows), len(attempts))
            if limit is not None and most > MOST:
                length = max(1, (end - at) // 2)
                continue
            yield (rows, attempts), (at, end)
            at = end
            if most <= MOST // 4:
                length = min(2 * length, _LONGEST_S)

    async def take(self, since_s: int, until_s: int, *, limit: int | None) -> _Slice:
        """Return what both hold of a slice."""
        tenant, most = self._case.tenant, limit or 2**31
        tenants = None if tenant is None else [tenant]
        async with reading(self._engine) as conn:
            rows = await store.rows_between(conn, tenants, since_s, until_s, most)
        span = (since_s * 1_000_000, until_s * 1_000_000)
        return rows, await asyncio.to_thread(self._traces.billed, tenant, *span, most)


class _Proof:
    """Says what does not agree within one slice."""

    def __init__(self, prices: PriceArchive, case: Case, done: Verified) -> None:
        self._prices = prices
        self._case = case
        self._done = done

    def disagreements(
        self, rows: Sequence[LedgerRow], attempts: Sequence[BilledAttempt]
    ) -> Iterator[Disagreement]:
        """Yield whatever does not agree."""
        settled = _grouped((r.request_id, r.attempt, r) for r in rows if _is_attempt(r))
        corrected = _grouped((r.request_id, r.attempt, r) for r in rows if not _is_attempt(r))
        traced = _grouped((a.request_id, a.number, a) for a in attempts)
        for key, known in traced.items():
            yield from _matched(known, settled.get(key, []))
        for key, known in settled.items():
            if key not in traced and not self._may_be_gone(known[0]):
                yield _about(known[0], "row without trace")
            for row in known:
                yield from self._priced(row, corrected.get(key, []))
        for key, known in corrected.items():
            if key not in settled:
                yield _about(known[0], "correction of no row", known[0].kind)

    def count(
        self,
        rows: Sequence[LedgerRow],
        attempts: Sequence[BilledAttempt],
        found: Sequence[Disagreement],
    ) -> None:
        """Add a slice to the sums."""
        done = self._done
        traced = {(attempt.request_id, attempt.number) for attempt in attempts}
        done.attempts += len(attempts)
        done.disagreements += len(found)
        for row in rows:
            if not _is_attempt(row):
                done.corrections += 1
                continue
            done.rows += 1
            if (row.request_id, row.attempt) not in traced and self._may_be_gone(row):
                done.outlived += 1
        for row in rows:
            version = row.price_version
            is_priced = usage_of(row).total_tokens or not _is_attempt(row)
            if is_priced and not self._prices.books(version):
                done.unproved[version] = done.unproved.get(version, 0) + 1

    def _may_be_gone(self, row: LedgerRow) -> bool:
        if row.user_id.startswith(ERASED):
            return True
        return row.occurred_s < self._case.keeps_since_s.get(row.tenant_id, 0)

    def _priced(self, row: LedgerRow, corrections: Sequence[LedgerRow]) -> Iterator[Disagreement]:
        """Compute the cost again, by the prices that the row names and those of its corrections."""
        costs = self._costs(row, [row.price_version])
        if costs and row.cost_nanousd not in costs:
            yield _about(
                row,
                "cost is not usage times price",
                f"row {_nano(row.cost_nanousd)}, by {row.price_version} {_any(costs)}",
            )
        if corrections:
            sums = total(row, corrections)
            costs = self._costs(row, [correction.price_version for correction in corrections])
            if costs and sums not in costs:
                versions = ", ".join(correction.price_version for correction in corrections)
                detail = f"corrected to {_nano(sums)}, by {versions} {_any(costs)}"
                yield _about(row, "corrections do not make the price", detail)

    def _costs(self, row: LedgerRow, versions: Iterable[str]) -> set[int | None]:
        """Return what a row costs by each version of which prices are kept."""
        if not usage_of(row).total_tokens:
            return {0}
        return {cost_by(book, row) for version in versions for book in self._prices.books(version)}


def _matched(
    attempts: Sequence[BilledAttempt], rows: Sequence[LedgerRow]
) -> Iterator[Disagreement]:
    """Yield how an attempt of a trace and its row differ: there must be one of each."""
    one = attempts[0]
    for again in attempts[1:]:
        yield _of(again, "two attempts with one number", f"traces {one.trace_id}, {again.trace_id}")
    if not rows:
        yield _of(one, "attempt without row")
        return
    if len(rows) > 1:
        yield _of(one, "two rows of one attempt", ", ".join(row.kind for row in rows))
    row = rows[0]
    differences = [
        f"{name}: row {getattr(row, name)!r}, trace {getattr(one, name)!r}"
        for name in (*_SAME, *_SAME_TOO)
        if getattr(row, name) != getattr(one, name)
    ]
    kind = SHADOW if one.purpose == SHADOW else SETTLE
    if row.kind != kind:
        differences.append(f"kind: row '{row.kind}', trace '{kind}'")
    if usage_of(row) != one.usage:
        differences.append(f"usage: row {usage_of(row)}, trace {one.usage}")
    if differences:
        yield _of(one, "row and trace differ", "; ".join(differences))


def _grouped(items: Iterable[tuple[str, int, _Item]]) -> dict[tuple[str, int], list[_Item]]:
    groups: dict[tuple[str, int], list[_Item]] = {}
    for request_id, number, item in items:
        groups.setdefault((request_id, number), []).append(item)
    return groups


def _is_attempt(row: LedgerRow) -> bool:
    return not row.kind.startswith(REPRICE)


def _about(row: LedgerRow, what: str, detail: str = "") -> Disagreement:
    return Disagreement(
        what=what,
        tenant_id=row.tenant_id,
        request_id=row.request_id,
        attempt=row.attempt,
        detail=detail,
    )


def _of(attempt: BilledAttempt, what: str, detail: str = "") -> Disagreement:
    return Disagreement(
        what=what,
        tenant_id=attempt.tenant_id,
        request_id=attempt.request_id,
        attempt=attempt.number,
        trace_id=attempt.trace_id,
        detail=detail,
    )


def _nano(cost: int | None) -> str:
    return "unknown" if cost is None else f"{cost} nano-USD"


def _any(costs: set[int | None]) -> str:
    return " or ".join(sorted(map(_nano, costs)))
