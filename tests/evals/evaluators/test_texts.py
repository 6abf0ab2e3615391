"""Evaluators of texts against known values."""

from __future__ import annotations

import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from tests.evals.evaluators.scored import scores_of, value_of

from santral.errors import BadRequest
from santral.evals.answer import Answer
from santral.evals.evaluator import Case
from santral.evals.evaluators.token_f1 import token_f1
from santral.evals.evaluators.translation import Bleu, BleuParams
from santral.evals.example import Example
from santral.evals.tools import Tools


@pytest.mark.parametrize(
    ("answer", "expected", "params", "value"),
    [
        ("Ankara", "Ankara", {}, 1),
        (" Ankara \n", "Ankara", {}, 1),
        (" Ankara", "Ankara", {"normalise": []}, 0),
        ("ankara", "Ankara", {}, 0),
        ("ankara!", "Ankara", {"normalise": ["case", "punctuation"]}, 1),
        ("IĞDIR", "Iğdır", {"normalise": ["case"]}, 1),
        ("İZMİR", "izmir", {"normalise": ["case"], "language": "tr"}, 1),
        ("IRMAK", "irmak", {"normalise": ["case"], "language": "tr"}, 0),
        ("TITLE", "title", {"normalise": ["case"], "language": "en"}, 1),
        ("Café", "Cafe", {"normalise": ["accents"]}, 1),
        ("e\u0301", "é", {"normalise": []}, 1),
    ],
)
def test_exact(answer: str, expected: str, params: dict[str, object], value: float) -> None:
    assert value_of("exact", answer, params, expected=expected) == value


def test_exact_lists_what_it_did_not_look_at() -> None:
    score = scores_of("exact", "a", {"normalise": ["case", "space"]}, expected="A")[""]
    assert score.reason == "without case, space, language en"


def test_exact_takes_any_good_answer_and_none_is_no_zero() -> None:
    assert value_of("exact", "b", expected="a", references=["b"]) == 1
    assert scores_of("exact", "b")[""].error == "not_applicable"


@pytest.mark.parametrize(
    ("answer", "params", "value"),
    [
        ("order 1234 is on its way", {"pattern": r"\d{4}"}, 1),
        ("order 1234", {"pattern": r"\d{4}", "whole": True}, 0),
        ("1234", {"pattern": r"\d{4}", "whole": True}, 1),
        ("ERROR", {"pattern": "error"}, 0),
        ("ERROR", {"pattern": "error", "ignore_case": True}, 1),
        ("fine", {"pattern": "error", "absent": True}, 1),
        ("çğış", {"pattern": r"^\w{4}$"}, 0),  # RE2's \w is ASCII
        ("çğış", {"pattern": r"^\pL{4}$"}, 1),
    ],
)
def test_regex(answer: str, params: dict[str, object], value: float) -> None:
    assert value_of("regex", answer, params) == value


def test_a_pattern_that_re2_does_not_take_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match=r"Evaluator 'regex': 'regex': pattern: RE2"):
        scores_of("regex", "x", {"pattern": "(?=x)"})


@pytest.mark.parametrize(
    ("use", "params", "value"),
    [
        ("contains", {"texts": ["Iade", "kargo"]}, 1),
        ("contains", {"texts": ["iade", "fatura"], "match": "all"}, 0),
        ("contains", {"texts": ["İADE"], "language": "tr"}, 1),
        ("contains", {"texts": ["İADE"], "ignore_case": False}, 0),
        ("not_contains", {"texts": ["fatura"]}, 1),
        ("not_contains", {"texts": ["kargo", "fatura"]}, 0),
        ("not_contains", {"texts": ["kargo", "fatura"], "match": "all"}, 1),
    ],
)
def test_contains(use: str, params: dict[str, object], value: float) -> None:
    assert value_of(use, "iade ve kargo", params) == value


def test_an_empty_text_is_contained_by_everything_and_so_refused() -> None:
    with pytest.raises(BadRequest, match="every answer contains an empty text"):
        scores_of("contains", "x", {"texts": [""]})


def test_json_schema_says_what_is_wrong() -> None:
    schema = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
    assert value_of("json_schema", '{"city": "Ankara"}', {"schema": schema}) == 1
    wrong = scores_of("json_schema", '{"city": 6}', {"schema": schema})[""]
    assert wrong.value == 0
    assert wrong.reason.startswith("$.city:")
    assert scores_of("json_schema", "no", {"schema": schema})[""].reason.startswith("no JSON")
    fenced = '```json\n{"city": "x"}\n```'
    assert value_of("json_schema", fenced, {"schema": schema}) == 0
    assert value_of("json_schema", fenced, {"schema": schema, "strip_fence": True}) == 1


