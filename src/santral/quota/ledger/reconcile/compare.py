"""The ledger beside a provider's report: what differs, by how much, and whether that is too much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from santral.db.engine import Engine, reading
from santral.errors import BadRequest
from santral.providers.catalogue.prices import names_of
from santral.quota.ledger import store
from santral.quota.ledger.entry import Used
from santral.quota.ledger.reconcile.pages import read_pages
from santral.quota.ledger.reconcile.report import Line, Report
from santral.quota.ledger.reconcile.sheets import read_sheet

Measure = Literal["input", "output", "USD"]

#: Largest export that is read, in bytes. Chosen: a year by minute and model is a tenth of it.
MAX_BYTES = 256 * 2**20
_NANO = 10**9

_Key = tuple[date, str]
_Number = TypeVar("_Number", int, Decimal)


class Tolerance(Struct, frozen=True, kw_only=True):
    """How far two numbers may lie apart. Providers round invoices; tokens they do not."""

    percent: Decimal = Decimal("0.5")
    usd: Decimal = Decimal("0.01")  # below it a difference of money is rounding


class Difference(Struct, frozen=True, kw_only=True):
    """One number that the ledger and the provider say differently."""

    day: date
    model: str
    measure: Measure
    ours: Decimal
    theirs: Decimal
    is_tolerated: bool
    estimated: int  # of our attempts there: their tokens were counted by us

    @property
    def difference(self) -> Decimal:
        """What the ledger has more."""
        return self.ours - self.theirs

    @property
    def percent(self) -> Decimal | None:
        """The difference by what the provider says; None where it says nothing was used."""
        return self.difference / self.theirs * 100 if self.theirs else None


class Comparison(Struct, frozen=True, kw_only=True):
    """A report and what it says differently."""

    report: Report
    compared: int  # numbers
    differences: list[Difference]
    unpriced: int  # rows of the ledger in that time whose price is unknown

    @property
    def agrees(self) -> bool:
        """Whether every difference is tolerated."""
        return all(one.is_tolerated for one in self.differences)


def read_report(path: Path) -> Report:
    """Read a provider's export, JSON or CSV.

    Raises:
        BadRequest: it cannot be read, or is no export that is known; names file, line and column.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadRequest(f"{path}: larger than {MAX_BYTES // 2**20} MiB. Export less at once.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path}: cannot be read: {error}.") from None
    if not text.strip():
        raise BadRequest(f"{path}: is empty.")
    is_json = text.lstrip()[0] in "{["
    return read_pages(text, str(path)) if is_json else read_sheet(text, str(path))


async def reconcile(
    engine: Engine, provider: str, report: Report, tolerance: Tolerance
) -> Comparison:
    """Compare the days that ``report`` covers with the attempts at deployments of ``provider``.

    Mirrored requests count, and corrections do: the provider bills the first, and the second are
    what the ledger says today.

    Raises:
        BadRequest: the report is by model in part only.
    """
    if report.days is None:
        return Comparison(report=report, compared=0, differences=[], unpriced=0)
    async with reading(engine) as conn:
        used = await store.used_by_day(conn, provider, *report.days)
    name = _namer(report)
    ours: dict[_Key, Used] = {}
    for (day, model), one in used.items():
        key = (day, name(model))
        ours[key] = ours[key].plus(one) if key in ours else one
    theirs = _summed(report.lines, name)
    differences = [
        difference
        for key in sorted(ours.keys() | theirs.keys())
        for difference in _differences(
            key, ours.get(key, Used()), theirs.get(key), report, tolerance
        )
    ]
    return Comparison(
        report=report,
        compared=len(ours.keys() | theirs.keys()) * len(_measures(report)),
        differences=differences,
        unpriced=sum(one.unpriced for one in ours.values()),
    )


def _namer(report: Report) -> Callable[[str], str]:
    """Return what makes names equal: providers name snapshots, and bill them as their model."""
    with_model = [line for line in report.lines if line.model]
    if not with_model:
        return lambda model: ""
    if len(with_model) < len(report.lines):
        raise BadRequest(
            "Some lines of the export name a model and some do not. Export it grouped by model (of "
            "costs: by line item or description)."
        )
    return lambda model: names_of(model.lower())[-1].replace(".", "-").removeprefix("models/")


def _summed(lines: Iterable[Line], name: Callable[[str], str]) -> dict[_Key, Line]:
    sums: dict[_Key, Line] = {}
    for line in lines:
        key = (line.day, name(line.model))
        had = sums.get(key)
        sums[key] = Line(
            day=line.day,
            model=key[1],
            input_tokens=_plus(line.input_tokens, had.input_tokens if had else None),
            output_tokens=_plus(line.output_tokens, had.output_tokens if had else None),
            cost_usd=_plus(line.cost_usd, had.cost_usd if had else None),
        )
    return sums


def _plus(one: _Number | None, other: _Number | None) -> _Number | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _measures(report: Report) -> Mapping[Measure, bool]:
    lines = report.lines
    said: dict[Measure, bool] = {
        "input": any(line.input_tokens is not None for line in lines),
        "output": any(line.output_tokens is not None for line in lines),
        "USD": any(line.cost_usd is not None for line in lines),
    }
    return {measure: is_said for measure, is_said in said.items() if is_said}


def _differences(
    key: _Key, ours: Used, theirs: Line | None, report: Report, tolerance: Tolerance
) -> Iterable[Difference]:
    said = theirs or Line(day=key[0], model=key[1])
    pairs: dict[Measure, tuple[Decimal, Decimal]] = {
        "input": (Decimal(ours.input_tokens), Decimal(said.input_tokens or 0)),
        "output": (Decimal(ours.output_tokens), Decimal(said.output_tokens or 0)),
        "USD": (Decimal(ours.cost_nanousd) / _NANO, said.cost_usd or Decimal(0)),
    }
    for measure in _measures(report):
        mine, other = pairs[measure]
        if mine == other:
            continue
        far = abs(mine - other)
        is_tolerated = far * 100 <= tolerance.percent * other
        if measure == "USD":
            is_tolerated = is_tolerated or far <= tolerance.usd
        yield Difference(
            day=key[0],
            model=key[1],
            measure=measure,
            ours=mine,
            theirs=other,
            is_tolerated=is_tolerated,
            estimated=ours.estimated,
        )
