"""Comparing two runs: every tier, and how often the verdict is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evals.verdict.runs import COST, LATENCY, PASSED, QUALITY, example, run

from santral.evals.evaluator import Measure
from santral.evals.run import Run
from santral.evals.verdict.compare import compare
from santral.evals.verdict.comparison import Comparison, MeasureChange, Past, exit_code
from santral.evals.verdict.gate import Gate, MeasureGate


def verdict(base: Run, head: Run, gate: Gate | None = None, **more: object) -> Comparison:
    return compare(base, head, gate or Gate(), rng=np.random.default_rng(1), **more)  # pyright: ignore[reportArgumentType]


def only(comparison: Comparison) -> MeasureChange:
    (measure,) = comparison.measures
    return measure


def passes(good: int, bad: int, id: str = "base", **more: object) -> Run:
    return run({"passed": [1.0] * good + [0.0] * bad}, id=id, **more)  # pyright: ignore[reportArgumentType]


def test_a_loss_beyond_the_margin_is_a_regression() -> None:
    found = verdict(passes(90, 10), passes(60, 40, "head"))
    one = only(found)
    assert (found.outcome, one.tier, exit_code(found)) == ("regression", "regression", 1)
    assert one.difference == pytest.approx(-0.3)
    assert one.high is not None
    assert one.high < -0.05
    assert (len(one.broken), one.fixed) == (30, [])
    assert one.words == "Worse by more than the 5 points that a change may cost."


def test_a_loss_that_may_lie_within_the_margin_is_soft_and_passes() -> None:
    found = verdict(passes(190, 10), passes(170, 30, "head"), Gate(margin=0.1))
    assert (only(found).tier, exit_code(found)) == ("soft", 0)


def test_no_difference_is_noise_where_one_would_have_been_seen() -> None:
    found = verdict(passes(900, 100), passes(897, 103, "head"))
    assert (only(found).tier, exit_code(found)) == ("noise", 0)
    assert only(found).words == "Worse by more than 5 points is ruled out."


def test_a_gain_is_an_improvement() -> None:
    found = verdict(passes(60, 40), passes(90, 10, "head"))
    assert (only(found).tier, exit_code(found)) == ("improvement", 0)
    assert len(only(found).fixed) == 30


def test_few_examples_say_what_they_cannot_see() -> None:
    head = run({"passed": [float(i % 3 > 0) for i in range(60)]}, id="head")
    found = verdict(passes(40, 20), head)
    assert (only(found).tier, exit_code(found)) == ("not_enough_data", 3)
    assert only(found).words.startswith("With 60 examples you cannot see less than ")
    assert "points need about" in only(found).words


def test_below_six_pairs_nothing_is_concluded() -> None:
    found = verdict(passes(5, 0), passes(0, 5, "head"))
    assert (only(found).tier, exit_code(found)) == ("not_enough_data", 3)
    assert only(found).words == "5 pairs are fewer than the 6 a test needs."


def test_many_gates_at_once_need_more_evidence() -> None:
    measures = [Measure(name=f"m{i}", is_binary=True) for i in range(8)]
    before = {m.name: [1.0] * 40 for m in measures}
    after = before | {"m0": [0.0] * 7 + [1.0] * 33}
    texts = [f"other {i}" for i in range(40)]
    alone = verdict(
        run({"m0": before["m0"]}, measures[:1]), run({"m0": after["m0"]}, measures[:1], id="h")
    )
    among = verdict(
        run(before, measures), run(after, measures, id="h", texts=texts), Gate(margin=0.02)
    )
    assert only(alone).p_holm == pytest.approx(2 / 128)
    assert among.measures[0].p_holm == pytest.approx(16 / 128)
    assert verdict(run({"m0": before["m0"]}, measures[:1]), run({"m0": after["m0"]}, measures[:1], id="h"),
                   Gate(margin=0.02)).outcome == "regression"  # fmt: skip
    assert among.measures[0].tier == "not_enough_data"
    assert among.outcome == "not_enough_data"


def test_equal_answers_are_noise_however_few() -> None:
    texts = ["the same"] * 8
    found = verdict(passes(6, 2, texts=texts), passes(6, 2, "head", texts=texts))
    assert (only(found).tier, found.outcome) == ("noise", "pass")
    assert only(found).words == "Both runs gave the same answers."


def test_equal_scores_of_other_answers_are_not_equal_systems() -> None:
    assert only(verdict(passes(8, 0), passes(8, 0, "head"))).tier == "not_enough_data"


def test_where_less_is_better_more_is_worse() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(100_000, 10_000, size=60)
    gate = Gate(measures={"latency_us": MeasureGate(gates=True)})
    slow = verdict(
        run({"latency_us": base.tolist()}, [LATENCY]),
        run({"latency_us": (base * 1.4).tolist()}, [LATENCY], id="head"),
        gate,
    )
    assert (only(slow).tier, slow.outcome) == ("regression", "regression")
    assert only(slow).margin == pytest.approx(0.1 * base.mean())
    assert "ms" in only(slow).words
    fast = verdict(
        run({"latency_us": base.tolist()}, [LATENCY]),
        run({"latency_us": (base * 0.6).tolist()}, [LATENCY], id="head"),
        gate,
    )
    assert only(fast).tier == "improvement"


def test_amounts_are_shown_and_decide_nothing_unless_told() -> None:
    both = {"passed": [1.0] * 400, "cost_nanousd": [1000.0] * 400}
    dear = both | {"cost_nanousd": [9000.0] * 400}
    found = verdict(run(both, [PASSED, COST]), run(dear, [PASSED, COST], id="head"))
    assert found.measures[1].tier == "regression"
    assert (found.measures[1].decides, found.outcome) == (False, "pass")


def test_a_judge_that_may_not_gate_cannot_be_told_to() -> None:
    judged = Measure(name="helpful", gates=False)
    gate = Gate(measures={"helpful": MeasureGate(gates=True)})
    found = verdict(
        run({"helpful": [1.0] * 50}, [judged]),
        run({"helpful": [0.0] * 50}, [judged], id="head"),
        gate,
    )
    assert only(found).tier == "regression"
    assert (only(found).decides, exit_code(found)) == (False, 3)
    assert any("No measure decides" in note for note in found.notes)


def test_another_judge_begins_a_new_series() -> None:
    for change in ({"versions": {"passed": "2"}}, {"judges": {"passed": "another model"}}):
        found = verdict(passes(90, 10), passes(20, 80, "head", **change))
        one = only(found)
        assert (one.tier, one.difference, one.p) == ("new_series", None, None)
        assert "--replay base" in one.words
        assert exit_code(found) == 3


def test_base_outside_of_its_history_is_no_base() -> None:
    base, head = passes(50, 50), passes(49, 51, "head")
    usual = [
        Past(head=msgspec.structs.replace(base.head, id=f"r{i}"), values={"passed": 0.9 + i / 100})
        for i in range(6)
    ]
    assert only(verdict(base, head, history=usual)).tier == "unreliable_baseline"
    assert exit_code(verdict(base, head, history=usual)) == 3
    assert only(verdict(base, head, history=usual[:4])).tier != "unreliable_baseline"
    other = [
        Past(head=msgspec.structs.replace(p.head, dataset_digest="d0"), values=p.values)
        for p in usual
    ]
    assert only(verdict(base, head, history=other)).tier != "unreliable_baseline"
    fine = passes(91, 9)
    assert only(verdict(fine, head, history=usual)).tier == "regression"


def test_noise_of_repeats_excuses_no_base_that_is_far_outside_of_its_history() -> None:
    rows = [[1.0, 1.0]] * 80 + [[0.0, 0.0]] * 10 + [[1.0, 0.0]] * 10
    base, head = run({"passed": rows}), run({"passed": rows}, id="head")
    # asking again moves the mean of base, 0.85, by a standard error of 0.016
    for mean, is_far in ((0.75, True), (0.82, False)):
        usual = [
            Past(head=msgspec.structs.replace(base.head, id=f"r{i}"), values={"passed": mean})
            for i in range(6)
        ]
        found = only(verdict(base, head, Gate(margin=0.01), history=usual))
        assert (found.tier == "unreliable_baseline") == is_far, mean


def test_history_is_of_all_examples_also_where_few_are_compared() -> None:
    before = [example(i) for i in range(100)]
    base = run({"passed": [1.0] * 50 + [0.0] * 50}, examples=before)
    head = run({"passed": [1.0] * 50}, examples=before[:50], id="head")
    usual = [
        Past(head=msgspec.structs.replace(base.head, id=f"r{i}"), values={"passed": 0.5})
        for i in range(6)
    ]
    assert only(verdict(base, head, history=usual)).tier != "unreliable_baseline"


def test_a_changed_data_set_is_compared_where_it_is_the_same() -> None:
    before = [example(i) for i in range(100)]
    after = [
        *before[10:90],
        *[example(i, question="Asked otherwise?") for i in range(90, 100)],
        example(200),
    ]
    base = run({"passed": [1.0] * 100}, examples=before)
    head = run({"passed": [0.0] * 91}, examples=after, id="head")
    found = verdict(base, head)
    assert (found.pairs, only(found).n) == (80, 80)
    assert found.notes[0] == (
        "The data set changed (10 changed, 1 new, 10 gone): compared are the 80 examples that are the "
        "same in both runs."
    )


def test_repeats_are_averaged_and_make_a_noise_band_and_a_list_of_the_flaky() -> None:
    steady = [[1.0, 1.0, 1.0]] * 30
    flaky = [[1.0, 0.0, 1.0]] * 10
    base = run({"passed": steady + flaky})
    head = run({"passed": steady + [[0.0, 1.0, 1.0]] * 10}, id="head")
    one = only(verdict(base, head))
    assert (one.n, one.difference) == (40, 0.0)
    # 20 examples with a spread of 2/3 in 160 degrees of freedom, divided over 40 pairs of three
    assert one.noise_band == pytest.approx(1.96 * np.sqrt(20 * 2 / 3 / 160 * 2 / 3 / 40), rel=1e-4)
    assert len(one.flaky) == 10
    assert one.flaky[0].base == [1.0, 0.0, 1.0]
    assert only(verdict(passes(30, 10), passes(30, 10, "head"))).noise_band is None


def test_families_of_examples_count_as_one() -> None:
    family = [example(i, cluster=f"c{i // 20}") for i in range(100)]
    values = [1.0] * 60 + [0.0] * 40
    alone = verdict(passes(100, 0), run({"passed": values}, id="head"))
    together = verdict(
        run({"passed": [1.0] * 100}, examples=family),
        run({"passed": values}, examples=family, id="head"),
    )
    assert only(alone).tier == "regression"
    assert only(together).method == "clustered_t"
    assert only(together).tier == "not_enough_data"


def test_errors_are_counted_and_never_averaged() -> None:
    base = run({"quality": [0.8] * 40}, [QUALITY])
    head = run({"quality": [0.8] * 30 + [None] * 10}, [QUALITY], id="head")
    found = verdict(base, head)
    assert (only(found).n, only(found).head) == (30, pytest.approx(0.8))
    assert only(found).errors_head == {"unreadable": 10}
    strict = verdict(base, head, Gate(max_more_errors=0.1))
    assert (strict.outcome, exit_code(strict)) == ("regression", 1)
    assert any("25.0 % of scores of quality are errors" in note for note in strict.notes)


def test_a_target_that_fails_is_infrastructure() -> None:
    found = verdict(passes(40, 0), passes(40, 0, "head", failed=25))
    assert (found.outcome, exit_code(found)) == ("infrastructure", 2)
    assert found.failures_head == {"provider_timeout": 25}
    nothing = verdict(passes(40, 0), run({"passed": []}, examples=[], id="head"))
    assert exit_code(nothing) == 2


def test_a_run_that_was_not_finished_cannot_pass() -> None:
    found = verdict(passes(900, 100), passes(897, 103, "head", is_complete=False))
    assert (found.outcome, exit_code(found)) == ("not_enough_data", 3)
    assert "Head was not finished (cost cap)." in found.notes


def test_slices_show_what_the_whole_hides() -> None:
    kinds = [example(i, language="tr" if i % 2 else "en", serial=i) for i in range(200)]
    before = run({"passed": [float(i % 2) for i in range(200)]}, examples=kinds)
    after = run({"passed": [float(i % 2 == 0) for i in range(200)]}, examples=kinds, id="head")
    found = verdict(before, after)
    assert only(found).difference == 0.0
    assert {(s.key, s.value) for s in found.slices} == {("language", "tr"), ("language", "en")}
    assert max(s.p_adjusted for s in found.slices) < 0.001
    assert verdict(before, after, Gate(slices=[])).slices == []


def test_the_worst_are_those_that_lost_most() -> None:
    base = run({"quality": [0.9] * 20}, [QUALITY])
    head = run({"quality": [0.1, 0.5, 0.3] + [0.9] * 17}, [QUALITY], id="head")
    found = verdict(base, head)
    assert [said.example_id for said in found.worst] == ["e0000", "e0002", "e0001"]
    assert found.worst[0].asked == "What is 0 plus 0?"
    assert found.worst[0].head_answer == "head says 0.1 of e0000"


def test_a_measure_that_compared_with_another_run_says_nothing_of_this_one() -> None:
    pairwise = Measure(name="preferred", neutral=0.5)
    base = run({"preferred": [None] * 60}, [pairwise])
    head = run({"preferred": [0.9] * 60}, [pairwise], id="head")
    for against, tier in (("base", "improvement"), ("other", "new_series"), ("", "improvement")):
        known = msgspec.structs.replace(head.head, against=against)
        one = only(verdict(base, msgspec.structs.replace(head, head=known)))
        assert one.tier == tier, against
    one = only(
        verdict(
            base,
            msgspec.structs.replace(head, head=msgspec.structs.replace(known, against="other")),
        )
    )
    assert "other" in one.words
    assert "--baseline base" in one.words


def test_a_measure_that_compares_by_itself_stands_against_its_neutral_value() -> None:
    pairwise = Measure(name="preferred", neutral=0.5)
    base = run({"preferred": [None] * 60}, [pairwise])
    lost = run(
        {"preferred": [0.0] * 40 + [0.5] * 20}, [pairwise], id="head", judges={"preferred": "m"}
    )
    found = only(verdict(base, lost))
    assert (found.tier, found.base, found.difference) == ("regression", 0.5, pytest.approx(-1 / 3))
    even = run({"preferred": [0.0, 1.0] * 400}, [pairwise], id="head")
    assert only(verdict(run({"preferred": [None] * 800}, [pairwise]), even)).tier == "noise"


def test_cosines_are_shares_too() -> None:
    cosine = Measure(name="cosine", low=-1.0)
    assert Gate().decides(cosine)
    assert Gate(margin=0.02).margin_of(cosine, 0.9) == 0.02


def test_what_was_spent_is_told() -> None:
    found = verdict(passes(5, 5), passes(5, 5, "head", cost_nanousd=None))
    assert (found.cost_base_nanousd, found.cost_head_nanousd) == (10_000, None)


def test_a_regression_of_one_target_fails_all() -> None:
    good, bad = (
        verdict(passes(60, 40), passes(90, 10, "h")),
        verdict(passes(90, 10), passes(60, 40, "h")),
    )
    few = verdict(passes(3, 0), passes(3, 0, "h"))
    assert (exit_code(good, bad, few), exit_code(good, few), exit_code(good)) == (1, 3, 0)


def test_the_same_seed_gives_the_same_verdict() -> None:
    rng = np.random.default_rng(3)
    runs = [run({"quality": rng.beta(4, 2, size=80).tolist()}, [QUALITY], id=name) for name in "ab"]
    assert msgspec.json.encode(verdict(runs[0], runs[1])) == msgspec.json.encode(
        verdict(runs[0], runs[1])
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=6, max_size=60),
    st.randoms(use_true_random=False),
)
def test_the_order_of_samples_changes_nothing_and_of_runs_the_sign(
    pairs: list[tuple[bool, bool]], random: Any
) -> None:
    base = run({"passed": [float(before) for before, _ in pairs]})
    head = run({"passed": [float(after) for _, after in pairs]}, id="head")
    shuffled = msgspec.structs.replace(head, samples=random.sample(head.samples, len(pairs)))
    there, again, back = (
        only(verdict(base, head)),
        only(verdict(base, shuffled)),
        only(verdict(head, base)),
    )
    assert (there.tier, there.difference, there.low) == (again.tier, again.difference, again.low)
    assert there.difference == pytest.approx(-(back.difference or 0.0))
    assert sorted(there.broken) == sorted(back.fixed)
    turned = {"regression": "improvement", "soft": "improvement"}
    if there.tier in turned:
        assert back.tier == turned[there.tier]


@pytest.mark.parametrize("n", [40, 100])
def test_runs_of_one_system_seldom_fail_the_gate(n: int) -> None:
    rng, alarms = np.random.default_rng(n), 0
    for _ in range(100):
        easy = rng.beta(3, 1, size=n)
        runs = [
            run({"passed": (rng.uniform(size=n) < easy).astype(float).tolist(),
                 "quality": np.clip(easy + rng.normal(0, 0.15, size=n), 0, 1).tolist()},
                [PASSED, QUALITY], id=name)
            for name in "ab"
        ]  # fmt: skip
        alarms += (
            compare(runs[0], runs[1], Gate(margin=0.0, slices=[]), rng=rng).outcome == "regression"
        )
    # one side of 5 % at most, with no margin at all; 100 draws of it lie below 7 in 99 of 100 cases
    assert alarms <= 7


def test_a_loss_of_the_stated_size_is_seen_with_the_stated_power() -> None:
    rng, seen, n = np.random.default_rng(5), 0, 200
    for _ in range(60):
        easy = rng.uniform(0.3, 1.0, size=n)
        before = rng.uniform(size=n) < easy
        after = before & (rng.uniform(size=n) > 0.2)
        runs = [
            run({"passed": side.astype(float).tolist()}, id=name)
            for name, side in (("a", before), ("b", after))
        ]
        seen += (
            compare(runs[0], runs[1], Gate(margin=0.05, slices=[]), rng=rng).outcome == "regression"
        )
    assert seen >= 0.8 * 60
