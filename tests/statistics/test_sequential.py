"""Always-valid intervals: published values, and that peeking does no harm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from santral.statistics.sequential import always_valid_difference, always_valid_mean, rho_for


def test_margins_are_those_of_other_implementations() -> None:
    # PostHog's reference values of Waudby-Smith et al., validated against the paper: 6,500 units with a
    # standard error of 0.33368, tuned for 1,000: (-0.53230, 1.59353); 6,550 with 0.03354, tuned for 5,000.
    one = always_valid_mean(6500, 0.53061, 0.33368**2 * 6500, rho=rho_for(1000))
    assert (one.low, one.high) == (
        pytest.approx(-0.53230, abs=3e-5),
        pytest.approx(1.59353, abs=3e-5),
    )
    two = always_valid_mean(6550, 0.56256, 0.03354**2 * 6550, rho=rho_for(5000))
    assert (two.low, two.high) == (
        pytest.approx(0.46064, abs=3e-5),
        pytest.approx(0.66448, abs=3e-5),
    )


def test_rho_is_the_papers() -> None:
    assert rho_for(1) == pytest.approx(
        math.sqrt(-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1))
    )
    assert rho_for(400) == pytest.approx(rho_for(100) / 2)


def test_it_is_tightest_where_it_was_tuned() -> None:
    widths = [
        always_valid_mean(5000, 0, 1, rho=rho_for(n)).high for n in (50, 500, 5000, 50_000, 500_000)
    ]
    assert min(widths) == widths[2]


def test_a_difference_is_that_of_means() -> None:
    found = always_valid_difference(1000, 1.0, 4.0, 3000, 1.5, 9.0, rho=rho_for(4000))
    same = always_valid_mean(4000, 0.5, 4000 * (4 / 1000 + 9 / 3000), rho=rho_for(4000))
    assert found == same


def test_nothing_is_said_of_one_value() -> None:
    assert always_valid_mean(1, 0.0, 0.0, rho=1.0).high == math.inf
    assert always_valid_difference(1, 0.0, 0.0, 9, 0.0, 1.0, rho=1.0).low == -math.inf


def test_who_peeks_at_every_value_raises_no_more_alarms_than_stated() -> None:
    rng, draws, n, first = np.random.default_rng(1), 1000, 3000, 50
    values = rng.exponential(size=(draws, n)) - 1.0
    count = np.arange(1, n + 1)
    mean = np.cumsum(values, axis=1) / count
    variance = np.cumsum(values**2, axis=1) / count - mean**2
    rho = rho_for(1000)
    alarmed = peeked = 0
    for m, v in zip(mean[:, first:], variance[:, first:], strict=True):
        edges = np.array([always_valid_mean(int(i), 0.0, 1.0, rho=rho).high for i in (51, 3000)])
        assert edges[0] > edges[1]
        grown = count[first:] * rho**2 + 1
        margin = np.sqrt(v * grown / (count[first:] * rho) ** 2 * np.log(grown / 0.05**2))
        alarmed += bool((np.abs(m) > margin).any())
        peeked += bool((np.abs(m) > 1.96 * np.sqrt(v / count[first:])).any())
    assert alarmed / draws <= 0.05
    assert peeked / draws > 0.3  # what a fixed interval does to whoever peeks
