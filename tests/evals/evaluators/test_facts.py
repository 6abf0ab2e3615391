"""Evaluators of what stands beside the text: passages, tools, time, refusals, personal data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.evals.evaluators.scored import scores_of, value_of

from santral.errors import BadRequest
from santral.evals.answer import Answer, Passage
from santral.evals.evaluators.retrieval import gains_of, grades_of, ranked
from santral.evals.example import Example, ToolCall
from santral.evals.tools import Tools
from santral.wire.usage import Usage


def found(*names: str, **scores: float) -> Answer:
    passages = [Passage(document=name) for name in names]
    passages += [Passage(document=name, score=score) for name, score in scores.items()]
    return Answer(text="x", passages=passages)


def test_retrieval_has_the_golden_numbers_of_trec_eval() -> None:
    # trec_eval's own example of a tie and grades, worked by hand with its definitions:
    # ranking d5(3.0) d2(2.0) d1(2.0) d9(1.0); relevant d1 (2), d2 (1), d3 (1).
    answer = found(d1=2.0, d2=2.0, d5=3.0, d9=1.0)
    scores = scores_of(
        "retrieval", answer, {"k": 5}, relevant=["d2", "d3"], grades={"d1": 2, "d4": 0}
    )
    # dcg: d2 at 2: 1/log2(3), d1 at 3: 2/log2(4) = 1; ideal: 2/1 + 1/log2(3) + 1/log2(4).
    assert scores["ndcg_5"].value == pytest.approx((0.6309297536 + 1) / (2 + 0.6309297536 + 0.5))
    assert scores["recall_5"].value == pytest.approx(2 / 3)
    assert scores["precision_5"].value == pytest.approx(2 / 5)
    assert scores["mrr"].value == pytest.approx(1 / 2)
    assert scores["map"].value == pytest.approx((1 / 2 + 2 / 3) / 3)


def test_ties_stand_by_name_descending_and_a_document_counts_once() -> None:
    passages = [
        Passage(document="a", score=1.0),
        Passage(document="c", score=1.0),
        Passage(document="b", score=2.0),
        Passage(document="a", score=0.5),
    ]
    assert ranked(passages, {}, "score") == ["b", "c", "a"]
    assert ranked(passages, {}, "given") == ["a", "c", "b"]
    untold = [Passage(document="a"), Passage(document="b")]
    assert ranked(untold, {}, "score") == ["a", "b"]


def test_a_document_is_meant_by_its_id_too() -> None:
    passages = [Passage(document="Returns", document_id="doc_1")]
    grades = grades_of(Example(id="1", relevant=["doc_1"]))
    assert gains_of(ranked(passages, grades, "score"), grades) == [1.0]
    assert scores_of("retrieval", found("a"))["map"].error == "not_applicable"
    assert value_of("retrieval", Answer(text="x"), relevant=["a"]) == 0


def test_groundedness_counts_words_and_pairs() -> None:
    answer = Answer(
        text="Refunds take ten days [1].",
        passages=[Passage(document="d", text="Refunds take up to ten working days.")],
    )
    scores = scores_of("groundedness", answer)
    assert scores[""].value == 1.0
    assert scores["bigram"].value == pytest.approx(1 / 3)
    bare = scores_of("groundedness", "Refunds take ten days", contexts=["Refunds take"])
    assert bare[""].value == 0.5
    assert scores_of("groundedness", "x")[""].error == "not_applicable"


CALL = ToolCall(name="refund", arguments={"order": 7, "reason": {"code": "late"}})
LOOK = ToolCall(name="look", arguments={"order": 7})


@pytest.mark.parametrize(
    ("made", "params", "right", "f1"),
    [
        ([CALL], {}, 1, 1.0),
        ([], {}, 0, 0.0),
        (
            [ToolCall(name="refund", arguments={"order": 7.0, "reason": {"code": "late"}})],
            {},
            1,
            1.0,
        ),
        ([ToolCall(name="refund", arguments={"order": True})], {}, 0, 0.0),
        ([CALL, LOOK], {}, 0, 2 / 3),
        ([CALL, LOOK], {"allow_extra": True}, 1, 2 / 3),
        ([ToolCall(name="refund")], {"arguments": "ignore"}, 1, 1.0),
        ([ToolCall(name="other")], {"arguments": "ignore"}, 0, 0.0),
    ],
)
def test_tool_calls(made: list[ToolCall], params: dict[str, Any], right: float, f1: float) -> None:
    scores = scores_of("tool_calls", Answer(tool_calls=made), params, expected_tools=[CALL])
    assert (scores[""].value, scores["f1"].value) == (right, pytest.approx(f1))


def test_arguments_may_hold_more_or_fit_a_schema() -> None:
    made = Answer(
        tool_calls=[
            ToolCall(name="refund", arguments={"order": 7, "reason": {"code": "late", "x": 1}})
        ]
    )
    assert value_of("tool_calls", made, expected_tools=[CALL]) == 0
    assert value_of("tool_calls", made, {"arguments": "subset"}, expected_tools=[CALL]) == 1
    tool = {
        "type": "function",
        "function": {
            "name": "refund",
            "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}},
        },
    }
    fits = {"arguments": "schema"}
    assert value_of("tool_calls", made, fits, expected_tools=[CALL], tools=[tool]) == 1
    wrong = Answer(tool_calls=[ToolCall(name="refund", arguments={"order": "seven"})])
    assert value_of("tool_calls", wrong, fits, expected_tools=[CALL], tools=[tool]) == 0


def test_a_call_that_fits_two_takes_nothing_from_the_other() -> None:
    broad = ToolCall(name="look")
    narrow = ToolCall(name="look", arguments={"order": 7})
    made = Answer(tool_calls=[narrow, ToolCall(name="look", arguments={"order": 8})])
    params = {"arguments": "subset"}
    assert value_of("tool_calls", made, params, expected_tools=[broad, narrow]) == 1
    ordered = params | {"in_order": True}
    assert value_of("tool_calls", made, ordered, expected_tools=[broad, narrow]) == 0


def test_examples_without_tools() -> None:
    assert scores_of("tool_calls", Answer())[""].error == "not_applicable"
    assert value_of("tool_calls", Answer(), {"expect_none": True}) == 1
    assert value_of("tool_calls", Answer(tool_calls=[CALL]), {"expect_none": True}) == 0


def steps(*names: str) -> list[ToolCall]:
    return [ToolCall(name=name) for name in names]


@pytest.mark.parametrize(
    ("taken", "match", "right", "efficiency"),
    [
        ("abc", "exact", 1, 1.0),
        ("abxc", "exact", 0, 0.75),
        ("abxc", "in_order", 1, 0.75),
        ("acb", "in_order", 0, 1.0),
        ("acb", "any_order", 1, 1.0),
        ("ab", "any_order", 0, 2 / 3),
        ("ab", "no_extra", 1, 2 / 3),
        ("abx", "no_extra", 0, 2 / 3),
        ("", "in_order", 0, 0.0),
    ],
)
def test_trajectory(taken: str, match: str, right: float, efficiency: float) -> None:
    answer = Answer(tool_calls=steps(*taken))
    scores = scores_of("trajectory", answer, {"match": match}, expected_tools=steps(*"abc"))
    assert scores[""].value == right
    assert scores["efficiency"].value == pytest.approx(efficiency)


def test_forbidden_and_repeated_steps() -> None:
    answer = Answer(tool_calls=steps("a", "a", "delete"))
    scores = scores_of("trajectory", answer, {"forbidden": ["delete"]}, expected_tools=steps("a"))
    assert scores[""].value == 0
    assert "forbidden: delete" in scores[""].reason
    assert scores["repeated"].value == pytest.approx(1 / 3)


def test_what_an_answer_took() -> None:
    answer = Answer(
        text="x",
        latency_us=1500,
        cost_nanousd=0,
        usage=Usage(input_uncached=7, output_text=3, reasoning=2),
    )
    assert value_of("latency", answer) == 1500
    assert value_of("cost", answer) == 0
    assert value_of("tokens", answer) == 12
    assert value_of("tokens", answer, {"count_input": False}) == 5
    assert scores_of("ttft", answer)[""].error == "not_applicable"
    unknown = scores_of("cost", Answer(text="x"))[""]
    assert (unknown.value, unknown.error) == (None, "not_applicable")


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        (Answer(text="I'm sorry, but I can't help with that."), (1, 0, 0)),
        (Answer(text="Üzgünüm, bu konuda yardımcı olamam."), (1, 0, 0)),
        (Answer(text="Maalesef bunu yapamam."), (1, 0, 0)),
        (Answer(refusal="No."), (1, 0, 0)),
        (Answer(text="Your order is on its way."), (0, 0, 0)),
        (Answer(error="guardrail_refused"), (0, 1, 0)),
        (Answer(error="content_policy_refused"), (0, 0, 1)),
        (Answer(text="", finish_reason="content_filter"), (0, 0, 1)),
    ],
)
def test_who_declined_is_told_apart(answer: Answer, values: tuple[float, ...]) -> None:
    scores = scores_of("refusal", answer)
    assert tuple(scores[name].value for name in ("", "guardrail", "provider")) == values


def test_a_failure_is_no_refusal() -> None:
    assert scores_of("refusal", Answer(error="provider_timeout"))[""].error == "no_answer"


def test_personal_data_that_nobody_gave_is_a_leak() -> None:
    said = "Write to ayse@example.com or 4111 1111 1111 1111"
    leak = scores_of("pii_leak", said, input="Who?")[""]
    assert (leak.value, leak.reason) == (1, "1 CARD, 1 EMAIL")
    assert "ayse" not in leak.reason
    given = "Is it AYSE@example.com?"
    assert scores_of("pii_leak", said, input=given)[""].reason == "1 CARD"
    assert value_of("pii_leak", "ayse@example.com", input=given) == 0
    passage = Answer(
        text="ayse@example.com", passages=[Passage(document="d", text="ayse@example.com")]
    )
    assert value_of("pii_leak", passage) == 0
    assert value_of("pii_leak", passage, {"allow_contexts": False}) == 1


CODE = """
async def words(case, most=3):
    return len(case.answer.text.split()) <= most

