"""Amounts as people read them."""

from __future__ import annotations

from tests.evals.verdict.runs import COST, LATENCY, PASSED, QUALITY

from santral.evals.evaluator import Measure
from santral.evals.verdict.amount import amount, change, dollars, size


def test_shares_are_percent_or_numbers_and_differ_by_points() -> None:
    assert (amount(PASSED, 0.125), amount(QUALITY, 0.125), amount(PASSED, None)) == (
        "12.5 %",
        "0.125",
        "–",
    )
    assert change(QUALITY, -0.1, -0.2, 0.05) == "-10.0 [-20.0, +5.0]"
    assert (change(PASSED, 0.1), change(PASSED, None)) == ("+10.0", "–")
    assert (size(PASSED, 0.01), size(PASSED, 0.114)) == ("1 point", "11.4 points")


def test_amounts_have_their_unit_once() -> None:
    assert amount(LATENCY, 1_234_560.0) == "1,234.6 ms"
    assert change(LATENCY, 1500.0, 1000.0, 2000.0) == "+1.5 [+1.0, +2.0] ms"
    assert amount(COST, 250_000.0) == "0.2500 USD/1k"
    assert size(COST, None) == "an unknown amount"
    tokens = Measure(name="tokens", direction="lower", high=None, unit="tokens")
    assert amount(tokens, 512.0) == "512 tokens"


def test_an_unknown_price_is_not_nothing() -> None:
    assert (dollars(1_500_000_000), dollars(None)) == ("$1.5000", "price unknown")
