"""ROUGE equal to rouge-score 0.1.2 on English, and at home in Turkish."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from tests.evals.evaluators.scored import scores_of

from santral.evals.evaluators.porter import porter_stem
from santral.evals.evaluators.rouge import longest_common, rouge
from santral.evals.evaluators.words import tokenizer_of

KINDS = {"1": "rouge1", "2": "rouge2", "l": "rougeL", "lsum": "rougeLsum"}
SCORERS = {stem: RougeScorer(list(KINDS.values()), use_stemmer=stem) for stem in (True, False)}

#: Suffixes that the rules know, so that random words meet every one of them.
_SUFFIXES = str.split("""
    s ies sses ss ied eed ed ing at bl iz y ational tional enci anci izer bli alli entli eli ousli
    ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize
    iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate iti
    ous ive ize e ll le
""")
_WORDS = str.split("""
    the a quick brown fox jumps over lazy dog agreed agreement relational conditional rationally
    skies dying news innings proceed exceeded succeeding happy enjoy spied died ties flies caresses
    hopping falling hissing fizzed filing vietnamization geology archaeology triplicate electricity
    adoption replacement communism probate rate cease controlling rolling yyyy 2024 x it's co-op naïve
""")
words = st.one_of(
    st.sampled_from(_WORDS),
    st.builds(
        lambda root, a, b: root + a + b,
        st.text("abcdeilnorstuvwxyz", min_size=0, max_size=5),
        st.sampled_from(_SUFFIXES),
        st.sampled_from(["", *_SUFFIXES]),
    ),
)
texts = st.lists(st.lists(words, max_size=12).map(" ".join), max_size=4).map("\n".join)


@given(words)
@settings(max_examples=800, deadline=None)
def test_stems_are_nltks(word: str) -> None:
    assert porter_stem(word.lower()) == _NLTK.stem(word)


_NLTK = PorterStemmer()


@given(texts, texts, st.booleans())
@settings(max_examples=150, deadline=None)
def test_equal_to_rouge_score(target: str, prediction: str, stem: bool) -> None:
    wanted = SCORERS[stem].score(target, prediction)
    tokenize = tokenizer_of("english", "en", stem, target)
    for kind, name in KINDS.items():
        found = rouge(kind, target, prediction, tokenize)  # type: ignore[arg-type]
        assert found == pytest.approx(wanted[name].fmeasure, abs=1e-9), kind


@given(st.lists(st.sampled_from("abc"), max_size=40), st.lists(st.sampled_from("abc"), max_size=40))
def test_the_longest_common_order_is_found(a: list[str], b: list[str]) -> None:
    rows = [[0] * (len(b) + 1)]
    for x in a:
        row = [0]
        for j, y in enumerate(b):
            row.append(rows[-1][j] + 1 if x == y else max(rows[-1][j + 1], row[j]))
        rows.append(row)
    assert longest_common(a, b) == rows[-1][-1]


def test_the_example_of_the_package() -> None:
    # README of rouge-score: 'The quick brown fox jumps over the lazy dog' and its prediction.
    found = scores_of(
        "rouge",
        "The quick brown dog jumps on the log.",
        {"tokenizer": "english"},
        expected="The quick brown fox jumps over the lazy dog",
    )
    assert found["1"].value == pytest.approx(2 * 0.75 * (6 / 9) / (0.75 + 6 / 9))
    assert found["l"].value == pytest.approx(2 * 0.625 * (5 / 9) / (0.625 + 5 / 9))


def test_turkish_words_are_not_cut_at_their_letters() -> None:
    good, said = "Iğdır'da kargolarınız gecikti", "IĞDIR'da kargonuz gecikti"
    turkish = scores_of("rouge", said, expected=good, metadata={"language": "tr"})
    english = scores_of("rouge", said, {"tokenizer": "english"}, expected=good)
    assert turkish["1"].value == 1.0  # ığdır, kargo (first five letters), gecik
    assert (english["1"].value or 0) < 0.8


def test_the_best_of_the_good_answers_counts() -> None:
    found = scores_of("rouge", "b c", expected="x y", references=["b c"])
    assert found["1"].value == 1
