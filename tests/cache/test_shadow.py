"""What shadow mode measures, and when it advises to serve."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.cache.shadow import Measured, ShadowBook, agree, wilson

COUNTS = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Open from 9 to 5.", "open from 9 to 5", True),
        ("We are open from 9 to 5 each day.", "Each day we are open from 9 to 5.", True),
        ("Open from 9 to 5.", "Open from 9 to 6.", False),
        ("You can return it.", "You can not return it.", False),
        ("In the app, under Card.", "Please call our support team.", False),
        ("", "", True),
        ("", "No.", False),
    ],
)
def test_answers_agree_on_facts_and_most_words(one: str, other: str, same: bool) -> None:
    assert agree(one, other) is same
    assert agree(other, one) is same


@given(COUNTS, COUNTS)
def test_an_interval_holds_its_share_and_narrows(a: int, b: int) -> None:
    found, n = min(a, b), max(a, b, 1)
    low, high = wilson(found, n)
    assert 0 <= low <= found / n <= high <= 1
    less, more = wilson(found * 10, n * 10)
    assert more - less <= high - low + 1e-12


def test_known_intervals() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(5, 100)
    assert (round(low, 4), round(high, 4)) == (0.0215, 0.1118)


def test_serving_is_advised_only_below_the_budget_with_confidence() -> None:
    assert not Measured(candidates=50).may_serve(0.01), "no error in 50 proves little"
    assert Measured(candidates=400).may_serve(0.01)
    assert not Measured(candidates=400, disagreed=1).may_serve(0.01)


def test_counts_are_kept_by_tenant_and_route() -> None:
    book = ShadowBook()
    book.looked_up("a", "r")
    book.compared("a", "r", agreed=False)
    book.looked_up("b", "r")
    assert book.counts["a", "r"] == Measured(lookups=1, candidates=1, disagreed=1)
    assert book.counts["b", "r"].hit_rate == 0
    assert Measured().hit_rate is None
    assert Measured().false_rate is None
