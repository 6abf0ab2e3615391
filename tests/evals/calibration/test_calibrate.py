"""A judge is held against people, and only then may decide."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from tests.evals.asking import ScriptedAsk
from tests.evals.judges.asked import part

from santral.errors import BadRequest
from santral.evals.answer import Answer, Question
from santral.evals.calibration.calibrate import Plan, calibrate
from santral.evals.calibration.correct import corrected_rate
from santral.evals.calibration.labelled import Labelled, labelled_of
from santral.evals.calibration.sample import draw, rows
from santral.evals.calibration.scale import scale_of
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.evaluators.registry import build
from santral.evals.example import Example, Plain, digest_of
from santral.evals.judges.family import same_family
from santral.evals.run import Run, RunHead, Sample
from santral.evals.standing import Standing
from santral.evals.tools import Tools
from santral.statistics.agreement import cohen_kappa

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BANDS = [{"score": n, "text": str(n)} for n in (1, 2, 3, 4, 5)]
RUBRIC: dict[str, Any] = {"route": "judge", "criteria": "x", "bands": BANDS}
YES_NO: dict[str, Any] = {"route": "judge", "instructions": "Right?"}


def labelled(values: list[float], **metadata: Plain) -> list[Labelled]:
    return [
        Labelled(
            case=Case(
                example=Example(id=str(n), input=str(n), metadata=metadata),
                answer=Answer(text=f"{value:g}"),
            ),
            agreed=value,
            raters={"1": value},
        )
        for n, value in enumerate(values)
    ]


def standing_of(
    use: str,
    params: dict[str, Any],
    labels: list[Labelled],
    script: Callable[[Question], Any],
    plan: Plan | None = None,
) -> Standing:
    def said(question: Question) -> str | Answer:
        told = script(question)
        return told if isinstance(told, str | Answer) else json.dumps(told)

    async def measured() -> Standing:
        judge = await build(use, "j", params, Tools(ask=ScriptedAsk(said)))
        rng = np.random.default_rng(1)
        return await calibrate(judge, labels, plan or Plan(), rng, NOW)

    return asyncio.run(measured())


def right(question: Question) -> dict[str, Any]:
    """Say what the answer is labelled with."""
    return {"reason": "", "score": int(part(question, "answer"))}


SPREAD = [1.0, 2.0, 3.0, 4.0, 5.0] * 6


def test_a_judge_that_agrees_may_gate() -> None:
    found = standing_of("rubric", RUBRIC, labelled(SPREAD), right)
    assert found.may_gate
    assert found.agreement[0].method == "quadratic_kappa"
    assert found.agreement[0].value == pytest.approx(1.0)
    assert [one.method for one in found.agreement[1:]] == [
        "gwet_ac1",
        "krippendorff_alpha_ordinal",
    ]
    assert (found.repeat_rate, found.examples, found.cost_nanousd) == (1.0, 30, 1000)
    assert found.reason.startswith("May gate: its quadratic_kappa with people is 1.00")


def test_a_judge_that_says_the_same_of_everything_may_not() -> None:
    found = standing_of("rubric", RUBRIC, labelled(SPREAD), lambda _: {"reason": "", "score": 4})
    assert not found.may_gate
    assert found.agreement[0].value == pytest.approx(0.0, abs=1e-9)
    assert "below the floor of 0.40" in found.reason
    agreeing = standing_of(
        "rubric", RUBRIC, labelled([4.0] * 20), lambda _: {"reason": "", "score": 4}
    )
    assert not agreeing.may_gate  # everybody always says the same: nothing was learnt
    assert "undefined" in agreeing.reason


def test_the_lower_end_decides_and_not_the_value() -> None:
    def off_by_one(question: Question) -> dict[str, Any]:
        value = int(part(question, "answer"))
        return {
            "reason": "",
            "score": value % 5 + 1 if int(part(question, "question")) % 4 == 0 else value,
        }

    found = standing_of("rubric", RUBRIC, labelled(SPREAD[:12]), off_by_one)
    first = found.agreement[0]
    assert first.value is not None
    assert first.low is not None
    floor = (first.low + first.value) / 2
    strict = standing_of("rubric", RUBRIC, labelled(SPREAD[:12]), off_by_one, Plan(floor=floor))
    assert first.value > floor > first.low
    assert not strict.may_gate


def test_kappa_is_that_of_the_statistics() -> None:
    people = [1.0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1]
    judge = [1.0, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 0]
    script: Any = lambda q: {  # noqa: E731
        "reason": "", "label": "yes" if judge[int(part(q, "question"))] else "no",
    }  # fmt: skip
    found = standing_of("judge", YES_NO, labelled(people), script)
    wanted = cohen_kappa(judge, people, rng=np.random.default_rng(1))
    assert found.agreement[0].value == pytest.approx(wanted.value)
    assert (found.positives, found.negatives) == (7, 5)
    assert found.sensitivity == pytest.approx(5 / 7)
    assert found.specificity == pytest.approx(4 / 5)


def test_errors_and_changes_of_mind_are_counted() -> None:
    calls: dict[str, int] = {}

    def fickle(question: Question) -> Any:
        number = part(question, "question")
        calls[number] = calls.get(number, 0) + 1
        if number == "0":
            return "no form"
        value = int(part(question, "answer"))
        return {"reason": "", "score": value if number != "1" or calls[number] == 1 else 5}

    found = standing_of("rubric", RUBRIC, labelled(SPREAD), fickle)
    assert found.examples == 29
    assert found.errors == {"unreadable": 2}
    assert found.repeat_rate == pytest.approx(28 / 29)


def test_people_who_only_say_yes_and_no_are_compared_with_what_passes() -> None:
    labels = labelled([1.0, 0.0] * 15)
    script: Any = lambda q: {"reason": "", "score": 4 if part(q, "answer") == "1" else 2}  # noqa: E731
    found = standing_of("rubric", RUBRIC, labels, script)
    assert found.agreement[0].method == "cohen_kappa"
    assert (found.agreement[0].value, found.sensitivity) == (1.0, 1.0)
    strict = standing_of("rubric", RUBRIC, labels, script, Plan(pass_at=5))
    assert strict.sensitivity == 0.0


def test_other_scales_few_labels_and_other_evaluators_are_refused() -> None:
    with pytest.raises(BadRequest, match="People gave 9, the judge's scale is 1 to 5"):
        standing_of("rubric", RUBRIC, labelled([9.0, 1.0] * 10), right)
    with pytest.raises(BadRequest, match="3 labelled answers were found"):
        standing_of("rubric", RUBRIC, labelled([1.0, 2.0, 3.0]), right)
    with pytest.raises(BadRequest, match="asks no model"):
        standing_of("exact", {}, labelled(SPREAD), right)


def test_pairs_show_flips_and_places() -> None:
    labels = [
        Labelled(
            case=Case(
                example=Example(id=str(n), input="?"),
                answer=Answer(text="x"),
                other=Answer(text="y"),
            ),
            agreed=value,
            raters={"1": value},
        )
        for n, value in enumerate([1.0, 0.0, 0.5, 1.0] * 4)
    ]
    params = {"route": "judge", "criteria": "x"}
    found = standing_of("pairwise", params, labels, lambda _: {"reason": "", "better": "first"})
    assert (found.flip_rate, found.first_rate, found.tie_rate) == (1.0, 1.0, 1.0)
    assert not found.may_gate


def test_two_people_are_the_ceiling() -> None:
    labels = [
        Labelled(case=one.case, agreed=one.agreed, raters={"1": one.agreed, "2": 6 - one.agreed})
        for one in labelled(SPREAD)
    ]
    found = standing_of("rubric", RUBRIC, labels, right)
    assert [one.method for one in found.humans] == [
        "quadratic_kappa", "krippendorff_alpha_ordinal", "gwet_ac1",
    ]  # fmt: skip
    assert (found.humans[0].value or 0) < 0
    assert standing_of("rubric", RUBRIC, labelled(SPREAD), right).humans == []


# Labels


def example(id: str, **metadata: Plain) -> Example:
    return Example(id=id, input="?", metadata=metadata)


def test_labels_of_review_and_of_files() -> None:
    examples = [
        example(
            "a", answer="said", good=1, **{"good.1": 1, "good.2": 0, "good.x": 7, "goodness": 3}
        ),
        example("b", answer="said", **{"good.1": "no", "good.2": "yes", "good.3": "yes"}),
        example("c", answer="said"),  # nobody labelled it
        example("d", good=True),
        example("e", answer="said", good="partly", probability=0.25),
        example("f", answer="said", good=None),
    ]
    found = labelled_of(examples, {"d": Answer(text="recorded")}, "good", {"partly": 0.5})
    assert [(one.case.example.id, one.agreed) for one in found] == [
        ("a", 1.0), ("b", 1.0), ("d", 1.0), ("e", 0.5),
    ]  # fmt: skip
    assert found[0].raters == {"1": 1.0, "2": 0.0}
    assert found[2].case.answer.text == "recorded"
    assert found[3].probability == 0.25
    with pytest.raises(BadRequest, match="Example 'g': good = 'maybe' is no number"):
        labelled_of([example("g", answer="x", good="maybe")], {}, "good")


def test_preferences_are_pairs() -> None:
    (one,) = labelled_of([example("a", answer="x", other="y", better="a")], {}, "better")
    assert (one.agreed, one.case.other) == (1.0, Answer(text="y"))
    measure = Measure(name="p")
    assert scale_of(measure, [1.0, 0.5, 0.0], None).kind == "names"


# Samples and corrections


def run_of(values: list[float | None]) -> Run:
    examples = {str(n): Example(id=str(n), input="?") for n in range(len(values))}
    samples = [
        Sample(
            example_id=str(n),
            example_hash=digest_of(examples[str(n)]),
            repeat=0,
            answer=Answer(text=f"answer {n}"),
            scores=[
                Score(name="tone", value=value, error="" if value is not None else "unreadable")
            ],
        )
        for n, value in enumerate(values)
    ]
    head = RunHead(id="r", suite="s", target="t", route="x", measures=[Measure(name="tone")])
    return Run(head=head, samples=samples, examples=examples)


def test_every_range_of_scores_is_drawn_from_alike_and_blind() -> None:
    run = run_of([1.0] * 90 + [0.0] * 10 + [None] * 5)
    drawn = draw(run, "tone", 20, np.random.default_rng(1))
    by_value = {v: [d for d in drawn if d.sample.value("tone") == v] for v in (0.0, 1.0)}
    assert {value: len(found) for value, found in by_value.items()} == {0.0: 10, 1.0: 10}
    assert {d.probability for d in by_value[1.0]} == {10 / 90}
    assert {d.probability for d in by_value[0.0]} == {1.0}
    written = rows(run, drawn, "good")
    assert written[0]["metadata"].keys() == {"good", "probability"}
    assert "tone" not in json.dumps(written)
    again = draw(run, "tone", 20, np.random.default_rng(1))
    assert [d.sample.example_id for d in again] == [d.sample.example_id for d in drawn]


def test_small_ranges_leave_their_share_to_others() -> None:
    values: list[float | None] = [*np.linspace(0, 1, 100).tolist()]
    drawn = draw(run_of(values), "tone", 50, np.random.default_rng(2))
    assert len(drawn) == 50
    assert len(draw(run_of(values), "tone", 500, np.random.default_rng(2))) == 100
    with pytest.raises(BadRequest, match="no scores 'tune'"):
        draw(run_of(values), "tune", 5, np.random.default_rng(2))


def test_the_corrected_rate_is_the_truth_and_the_judges_own_is_not() -> None:
    # A judge that passes 90 % of the good and 40 % of the bad, over many draws: its own rate is far
    # off, the corrected one lies in its interval as often as it says.
    rng = np.random.default_rng(7)
    held, n, m, truth = 0, 2000, 400, 0.6
    for _ in range(100):
        good = rng.random(n) < truth
        judged = np.where(good, rng.random(n) < 0.9, rng.random(n) < 0.4).astype(float)
        strata = [np.flatnonzero(judged == v) for v in (0.0, 1.0)]
        places = np.concatenate([rng.choice(one, m // 2, replace=False) for one in strata])
        shares = {v: m / 2 / len(strata[int(v)]) for v in (0.0, 1.0)}
        sample = [
            Labelled(
                case=Case(example=Example(id=str(p)), answer=Answer(text="x")),
                agreed=float(good[p]),
                raters={},
                probability=shares[float(judged[p])],
            )
            for p in places
        ]
        standing = _right(judged[places].tolist(), sample)
        found = corrected_rate(judged.tolist(), standing)
        held += found.interval.holds(truth)
        assert abs(judged.mean() - truth) > 0.05
        assert abs(found.value - truth) < 0.2
    assert held >= 90


def _right(values: list[float], sample: list[Labelled]) -> Standing:
    from santral.evals.calibration.agree import rates
    from santral.evals.calibration.scale import Scale

    right = rates(Scale(kind="binary", categories=(0, 1), pass_at=1), values, sample)
    return Standing(
        judge="j", digest="d", kind="judge", models=(), examples=len(sample), errors={},
        agreement=[], floor=0.4, may_gate=False, reason="", sensitivity=right.sensitivity,
        specificity=right.specificity, positives=right.positives, negatives=right.negatives,
    )  # fmt: skip


def test_a_rate_that_cannot_be_corrected_says_so() -> None:
    unknown = _right([1.0, 0.0], labelled([1.0, 1.0]))
    with pytest.raises(BadRequest, match="says nothing of passed and failed"):
        corrected_rate([1.0], unknown)
    coin = _right([1.0, 0.0, 1.0, 0.0], labelled([1.0, 1.0, 0.0, 0.0]))
    with pytest.raises(BadRequest, match="no better than a coin"):
        corrected_rate([1.0], coin)


def test_a_judge_is_warned_about_its_own_family() -> None:
    assert same_family({"j": ("gpt-4.1",)}, ["gpt-5"])
