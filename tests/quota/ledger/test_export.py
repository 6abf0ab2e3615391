"""A month of the ledger as files and invoices."""

from __future__ import annotations

import asyncio
import csv
import itertools
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.quota.ledger.books import book
from tests.quota.ledger.test_reprice import A_DOLLAR, BY, DAY
from tests.quota.ledger.test_write import NOON, attempt, record, total

from santral.db.engine import Engine, connect
from santral.errors import BadRequest, NotFound, StoreError
from santral.quota.ledger import export as module
from santral.quota.ledger.export import export_month
from santral.quota.ledger.reprice import reprice
from santral.quota.ledger.showback import Invoice, Month, invoice, usd
from santral.quota.ledger.write import write_ledger
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.tenant import TenantId

pytestmark = pytest.mark.anyio

NOVEMBER = Month.parse("2026-11")
OCTOBER_S = 1_793_491_199  # the last second of it


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def test_a_month_is_written_for_each_tenant_with_its_summaries(
    engine: Engine, tmp_path: Path
) -> None:
    said = {"prompt": "greet", "prompt_version": "3", "tags": {"team": "a", "cost": "7"}}
    await write_ledger(
        engine,
        [
            record("r1", attempt(cost=10), attempt(2, None, model="x"), **said),
            record("r2", attempt(cost=5), tenant_id="globex"),
            record("r3", attempt(cost=1), started_at_us=OCTOBER_S * 1_000_000),
            record("r4.s1", attempt(cost=9, purpose="shadow")),
        ],
    )
    await reprice(engine, book("june", gpt=1), DAY, actor=BY)
    paths = await export_month(engine, NOVEMBER, tmp_path / "out")
    names = [path.name for path in paths]
    assert names == [
        f"ledger-2026-11-{tenant}{summary}.csv"
        for tenant in ("acme", "globex")
        for summary in ("", "-by-tag", "-by-prompt", "-by-model")
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    rows = rows_of(paths[0])
    assert [(row["kind"], row["model"], row["cost_nanousd"]) for row in rows] == [
        ("reprice:june", "gpt", str(A_DOLLAR - 10)),
        ("settle", "gpt", "10"),
        ("settle", "x", ""),
    ]
    assert rows[0]["tags"] == '{"team":"a","cost":"7"}'
    assert rows[0]["prompt"] == "greet@3"
    by_tag = {row["name"]: row for row in rows_of(paths[1])}
    assert set(by_tag) == {"team=a", "cost=7"}
    assert by_tag["team=a"]["cost_usd"] == "0.000020000"
    assert (by_tag["team=a"]["attempts"], by_tag["team=a"]["unpriced"]) == ("2", "1")
    assert [row["name"] for row in rows_of(paths[2])] == ["greet@3"]
    assert [row["name"] for row in rows_of(paths[6])] == ["(none)"]
    assert [row["corrected_nanousd"] for row in rows_of(paths[3])] == [str(A_DOLLAR - 10), "0"]


async def test_parquet_says_the_same_with_types(engine: Engine, tmp_path: Path) -> None:
    said = {"tags": {"a": "b"}, "user": '=1+1,"x"\nline'}
    await write_ledger(
        engine, [record("r1", attempt(cost=7)), record("r2", attempt(cost=None), **said)]
    )
    paths = await export_month(engine, NOVEMBER, tmp_path / "out", form="parquet", tenants=["acme"])
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT request_id, epoch(occurred_at), cost_nanousd, cost_usd, user_id, tags, reasoning "
            f"FROM '{paths[0]}' ORDER BY request_id"
        ).fetchall()
        kinds = dict(
            connection.execute(
                f"SELECT column_name, column_type FROM (DESCRIBE FROM '{paths[0]}')"
            ).fetchall()
        )
    assert [row[0] for row in rows] == ["r1", "r2"]
    assert rows[0][1] == NOON.timestamp()
    assert [row[2:] for row in rows] == [
        (7, Decimal("0.000000007"), "", "", 2),
        (None, None, '=1+1,"x"\nline', '{"a":"b"}', 2),
    ]
    assert (kinds["cost_nanousd"], kinds["day"], kinds["is_estimated"]) == (
        "BIGINT",
        "DATE",
        "BOOLEAN",
    )
    assert len(list((tmp_path / "out").iterdir())) == 4


