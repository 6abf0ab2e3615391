"""The learned ranker's features, and what is fitted to judged questions."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.retrieval.index.signal import Signal
from santral.retrieval.search.fit import Judgement, fit_ranker, fit_weights, ideal_of, mean_ndcg
from santral.retrieval.search.rerank.features import FEATURES
from santral.retrieval.search.rerank.known import FEATURE_NAMES
from santral.retrieval.search.rerank.learned import shipped_ranker
from santral.retrieval.search.rerank.occurrences import Occurrences

WORDS = ["ab", "ba", "abc", "c"]
texts = st.lists(st.text("abc ", max_size=60), min_size=1, max_size=5)


@given(texts, st.integers(1, 40))
def test_words_are_found_as_a_slow_search_finds_them(given: list[str], letters: int) -> None:
    found = Occurrences(WORDS, given)
    for row, text in enumerate(given):
        places = [[m.start() for m in re.finditer(f"(?= {w})", f" {text}")] for w in WORDS]
        assert found.held[row].tolist() == [bool(one) for one in places]
        every = sorted(place for one in places for place in one)
        windows = [
            sum(
                float(rare)
                for rare, one in zip(found.rarities, places, strict=True)
                if any(start <= place <= start + letters for place in one)
            )
            for start in every
        ]
        expected = max(windows, default=0.0) / float(found.rarities.sum())
        assert found.covered_within(letters)[row] == pytest.approx(expected, abs=1e-5)


def test_letters_with_marks_and_other_scripts_meet() -> None:
    found = Occurrences(["igdir", "москв", "sur"], ["IĞDIR’DA kış", "В Москве", "«sürekli»"])
    assert found.held.tolist() == [
        [True, False, False], [False, True, False], [False, False, True],
    ]  # fmt: skip


def test_pairs_are_neighbours_in_the_order_of_the_question() -> None:
    found = Occurrences(
        ["notice", "period"], ["a notice period", "period of notice", "notice " * 9]
    )
    assert found.paired(12).tolist() == [1, 0, 0]


def test_a_text_without_words_or_words_without_text_score_nothing() -> None:
    assert Occurrences([], ["text"]).covered().tolist() == [0]
    assert Occurrences(["word"], [""]).paired(12).tolist() == [0]


def test_what_ships_names_known_features_and_says_where_it_comes_from() -> None:
    ranker = shipped_ranker()
    assert set(ranker.weights) <= set(FEATURES)
    assert tuple(FEATURES) == FEATURE_NAMES
    assert ranker.weights["fused"] == 1
    assert ranker.card.licence.startswith("MIT")
    assert ranker.card.trained_on not in ranker.card.measured or len(ranker.card.measured) > 1


def judged(columns: list[list[float]], right: int) -> Judgement:
    gains = np.zeros(len(columns), np.float32)
    gains[right] = 1
    return Judgement(np.array(columns, np.float32), gains, ideal_of([1.0]))


def test_weights_are_those_that_put_answers_first() -> None:
    misled = [judged([[1.0, 0.2, 0.0], [0.6, 1.0, 0.0]], 1) for _ in range(20)]
    start: dict[Signal, float] = {"bm25": 0.9, "ngrams": 0.1, "dense": 0.0}
    weights, after, before = fit_weights(misled, start)
    assert (after, before) == (1.0, pytest.approx(0.63, abs=0.01))
    assert sum(weights.values()) == pytest.approx(1)
    assert mean_ndcg(misled, [weights["bm25"], weights["ngrams"], weights["dense"]]) == 1


def test_weights_that_cannot_be_bettered_stay() -> None:
    fine = [judged([[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]], 0)]
    start: dict[Signal, float] = {"bm25": 0.4, "ngrams": 0.4, "dense": 0.2}
    assert fit_weights(fine, start)[0] == start


def test_a_ranker_learns_the_feature_that_tells_answers() -> None:
    rng = np.random.default_rng(3)
    questions = []
    for _ in range(60):
        columns = rng.random((6, 2))
        columns[:, 0] = 0.5
        questions.append(judged(columns.tolist(), int(columns[:, 1].argmax())))
    weights = fit_ranker([questions], ("fused", "near"), 0.001)
    assert weights["near"] > 0
    assert mean_ndcg(questions, [0.0, 1.0]) == 1
