"""Sums that remember the days which are over: equal to sums over all rows, with far fewer read."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from santral.quota.rule import ScopeKind
from santral.quota.used import DaySums, UsedRow

DAY_S = 86_400
NOW = 20_000 * DAY_S + 40_000


class Ledger:
    """Rows as (second, tenant, tokens), and how many were read."""

    def __init__(self, rows: Sequence[tuple[int, str, int]]) -> None:
        self.rows = list(rows)
        self.read = 0

    async def between(
        self, kind: ScopeKind, since_s: int, until_s: int | None
    ) -> Sequence[UsedRow]:
        found = [r for r in self.rows if since_s <= r[0] and (until_s is None or r[0] < until_s)]
        self.read += len(found)
        tokens = Counter[str]()
        for _, tenant, amount in found:
            tokens[tenant] += amount
        return [UsedRow(tenant, tenant, 1, amount, amount) for tenant, amount in tokens.items()]


def total(rows: Sequence[UsedRow]) -> dict[str, int]:
    sums = Counter[str]()
    for row in rows:
        sums[row.tenant_id] += row.tokens
    return dict(sums)


@given(
    st.lists(
        st.tuples(st.integers(NOW - 40 * DAY_S, NOW), st.sampled_from("ab"), st.integers(1, 9)),
        max_size=40,
    ),
    st.lists(st.integers(0, 35 * DAY_S), min_size=1, max_size=4),
)
def test_a_sum_is_that_of_all_rows_whatever_was_remembered(
    rows: list[tuple[int, str, int]], backs: list[int]
) -> None:
    ledger, days = Ledger(rows), DaySums()
    for back in [*backs, *backs]:
        found = asyncio.run(days.since(ledger.between, NOW, "tenant", NOW - back))
        expected = Counter[str]()
        for second, tenant, amount in rows:
            if second >= NOW - back:
                expected[tenant] += amount
        assert total(found) == dict(expected)


def test_days_that_are_over_are_read_once() -> None:
    ledger, days = Ledger([(NOW - n * 3600, "a", 1) for n in range(30 * 24)]), DaySums()
    since = NOW - 30 * DAY_S
    asyncio.run(days.since(ledger.between, NOW, "tenant", since))
    assert ledger.read == 30 * 24
    asyncio.run(days.since(ledger.between, NOW + 60, "tenant", since))
    assert ledger.read < 30 * 24 + 3 * 24


def test_a_row_that_came_late_counts_from_the_next_day_on() -> None:
    ledger, days = Ledger([]), DaySums()
    since = NOW - 30 * DAY_S
    asyncio.run(days.since(ledger.between, NOW, "tenant", since))
    ledger.rows.append((NOW - 10 * DAY_S, "a", 5))
    assert total(asyncio.run(days.since(ledger.between, NOW, "tenant", since))) == {}
    found = asyncio.run(days.since(ledger.between, NOW + DAY_S, "tenant", since))
    assert total(found) == {"a": 5}
