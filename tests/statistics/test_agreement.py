"""Agreement: the worked examples of those who invented the coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from santral.statistics.agreement import (
    Label,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
)

# Four observers, twelve units, with gaps: Krippendorff (2011), section C; also Gwet's cac.raw4raters.
UNITS: list[dict[str, Label]] = [
    {"a": 1, "b": 1, "d": 1},
    {"a": 2, "b": 2, "c": 3, "d": 2},
    {"a": 3, "b": 3, "c": 3, "d": 3},
    {"a": 3, "b": 3, "c": 3, "d": 3},
    {"a": 2, "b": 2, "c": 2, "d": 2},
    {"a": 1, "b": 2, "c": 3, "d": 4},
    {"a": 4, "b": 4, "c": 4, "d": 4},
    {"a": 1, "b": 1, "c": 2, "d": 1},
    {"a": 2, "b": 2, "c": 2, "d": 2},
    {"b": 5, "c": 5, "d": 5},
    {"c": 1, "d": 1},
    {"c": 3},
]  # fmt: skip

# Husbands and wives, how often sex is fun: Agresti (1990), table 2.10, as R's vcd::SexualFun.
COUPLES = [[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]

# Ten subjects, fourteen raters, five categories: the worked example of Fleiss' kappa (Fleiss, 1971,
# with rounded data, as in Wikipedia's article).
SUBJECTS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def raters(table: list[list[int]]) -> tuple[list[int], list[int]]:
    cells = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    return [i for i, _ in cells], [j for _, j in cells]


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_is_krippendorffs_example(level: str, alpha: float) -> None:
    found = krippendorff_alpha(UNITS, level, rng(), resamples=50)  # pyright: ignore[reportArgumentType]
    assert found.value == pytest.approx(alpha, abs=5e-4)
    assert found.n == 11


def test_ac1_is_gwets_example() -> None:
    # irrCAC: gwet.ac1.raw(cac.raw4raters): 0.77544, percent agreement 0.81818.
    found = gwet_ac1(UNITS, rng(), resamples=50)
    assert found.value == pytest.approx(0.77544, abs=5e-6)
    assert found.percent == pytest.approx(0.81818, abs=5e-6)


def test_fleiss_is_the_worked_example() -> None:
    ratings = [
        {f"r{i}": label for i, label in enumerate(np.repeat(range(5), row).tolist())}
        for row in SUBJECTS
    ]
    found = fleiss_kappa(ratings, rng(), resamples=50)
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.percent == pytest.approx(0.378, abs=5e-4)


def test_kappas_of_the_couples() -> None:
    # vcd::Kappa(SexualFun): 0.1293 (standard error 0.0686), equally spaced weights 0.2374 (0.0783).
    husbands, wives = raters(COUPLES)
    plain = cohen_kappa(husbands, wives, rng=rng())
    linear = cohen_kappa(husbands, wives, weights="linear", rng=rng(), resamples=50)
    assert plain.value == pytest.approx(0.1293, abs=5e-5)
    assert linear.value == pytest.approx(0.2374, abs=5e-5)
    assert plain.interval is not None
    width = plain.interval.high - plain.interval.low
    assert width == pytest.approx(2 * 1.96 * 0.0686, rel=0.12)


def test_quadratic_kappa_is_the_correlation_within() -> None:
    # Fleiss and Cohen (1973): with equal means and variances it is Pearson's correlation.
    a, b = [1, 1, 2, 2, 3, 3, 4, 4], [1, 2, 1, 2, 3, 4, 3, 4]
    found = cohen_kappa(a, b, weights="quadratic", rng=rng(), resamples=50)
    assert found.value == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_a_textbook_table() -> None:
    # Two readers of fifty grant proposals: 20 and 15 agreed, 5 and 10 not. Kappa 0.4.
    found = cohen_kappa(*raters([[20, 5], [10, 15]]), rng=rng(), resamples=50)
    assert (found.value, found.percent) == (pytest.approx(0.4), pytest.approx(0.7))


def test_kappa_falls_and_ac1_stays_where_nearly_all_is_alike() -> None:
    # Feinstein and Cicchetti (1990): 118, 5, 2, 0 of 125: agreement 94 %, kappa about 0.
    a, b = raters([[118, 5], [2, 0]])
    ratings: list[dict[str, Label]] = [{"a": x, "b": y} for x, y in zip(a, b, strict=True)]
    kappa, ac1 = cohen_kappa(a, b, rng=rng(), resamples=50), gwet_ac1(ratings, rng(), resamples=50)
    assert kappa.value is not None
    assert kappa.value < 0.0
    assert ac1.value == pytest.approx(0.94, abs=0.01)


def test_what_is_not_defined_is_none() -> None:
    assert cohen_kappa(["a", "a"], ["a", "a"], rng=rng()).value is None
    assert cohen_kappa([], [], rng=rng()).value is None
    assert krippendorff_alpha([{"a": 1}], "nominal", rng()).value is None
    assert fleiss_kappa([], rng()).value is None
    assert gwet_ac1([{"a": "x"}], rng()).value is None


def test_an_order_has_to_be_known() -> None:
    with pytest.raises(ValueError, match="need their order"):
        cohen_kappa(["low"], ["high"], weights="linear", rng=rng())
    with pytest.raises(ValueError, match="missing in the order: odd"):
        cohen_kappa(["low"], ["odd"], weights="linear", order=["low", "high"], rng=rng())
    ordered = cohen_kappa(
        ["low", "mid", "high"], ["low", "mid", "mid"], weights="linear", order=["low", "mid", "high"],
        rng=rng(),
    )  # fmt: skip
    assert ordered.value is not None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from("xyz"), min_size=3, max_size=3), min_size=2, max_size=25))
def test_names_of_raters_and_labels_do_not_matter(items: list[list[str]]) -> None:
    one: list[dict[str, Label]] = [dict(zip("abc", item, strict=True)) for item in items]
    other: list[dict[str, Label]] = [
        dict(zip("cab", [f"label {x}" for x in item], strict=True)) for item in items
    ]
    for coefficient in (
        lambda r: krippendorff_alpha(r, "nominal", rng(), resamples=5),
        lambda r: gwet_ac1(r, rng(), resamples=5),
        lambda r: fleiss_kappa(r, rng(), resamples=5),
    ):
        before, after = coefficient(one), coefficient(other)
        assert before.value == pytest.approx(after.value)
        assert before.value is None or before.value <= 1.0 + 1e-9


def test_raters_who_guess_agree_at_zero() -> None:
    draw = rng()
    guessed: list[dict[str, Label]] = [
        {"a": int(x), "b": int(y), "c": int(z)} for x, y, z in draw.integers(0, 3, size=(1500, 3))
    ]
    assert krippendorff_alpha(guessed, "nominal", draw, resamples=20).value == pytest.approx(
        0, abs=0.05
    )
    assert gwet_ac1(guessed, draw, resamples=20).value == pytest.approx(0, abs=0.05)