@pytest.mark.parametrize(
    ("answer", "expected", "params", "value"),
    [
        ("It is 42.", "42", {}, 1),
        ("1.234,5 TL", "1234.5", {}, 1),
        ("1,234.5 USD", "1234.5", {}, 1),
        ("1.234.567", "1234567", {}, 1),
        ("1.234", "1.234", {}, 1),
        ("1.234", "1234", {}, 1),  # nobody says which: both readings count
        ("1.234", "1.234", {"decimal": "comma"}, 1),
        ("1.234", "1,234", {"decimal": "comma"}, 0),
        ("yaklaşık 3.5", "3,5", {"decimal": "comma"}, 1),
        ("0.125", "0,125", {"decimal": "comma"}, 1),
        ("-5 derece", "-5", {}, 1),
        ("−5", "-5", {}, 1),
        ("2020-2021", "2021", {}, 1),
        ("6.02e23", "6.02e23", {}, 1),
        ("3.1", "3.14159", {"absolute": 0.05}, 1),
        ("3.0", "3.14159", {"absolute": 0.05}, 0),
        ("99", "100", {"relative": 0.01}, 1),
        ("98", "100", {"relative": 0.01}, 0),
        ("between 3 and 7", "3", {}, 0),
        ("between 3 and 7", "3", {"take": "first"}, 1),
        ("between 3 and 7", "3", {"take": "any"}, 1),
        ("none", "3", {}, 0),
        ("v1.2", "1.2", {}, 0),  # a version is no number
    ],
)
def test_numeric(answer: str, expected: str, params: dict[str, object], value: float) -> None:
    assert value_of("numeric", answer, params, expected=expected) == value


def test_numeric_asks_the_example_for_its_language() -> None:
    assert value_of("numeric", "1.234", expected="1234", metadata={"language": "tr"}) == 1
    assert value_of("numeric", "1.234", expected="1234", metadata={"language": "en"}) == 0
    assert scores_of("numeric", "3", expected="many")[""].error == "not_applicable"


@pytest.mark.parametrize(
    ("wanted", "given", "value"),
    [
        # Of SQuAD's evaluate-v2.0.py: normalize_answer and compute_f1.
        ("the Norman conquest", "Norman conquest!", 1.0),
        ("in the 10th and 11th centuries", "10th and 11th centuries", 8 / 9),
        ("France", "Germany", 0.0),
        ("", "", 1.0),
        ("France", "", 0.0),
        ("a a b", "a b b", 2 * 1 / 3),  # the article a goes, b is shared once of 1 and 2
    ],
)
def test_token_f1(wanted: str, given: str, value: float) -> None:
    assert token_f1(wanted, given) == pytest.approx(value)


def test_token_f1_keeps_articles_in_turkish_where_they_are_words() -> None:
    assert token_f1("a takımı", "takımı", "tr") == pytest.approx(2 / 3)
    assert token_f1("IĞDIR", "ığdır", "tr") == 1


def test_bleu_and_chrf_are_sacrebleus() -> None:
    answer, good = "the cat sat on a mat", ["the cat sat on the mat", "a cat was on the mat"]
    wanted = BLEU(effective_order=True).sentence_score(answer, good).score
    assert value_of("bleu", answer, expected=good[0], references=good[1:]) == pytest.approx(wanted)
    wanted = CHRF(word_order=2).sentence_score(answer, good).score
    found = value_of("chrf", answer, {"word_order": 2}, expected=good[0], references=good[1:])
    assert found == pytest.approx(wanted)
    assert value_of("chrf", "aynı", expected="aynı") == 100


def test_bleu_keeps_its_signature_and_knows_the_corpus() -> None:
    made = Bleu("bleu", BleuParams(), Tools())
    assert "tok:13a" in made.signature
    assert "eff:yes" in made.signature
    assert made.version != Bleu("bleu", BleuParams(tokenize="intl"), Tools()).version
    pairs = [("the cat sat on a mat", "the cat sat on the mat"), ("a dog ran home", "the dog ran")]
    cases = [
        Case(example=Example(id=str(n), expected=good), answer=Answer(text=said))
        for n, (said, good) in enumerate(pairs)
    ]
    wanted = sacrebleu.corpus_bleu([a for a, _ in pairs], [[b for _, b in pairs]]).score
    assert made.corpus(cases) == {"bleu_corpus": pytest.approx(wanted)}
    assert made.corpus([]) == {}
