"""Terms as an index holds them: the same as the lists of words and grams, counted, as keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from santral.retrieval.analysis.analyse import indexed_text, ngrams, terms
from santral.retrieval.analysis.counts import Terms
from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import (
    gram_keys,
    join_terms,
    some_terms,
    stem_keys,
    terms_of,
)

LANGUAGES: tuple[Language, ...] = ("tr", "en", "other")
TEXTS = st.lists(
    st.text(st.sampled_from("abcIİıiğ çşŞ'’_-1.,ßмир日本\0\n😀\u0307"), max_size=60), max_size=6
)


def bags(found: Terms) -> list[list[int]]:
    """Return the counts of each chunk without their keys, highest first."""
    spans = zip(found.starts[:-1], found.starts[1:], strict=True)
    return [sorted(found.counts[start:end].tolist(), reverse=True) for start, end in spans]


def counted(lists: Sequence[Sequence[str]]) -> list[list[int]]:
    return [sorted(Counter(found).values(), reverse=True) for found in lists]


@given(TEXTS, st.sampled_from(LANGUAGES))
def test_terms_are_those_of_the_lists(texts: list[str], language: Language) -> None:
    stems, grams = terms_of(texts, [language for _ in texts])
    stem_lists = [terms(text, language) for text in texts]
    gram_lists = [ngrams(text) for text in texts]
    for found, lists in ((stems, stem_lists), (grams, gram_lists)):
        assert bags(found) == counted(lists)
        assert found.lengths.tolist() == [len(bag) for bag in lists]
        assert found.starts[-1] == len(found.keys) == len(found.counts)
        for start, end in zip(found.starts[:-1], found.starts[1:], strict=True):
            assert (np.diff(found.keys[start:end].astype(np.int64)) > 0).all()


@given(TEXTS, st.sampled_from(LANGUAGES))
def test_a_text_has_the_same_keys_alone_and_among_others(
    texts: list[str], language: Language
) -> None:
    together = terms_of(texts, [language for _ in texts])
    for place, text in enumerate(texts):
        for found, alone in zip(together, terms_of([text], (language,)), strict=True):
            part = some_terms(found, place, place + 1)
            assert part.keys.tolist() == alone.keys.tolist()
            assert part.counts.tolist() == alone.counts.tolist()
            assert part.starts.tolist() == alone.starts.tolist()


def test_a_question_meets_the_terms_of_a_text() -> None:
    stems, grams = terms_of(["IĞDIR'DA kış", "connected in Москва"], ["tr", "en"])
    assert set(stem_keys("igdirda kis", ["tr", "en"])) >= set(some_terms(stems, 0, 1).keys) - set(
        stem_keys("Iğdır", ["tr"])
    )
    assert set(stem_keys("Iğdır'da", ["tr"])) <= set(some_terms(stems, 0, 1).keys)
    assert set(stem_keys("connection", ["en"])) <= set(some_terms(stems, 1, 2).keys)
    assert set(gram_keys("москва")) <= set(some_terms(grams, 1, 2).keys)
    assert not set(gram_keys("москва")) & set(some_terms(grams, 0, 1).keys)
    assert gram_keys("").tolist() == []
    assert stem_keys("?", ["tr"]).tolist() == []


def test_keys_stay_the_same_from_release_to_release() -> None:
    # Indexes hold them: whoever changes one of these has to change the format of the index too.
    assert stem_keys("izin", ["tr"]).tolist() == [540612258]
    assert gram_keys("izin").tolist() == [68844905, 222213358, 257586976]
    assert gram_keys("мир").tolist() == [379379561, 3988787282]


def test_parts_join_to_the_whole() -> None:
    texts = [f"word{n} again again word{n % 7}" for n in range(600)] + [""]
    english: list[Language] = ["en" for _ in texts]
    whole = terms_of(texts, english)
    parts = [terms_of(texts[n : n + 100], english[n : n + 100]) for n in range(0, 601, 100)]
    for found, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        joined = join_terms(pieces)
        for field in Terms.__struct_fields__:
            assert getattr(joined, field).tolist() == getattr(found, field).tolist()
    assert terms_of([], [])[0].starts.tolist() == [0]


def test_headings_stand_in_front_of_what_is_indexed_and_equal_ones_once() -> None:
    assert indexed_text("Leave", "Leave > Sick", "Ten days.") == "Leave\nLeave > Sick\nTen days."
    assert indexed_text("Leave", "Leave", "Ten days.") == "Leave\nTen days."
    assert indexed_text("", "", "Ten days.") == "Ten days."