async def test_no_cell_is_a_formula_and_numbers_stay_numbers(
    engine: Engine, tmp_path: Path
) -> None:
    for n, text in enumerate(("=cmd()", "+1", "-1", "@a", "\tx", "\rx", "fine")):
        await write_ledger(engine, [record(f"r{n}", attempt(cost=A_DOLLAR * 2), user=text)])
    await reprice(engine, book("june", gpt=1), DAY, actor=BY)
    (path, *_) = await export_month(engine, NOVEMBER, tmp_path)
    rows = [row for row in rows_of(path) if row["kind"] == "settle"]
    assert [row["user_id"] for row in rows] == [
        "'=cmd()",
        "'+1",
        "'-1",
        "'@a",
        "'\tx",
        "'\rx",
        "fine",
    ]
    correction = next(row for row in rows_of(path) if row["kind"] != "settle")
    assert (correction["cost_nanousd"], correction["cost_usd"]) == (str(-A_DOLLAR), "-0.000020000")


async def test_pages_join_without_gap_or_overlap(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 3)
    await write_ledger(engine, [record(f"r{n:02}", attempt(1), attempt(2)) for n in range(10)])
    seen: list[int] = []
    (path, *_) = await export_month(engine, NOVEMBER, tmp_path, progress=seen.append)
    found = [(row["request_id"], row["attempt"]) for row in rows_of(path)]
    assert found == [(f"r{n:02}", str(a)) for n in range(10) for a in (1, 2)]
    assert sum(seen) == 20


async def test_a_folder_that_cannot_be_written_leaves_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    await write_ledger(engine, [record("r1", attempt())])
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        await export_month(engine, NOVEMBER, tmp_path / "out")


async def test_an_invoice_sums_what_stands_beneath(engine: Engine) -> None:
    by = local_operator()
    await create_tenant(engine, "acme", None, NOON, by=by)
    await create_tenant(engine, "team", None, NOON, by=by, parent="acme")
    await create_tenant(engine, "silent", None, NOON, by=by, parent="acme")
    await create_tenant(engine, "globex", None, NOON, by=by)
    await write_ledger(
        engine,
        [
            record("r1", attempt(cost=1_234_567_890_123), attempt(2, 1, model="mini")),
            record("r2", attempt(cost=7), tenant_id="team"),
            record("r3", attempt(cost=None), tenant_id="team"),
            record("r4", attempt(cost=9), tenant_id="globex"),
        ],
    )
    made = await invoice(engine, "acme", NOVEMBER, by=by)
    assert [(part.tenant_id, len(part.lines)) for part in made.parts] == [("acme", 2), ("team", 1)]
    assert made.own.cost_nanousd == 1_234_567_890_124
    assert made.total.cost_nanousd == 1_234_567_890_131
    assert (made.total.attempts, made.total.unpriced) == (4, 1)
    with pytest.raises(NotFound, match="acne"):
        await invoice(engine, "acne", NOVEMBER, by=by)


async def test_a_month_without_rows_is_an_invoice_of_nothing(engine: Engine) -> None:
    await create_tenant(engine, "acme", None, NOON, by=local_operator())
    made = await invoice(engine, "acme", NOVEMBER, by=local_operator())
    assert made == Invoice(tenant_id="acme", month="2026-11", parts=made.parts, total=made.own)
    assert made.total.attempts == 0


EXAMPLES = itertools.count()


@given(
    costs=st.lists(
        st.tuples(st.sampled_from(["gpt", "mini", "x"]), st.none() | st.integers(0, 2**53)),
        min_size=1,
        max_size=15,
    )
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_lines_of_an_invoice_add_up_to_the_balance(
    database: str, costs: list[tuple[str, int | None]]
) -> None:
    tenant = f"t{next(EXAMPLES)}"

    async def run() -> None:
        engine = connect(database)
        await create_tenant(engine, tenant, None, NOON, by=local_operator())
        made = [
            record(f"{tenant}-{n}", attempt(cost=cost, model=model), tenant_id=tenant)
            for n, (model, cost) in enumerate(costs)
        ]
        await write_ledger(engine, made)
        found = await invoice(engine, tenant, NOVEMBER, by=local_operator())
        balance = await total(engine, TenantId(tenant))
        lines = [line.used for part in found.parts for line in part.lines]
        assert sum(used.cost_nanousd for used in lines) == balance.cost_nanousd
        assert found.total.cost_nanousd == balance.cost_nanousd
        assert found.total.unpriced == balance.unpriced
        await engine.dispose()

    asyncio.run(run())


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "26-11", "2026-11-01", "", "0000-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="no month"):
        Month.parse(text)


def test_a_month_is_of_utc_days() -> None:
    assert (NOVEMBER.since_s, NOVEMBER.until_s) == (OCTOBER_S + 1, OCTOBER_S + 1 + 30 * 86_400)


def test_dollars_keep_every_digit() -> None:
    assert [usd(n) for n in (0, 1, -1, 10**9, -1_500_000_000)] == [
        "0.000000000",
        "0.000000001",
        "-0.000000001",
        "1.000000000",
        "-1.500000000",
    ]
