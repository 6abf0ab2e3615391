"""The ledger beside a provider's report."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.quota.ledger.test_write import NOON, attempt, record

from santral.db.engine import Engine
from santral.errors import BadRequest
from santral.quota.ledger.reconcile.compare import Comparison, Tolerance, reconcile
from santral.quota.ledger.reconcile.report import Line, Report
from santral.quota.ledger.write import write_ledger
from santral.wire.usage import Usage

pytestmark = pytest.mark.anyio

DAY = NOON.date()
EXACT = Tolerance(percent=Decimal(0), usd=Decimal(0))


def report(*lines: Line, last: date = DAY) -> Report:
    return Report(shape="plain CSV", lines=list(lines), days=(DAY, last))


def line(model: str = "gpt", **said: object) -> Line:
    return Line(day=DAY, model=model, **said)  # pyright: ignore[reportArgumentType]


async def compared(engine: Engine, *lines: Line, tolerance: Tolerance = EXACT) -> Comparison:
    return await reconcile(engine, "openai", report(*lines), tolerance)


async def test_equal_numbers_agree(engine: Engine) -> None:
    await write_ledger(
        engine, [record("r1", attempt(cost=10**9)), record("r2.s1", attempt(cost=1))]
    )
    said = line(input_tokens=30, output_tokens=10, cost_usd=Decimal("1.000000001"))
    done = await compared(engine, said)
    assert (done.differences, done.compared, done.agrees) == ([], 3, True)


async def test_a_mirrored_request_counts_because_the_provider_bills_it(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(purpose="shadow"))])
    assert (await compared(engine, line(input_tokens=15, output_tokens=5))).agrees


async def test_differences_are_told_by_day_model_and_measure(engine: Engine) -> None:
    estimated = attempt(cost=None, usage=Usage(input_uncached=10, is_estimated=True), model="mini")
    await write_ledger(engine, [record("r1", attempt(cost=2 * 10**9)), record("r2", estimated)])
    done = await compared(
        engine,
        line(input_tokens=20, output_tokens=5, cost_usd=Decimal(2)),
        line("other", input_tokens=1, output_tokens=0, cost_usd=Decimal(0)),
    )
    told = [
        (d.model, d.measure, d.ours, d.theirs, d.percent, d.estimated) for d in done.differences
    ]
    assert told == [
        ("gpt", "input", 15, 20, -25, 0),
        ("mini", "input", 10, 0, None, 1),
        ("other", "input", 0, 1, -100, 0),
    ]
    assert (done.agrees, done.unpriced) == (False, 1)


async def test_a_tolerance_is_for_rounding(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(cost=10**9))])
    loose = Tolerance(percent=Decimal(1), usd=Decimal("0.02"))
    near = line(cost_usd=Decimal("0.985"))
    far = line(cost_usd=Decimal("0.97"))
    assert (await compared(engine, near, tolerance=loose)).agrees
    assert not (await compared(engine, far, tolerance=loose)).agrees
    assert not (await compared(engine, near)).agrees


async def test_snapshots_and_names_for_people_are_the_same_model(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(model="claude-opus-4-6"))])
    done = await compared(
        engine,
        line("claude-opus-4-6-20260101", input_tokens=10),
        line("Claude-Opus-4.6", input_tokens=5),
    )
    assert done.agrees


async def test_a_report_that_is_not_by_model_is_compared_by_day(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(), attempt(2, model="mini"))])
    assert (await compared(engine, line("", input_tokens=30, output_tokens=10))).agrees
    with pytest.raises(BadRequest, match="grouped by model"):
        await compared(engine, line(""), line())


async def test_only_the_days_of_the_report_and_its_provider_are_compared(engine: Engine) -> None:
    await write_ledger(
        engine,
        [
            record("r1", attempt()),
            record("r2", attempt(provider="anthropic")),
            record("r3", attempt(), started_at_us=int((NOON.timestamp() + 86_400) * 1e6)),
        ],
    )
    said = line(input_tokens=15, output_tokens=5)
    assert (await compared(engine, said)).agrees
    both = report(said, last=date(2026, 11, 23))
    done = await reconcile(engine, "openai", both, EXACT)
    assert {d.day.day for d in done.differences} == {23}
