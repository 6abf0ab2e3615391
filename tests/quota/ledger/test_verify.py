"""Rows, traces and usage times price agree, or every disagreement is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.providers.test_archive import price_file
from tests.quota.ledger.test_reprice import BY, DAY, S
from tests.quota.ledger.test_write import attempt, record

from santral.db.engine import Engine
from santral.providers.catalogue.archive import PriceArchive, keep_prices
from santral.quota.ledger import verify as module
from santral.quota.ledger.reprice import reprice
from santral.quota.ledger.verify import Case, Disagreement, Verified, verify
from santral.quota.ledger.write import write_ledger
from santral.traces.ask import StoppedStore
from santral.traces.question import Progress
from santral.traces.record import AttemptRecord, TraceRecord
from santral.traces.store import TraceStore
from santral.wire.usage import Usage

pytestmark = pytest.mark.anyio

CASE = Case(since_s=S - 86_400, until_s=S + 86_400, now_s=S + 86_400)
#: By the price file of these tests: 15 input tokens at 2 dollars a million, 5 of output at 1.
COST = 15 * 2_000 + 5 * 1_000


def billed(number: int = 1, cost: int | None = COST, **changes: object) -> AttemptRecord:
    named = {"model": "own", "price_version": "may"}
    return attempt(number, cost, **(named | changes))


def usual(request: str, **changes: object) -> TraceRecord:
    return record(request, billed(), **changes)


@pytest.fixture
def prices(tmp_path: Path) -> PriceArchive:
    keep_prices(tmp_path, price_file(tmp_path / "own.toml", "may", "2"))
    return PriceArchive(tmp_path)


async def stored(path: Path, records: Sequence[TraceRecord]) -> StoppedStore:
    store = TraceStore(path / "telemetry.duckdb")
    await store.insert(records, Progress(segment=""))
    await store.close()
    return StoppedStore(path / "telemetry.duckdb")


async def verified(
    engine: Engine,
    traces: StoppedStore,
    prices: PriceArchive,
    case: Case = CASE,
) -> tuple[Verified, list[Disagreement]]:
    told: list[Disagreement] = []
    return await verify(engine, traces, prices, case, tell=told.append), told


async def test_what_agrees_is_proved(engine: Engine, tmp_path: Path, prices: PriceArchive) -> None:
    made = [
        usual("r1"),
        record("r2", billed(1), billed(2, 0, usage=None), billed(3, 0, usage=Usage())),
        record("r3", billed(1, None, usage=None, error="provider_failed")),
        record("r4", billed(1, None, model="unheard")),
        record("r5.s1", billed(purpose="shadow")),
        usual("r6", tenant_id="globex", started_at_us=int((S - 50_000) * 1e6) + 999_999),
    ]
    await write_ledger(engine, made)
    done, told = await verified(engine, await stored(tmp_path, made), prices)
    assert told == []
    assert (done.rows, done.attempts, done.is_proved) == (7, 7, True)


async def test_every_disagreement_is_told_with_its_ids(
    engine: Engine, tmp_path: Path, prices: PriceArchive
) -> None:
    in_ledger = [
        usual("r-alone"),
        record("r-cost", billed(cost=COST + 1)),
        record("r-usage", billed(usage=Usage(input_uncached=15, output_text=4, reasoning=1))),
        usual("r-tenant", tenant_id="globex"),
        record("r-price", billed(cost=COST - 1)),
        record("r-two", billed(), billed(purpose="shadow")),
        usual("r-fine"),
    ]
    traced = [
        usual("r-none"),
        usual("r-cost"),
        usual("r-usage"),
        usual("r-tenant"),
        record("r-price", billed(cost=COST - 1)),
        usual("r-two"),
        usual("r-fine"),
    ]
    await write_ledger(engine, in_ledger)
    done, told = await verified(engine, await stored(tmp_path, traced), prices)
    found = {(one.request_id, one.what) for one in told}
    assert found == {
        ("r-alone", "row without trace"),
        ("r-none", "attempt without row"),
        ("r-cost", "row and trace differ"),
        ("r-cost", "cost is not usage times price"),
        ("r-usage", "row and trace differ"),
        ("r-tenant", "row and trace differ"),
        ("r-price", "cost is not usage times price"),
        ("r-two", "two rows of one attempt"),
    }
    assert done.disagreements == len(told) == 8
    by_what = {(one.request_id, one.what): one for one in told}
    assert by_what["r-none", "attempt without row"].trace_id == "r-none".rjust(32, "0")
    assert by_what["r-price", "cost is not usage times price"].detail == (
        f"row {COST - 1} nano-USD, by may {COST} nano-USD"
    )


async def test_slices_shrink_to_what_memory_holds(
    engine: Engine, tmp_path: Path, prices: PriceArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    at = [S + n // 5 for n in range(40)]  # five in each second: more than a slice should hold
    made = [usual(f"r{n}", started_at_us=s * 1_000_000 + n) for n, s in enumerate(at)]
    await write_ledger(engine, made[:-1])
    done, told = await verified(engine, await stored(tmp_path, made), prices)
    assert [(one.request_id, one.what) for one in told] == [("r39", "attempt without row")]
    assert (done.rows, done.attempts) == (39, 40)


async def test_a_row_outlives_its_trace_by_retention_and_erasure(
    engine: Engine, tmp_path: Path, prices: PriceArchive
) -> None:
    made = [usual("r1"), usual("r2", tenant_id="globex"), usual("r3", user="erased-7")]
    await write_ledger(engine, made)
    kept = msgspec.structs.replace(CASE, keeps_since_s={"acme": S + 1})
    traces = await stored(tmp_path, [usual("r0")])
    await write_ledger(engine, [usual("r0")])
    done, told = await verified(engine, traces, prices, kept)
    assert [(one.request_id, one.what) for one in told] == [("r2", "row without trace")]
    assert done.outlived == 2


async def test_prices_that_are_not_kept_are_named_and_nothing_is_called_proved(
    engine: Engine, tmp_path: Path, prices: PriceArchive
) -> None:
    made = [record("r1", billed(price_version="lost"))]
    await write_ledger(engine, made)
    done, told = await verified(engine, await stored(tmp_path, made), prices)
    assert (told, done.unproved, done.is_proved) == ([], {"lost": 1}, False)


async def test_corrections_are_proved_too(
    engine: Engine, tmp_path: Path, prices: PriceArchive
) -> None:
    made = [usual("r1"), record("r2", billed(cost=None, model="unheard", price_row="openai/own"))]
    await write_ledger(engine, made)
    keep_prices(tmp_path, price_file(tmp_path / "own.toml", "june", "3"))
    both = PriceArchive(tmp_path)
    await reprice(engine, both.book("june"), DAY, actor=BY)
    traces = await stored(tmp_path, made)
    done, told = await verified(engine, traces, both)
    # The second row was written without a price, though its version has one: that is told.
    assert [(one.request_id, one.what) for one in told] == [("r2", "cost is not usage times price")]
    assert done.corrections == 2
    lost = PriceArchive(tmp_path / "elsewhere")
    done, _ = await verified(engine, traces, lost)
    assert done.unproved == {"may": 2, "june": 2}
    wrong = PriceArchive(tmp_path, price_file(tmp_path / "given.toml", "june", "4"))
    _, told = await verified(engine, traces, wrong)
    assert {one.what for one in told} == {
        "cost is not usage times price",
        "corrections do not make the price",
    }


async def test_what_is_on_its_way_is_looked_at_again(
    engine: Engine, tmp_path: Path, prices: PriceArchive
) -> None:
    await write_ledger(engine, [usual("r1")])
    traces = await stored(tmp_path, [])
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        await stored(tmp_path, [usual("r1")])

    case = msgspec.structs.replace(CASE, now_s=S + 30, until_s=S + 20)
    told: list[Disagreement] = []
    done = await verify(engine, traces, prices, case, tell=told.append, sleep=sleep)
    assert (told, done.is_proved, len(naps)) == ([], True, 1)


async def test_one_tenant_is_verified_alone(
    engine: Engine, tmp_path: Path, prices: PriceArchive
) -> None:
    await write_ledger(engine, [usual("r1"), usual("r2", tenant_id="globex")])
    traces = await stored(tmp_path, [usual("r1")])
    done, told = await verified(
        engine, traces, prices, msgspec.structs.replace(CASE, tenant="acme")
    )
    assert (told, done.rows) == ([], 1)
