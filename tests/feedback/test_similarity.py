from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.feedback.similarity import distance, plain_words, similarity


def by_table(a: str, b: str) -> int:
    """Return the distance as the textbook has it."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (x != y)))
    return row[-1]


@given(st.text("abc", max_size=80), st.text("abcd", max_size=80))
def test_the_distance_is_that_of_the_table(a: str, b: str) -> None:
    assert distance(a, b) == by_table(a, b) == distance(b, a)


@pytest.mark.parametrize(
    ("a", "b", "edits"), [("kitten", "sitting", 3), ("saturday", "sunday", 3), ("", "abc", 3)]
)
def test_known_distances(a: str, b: str, edits: int) -> None:
    """Source: Wagner and Fischer (1974), and every textbook since."""
    assert distance(a, b) == edits


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert similarity(plain_words("Open at nine."), plain_words("open  at NINE")) == 1.0
    assert similarity(plain_words("a b c d"), plain_words("a b x d")) == 0.75
    assert similarity([], []) == 1.0
