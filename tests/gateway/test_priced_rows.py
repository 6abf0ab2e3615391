"""What a request cost can be computed again from its rows of the ledger alone."""

from __future__ import annotations

import msgspec
import pytest
from tests.gateway.worker import Step, Worker, saying, whole

from santral.errors import ProviderFailed
from santral.quota.ledger.entry import ledger_rows
from santral.quota.ledger.reprice import cost_by
from santral.wire.delta import ChoiceDelta
from santral.wire.usage import Usage

ANSWER = whole(ChoiceDelta(text='{"age": 1}'), used=Usage(input_uncached=900, reasoning=7))


@pytest.mark.parametrize("tier", ["", "flex", "default"])
@pytest.mark.parametrize("route", ["plain", "ladder", "schema", "unpriced"])
def test_a_row_says_all_that_its_price_depends_on(worker: Worker, route: str, tier: str) -> None:
    answer: list[Step] = [msgspec.structs.replace(ANSWER, service_tier=tier)]
    last = saying(ChoiceDelta(text='{"age": 2}'))
    worker.provider.will([ProviderFailed("no")] if route == "ladder" else answer, answer, last)
    for model in ("m-two", "m-free"):
        worker.provider.will(answer, last, model=model)
    worker.ask(route)
    prices = worker.process.current.snapshot.prices
    rows = ledger_rows(worker.record)
    assert rows
    assert [cost_by(prices, row) for row in rows] == [row.cost_nanousd for row in rows]
    assert {row.price_version for row in rows} == {prices.version}
    if tier == "flex" and route == "plain":
        assert rows[0].price_variant == "flex"