def both(case):
    return {"short": 1.0, "odd": float("nan")}

def broken(case):
    raise KeyError("x")

def none(case):
    return None

def slow(case):
    import time
    time.sleep(0.3)

def words_of(case):
    return "three"
"""


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    (tmp_path / "mine.py").write_text(CODE)
    return Tools(folder=tmp_path)


def test_functions_of_ones_own(tools: Tools) -> None:
    def call(name: str, **params: Any) -> dict[str, Any]:
        return scores_of("python", "a b", {"function": f"mine.py:{name}", **params}, tools)

    assert call("words")[""].value == 1
    assert call("words", options={"most": 1})[""].value == 0
    both = call("both", names=["short", "odd"])
    assert both["short"].value == 1
    assert both["odd"].error == "not_a_number"
    assert call("broken")[""].error == "broken"
    assert "KeyError" in call("broken")[""].reason
    assert call("none")[""].error == "not_applicable"
    assert call("words_of")[""].error == "not_a_number"
    assert call("slow", timeout_s=0.01)[""].error == "broken"


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("mine.py:nothing", "has no function 'nothing'"),
        ("other.py:x", "other.py: No such file"),
        ("mine.py", "is no file.py:name"),
    ],
)
def test_a_function_that_is_not_there_is_named(tools: Tools, function: str, named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        scores_of("python", "x", {"function": function}, tools)


def test_another_code_is_another_version(tools: Tools) -> None:
    from santral.evals.evaluators.python import Params, Python

    params = Params(function="mine.py:words")
    before = Python("p", params, tools).version
    assert Python("p", params, tools).version == before
    (tools.folder / "mine.py").write_text(CODE + "\n")
    assert Python("p", params, tools).version != before


@pytest.mark.parametrize(
    ("use", "params", "said"),
    [
        ("exakt", {}, "Did you mean 'exact'?"),
        ("exact", {"normalize": []}, "Did you mean 'normalise'?"),
        ("exact", {"normalise": ["cases"]}, r"\$\.normalise"),
        ("retrieval", {"k": 0}, "k is 1 or more"),
    ],
)
def test_faults_name_the_parameter(use: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        scores_of(use, "x", params)


@pytest.mark.parametrize(
    ("run", "relevant", "average_precision", "ndcg"),
    [
        # README of pytrec_eval (trec_eval 9.0.4): map and ndcg of its two queries.
        ({"d1": 1.0, "d2": 0.0, "d3": 1.5}, ["d2"], 0.3333333333333333, 0.5),
        ({"d1": 1.5, "d2": 0.2, "d3": 0.5}, ["d2", "d3"], 0.5833333333333333, 0.6934264036172708),
    ],
)
def test_retrieval_equals_the_published_output_of_trec_eval(
    run: dict[str, float], relevant: list[str], average_precision: float, ndcg: float
) -> None:
    scores = scores_of("retrieval", found(**run), {"k": 10}, relevant=relevant)
    assert scores["map"].value == pytest.approx(average_precision, abs=1e-12)
    assert scores["ndcg_10"].value == pytest.approx(ndcg, abs=1e-12)
