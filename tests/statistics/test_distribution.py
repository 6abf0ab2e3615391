"""Distributions: values as statistical tables print them."""

from __future__ import annotations

import importlib
import math

import pytest
from scipy import stats

from santral.errors import StoreError
from santral.statistics import distribution
from santral.statistics.distribution import (
    beta_quantile,
    binomial_two_sided,
    chi2_quantile,
    chi2_tail,
    normal_cdf,
    normal_quantile,
    student_quantile,
    student_tail,
)


def test_tables() -> None:
    # NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.
    assert normal_cdf(1.96) == pytest.approx(0.97500, abs=5e-6)
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=5e-7)
    assert student_quantile(0.975, 10) == pytest.approx(2.228, abs=5e-4)
    assert student_tail(2.228, 10) == pytest.approx(0.05, abs=5e-5)
    assert chi2_tail(18.307, 10) == pytest.approx(0.05, abs=5e-6)
    assert chi2_quantile(0.95, 1) == pytest.approx(3.841, abs=5e-4)
    assert beta_quantile(0.5, 2, 2) == pytest.approx(0.5)


def test_the_ends_are_infinite() -> None:
    assert (normal_quantile(0.0), normal_quantile(1.0)) == (-math.inf, math.inf)


def test_binomial_is_rs() -> None:
    # R: binom.test(682, 925, p = 0.75), Conover (1971), p. 97: p-value = 0.3825; and a fair coin.
    assert binomial_two_sided(682, 925, 0.75) == pytest.approx(0.3825, abs=5e-5)
    assert binomial_two_sided(2, 10) == pytest.approx(112 / 1024)
    assert binomial_two_sided(5, 10) == 1.0
    assert binomial_two_sided(0, 0) == 1.0
    assert (binomial_two_sided(3, 3, 1.0), binomial_two_sided(2, 3, 1.0)) == (1.0, 0.0)


def test_without_the_extra_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(name: str) -> None:
        raise ImportError(name)

    distribution._special.cache_clear()
    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(StoreError, match=r"pip install 'santral\[evals\]'"):
        student_tail(1.0, 9)
    assert normal_quantile(0.5) == 0.0  # the normal needs none
    distribution._special.cache_clear()


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 9, 10, 19, 30, 200])
@pytest.mark.parametrize("x", [0.0, 0.5, 3.841, 18.307, 90.0, 700.0])
def test_the_tail_without_the_extra_is_scipys(x: float, df: int) -> None:
    assert chi2_tail(x, df) == pytest.approx(float(stats.chi2.sf(x, df)), rel=1e-9, abs=1e-300)
