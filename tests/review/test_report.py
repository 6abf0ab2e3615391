"""What a queue has come to: agreement, raters, rates of all traffic, and what is made of it."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from tests.review.people import NOW, OPERATOR, add_item, make_queue, rater

from santral.db.engine import Engine, reading, writing
from santral.errors import BadRequest, Conflict, NotAllowed
from santral.evals.datasets.change import create_dataset, examples_page
from santral.evals.example import Example
from santral.review import store
from santral.review.add import Pair, add_pairs
from santral.review.gold import make_gold
from santral.review.item import Said
from santral.review.rating.submit import submit
from santral.review.rating.take import take_next
from santral.review.report.rates import weighted_mean, weighted_share
from santral.review.report.report import Report, report_of
from santral.review.results import add_to_dataset, export

pytestmark = pytest.mark.anyio


async def rate(engine: Engine, name: str, labels: dict[str, Any] | None) -> str | None:
    """Let somebody rate the next item; None where there is none."""
    who = rater(name)
    taken = await take_next(engine, None, "acme", "daily", NOW, by=who, chance=lambda: 0.1)
    if taken is None:
        return None
    await submit(engine, "acme", "daily", taken.item_id, labels or {}, NOW, by=who, seconds=12)
    return taken.item_id


async def report(engine: Engine) -> Report:
    return await report_of(engine, "acme", "daily", by=OPERATOR, rng=np.random.default_rng(1))


def test_a_weighted_share_is_that_of_the_traffic_and_its_interval_holds_it() -> None:
    rng, held, drawn = np.random.default_rng(3), 0, 400
    # Of 4000 requests 5 % are bad; bad ones come in always, the others with 2 %.
    for _ in range(drawn):
        bad = rng.random(4000) < 0.05
        p = np.where(bad & (rng.random(4000) < 0.5), 1.0, 0.02)
        taken = rng.random(4000) < p
        rate_ = weighted_share(list(bad[taken]), list(p[taken]))
        assert rate_ is not None
        held += rate_.interval.low <= bad.mean() <= rate_.interval.high
    assert held / drawn >= 0.93


def test_golden_weighted_rates() -> None:
    share = weighted_share([True, False, False], [1.0, 0.5, 0.25])
    assert share is not None
    assert share.value == pytest.approx(1 / 7)
    assert share.effective == pytest.approx(49 / 21)
    assert share.stands_for == 7
    mean = weighted_mean([5, 1], [0.5, 1.0])
    assert mean is not None
    assert mean.value == pytest.approx(11 / 3)
    assert weighted_share([], []) is None


async def test_raters_who_say_the_same_agree_and_disputes_are_named(engine: Engine) -> None:
    await make_queue(engine, raters_per_item=2)
    for number in range(10):
        await add_item(engine, number, probability=0.5 if number % 2 else 1.0)
    for number in range(10):
        await rate(engine, "ada", {"correct": number % 2})
        await rate(engine, "bob", {"correct": 1 if number == 0 else number % 2})
    made = await report(engine)
    assert dict(made.states) == {"done": 9, "disputed": 1}
    (label,) = made.labels
    assert {one.method for one in label.agreement} == {
        "cohen_kappa", "gwet_ac1", "krippendorff_alpha_nominal",
    }  # fmt: skip
    kappa = label.agreement[0]
    assert kappa.percent == 0.9
    assert kappa.value == pytest.approx(0.8)
    assert kappa.interval is not None
    assert label.rates["1"].value == pytest.approx(10 / 14)  # five of weight 2 of 14 in all
    assert [one.item_id for one in made.disputes] == ["item_daily_0"]
    assert made.disputes[0].said == {"user:ada": {"correct": 0}, "user:bob": {"correct": 1}}
    assert [(r.rater, r.done, r.median_s) for r in made.raters] == [
        ("user:ada", 10, 12), ("user:bob", 10, 12),
    ]  # fmt: skip
    assert not made.covers_all
    with pytest.raises(NotAllowed):
        await report_of(engine, "acme", "daily", by=rater("ada"), rng=np.random.default_rng(1))


async def test_a_closed_item_becomes_gold_that_its_raters_do_not_meet(engine: Engine) -> None:
    await make_queue(engine, gold_share=0.5)
    made = await add_item(engine)
    with pytest.raises(Conflict, match="is open"):
        await make_gold(engine, None, "acme", "daily", made.id, by=OPERATOR)
    await rate(engine, "ada", {"correct": 1})
    gold = await make_gold(engine, None, "acme", "daily", made.id, by=OPERATOR)
    with pytest.raises(Conflict, match="already"):
        await make_gold(engine, None, "acme", "daily", made.id, by=OPERATOR)
    assert await rate(engine, "ada", {"correct": 1}) is None
    assert await rate(engine, "bob", {"correct": 0}) == gold.id
    bob = next(one for one in (await report(engine)).raters if one.rater == "user:bob")
    assert bob.accuracy is not None
    assert (bob.accuracy.right, bob.accuracy.n) == (0, 1)


async def test_results_are_examples_with_provenance_and_labels_for_a_judge(
    engine: Engine,
) -> None:
    labels = [{"name": "correct"}, {"name": "correction", "kind": "text", "is_required": False}]
    await make_queue(engine, labels=labels)
    for number in range(3):
        await add_item(engine, number, subject="u1" if number else "session:s1")
    for said in ({"correct": 1}, {"correct": 0}, {"correct": 0, "correction": "Two cards."}):
        await rate(engine, "ada", said)
    await create_dataset(engine, "acme", "judged", NOW, by=OPERATOR)
    changed = await add_to_dataset(engine, None, "acme", "daily", "judged", NOW, by=OPERATOR)
    assert changed.created == 3
    again = await add_to_dataset(engine, None, "acme", "daily", "judged", NOW, by=OPERATOR)
    assert again.same == 3
    page = await examples_page(engine, "acme", "judged", by=OPERATOR)
    expected = {one.example_id: one.content.expected for one in page if one.content}
    assert expected == {
        "item_daily_0": "Bring a card.", "item_daily_1": None, "item_daily_2": "Two cards.",
    }  # fmt: skip
    assert {one.subject for one in page} == {"session:s1", "u1"}
    rows = await export(engine, None, "acme", "daily", "judged", by=OPERATOR)
    assert rows[0]["metadata"]["answer"] == "Bring a card."
    assert (rows[0]["metadata"]["correct"], rows[0]["metadata"]["correct.1"]) == (1, 1)
    assert Example(**rows[0]).question == "Question 0?"
    (pair,) = await export(engine, None, "acme", "daily", "pairs", by=OPERATOR)
    assert pair["chosen"] == [{"role": "assistant", "content": "Two cards."}]
    assert pair["rejected"] == [{"role": "assistant", "content": "Bring a card."}]
    assert len(await export(engine, None, "acme", "daily", "labels", by=OPERATOR)) == 3
    with pytest.raises(BadRequest, match="Did you mean 'pairs'"):
        await export(engine, None, "acme", "daily", "pair", by=OPERATOR)


async def test_pairs_are_added_once_and_become_preferences(engine: Engine) -> None:
    await make_queue(engine, mode="pairwise", labels=[{"name": "better", "kind": "preference"}])
    pairs = [
        Pair(key=str(n), said=[Said("user", "?")], a=f"a{n}", b=f"b{n}", names=("base", "head"))
        for n in range(3)
    ]
    assert await add_pairs(engine, None, "acme", "daily", pairs, NOW, by=OPERATOR) == 3
    assert await add_pairs(engine, None, "acme", "daily", pairs, NOW, by=OPERATOR) == 0
    rng = Random(4)
    for value in ("first", "second", "tie"):
        who = rater("ada")
        taken = await take_next(engine, None, "acme", "daily", NOW, by=who, chance=rng.random)
        assert taken is not None
        assert "base" not in str(taken), "blind"
        await submit(engine, "acme", "daily", taken.item_id, {"better": value}, NOW, by=who)
    rows = await export(engine, None, "acme", "daily", "pairs", by=OPERATOR)
    assert len(rows) == 2, "a tie prefers nothing"
    assert (await report(engine)).orders == {"first": 1, "second": 1, "tie": 1}


async def test_a_queue_forgets_what_is_over_its_time(engine: Engine) -> None:
    await make_queue(engine)
    await add_item(engine, 1)
    await add_item(engine, 2, gold={"correct": 1})
    async with writing(engine) as conn:
        assert await store.delete_items_before(conn, "acme", "daily", NOW) == 0
        later = NOW.replace(day=23)
        assert await store.delete_items_before(conn, "acme", "daily", later) == 1
    async with reading(engine) as conn:
        (left,) = await store.list_items(conn, "acme", "daily", (), limit=9)
    assert left.gold is not None
