"""The report of a queue: progress, agreement, raters, and rates of all traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from msgspec import Struct, field

from santral.db.engine import Engine, reading
from santral.review import store
from santral.review.item import ADJUDICATOR, Item, Task
from santral.review.known import known_queue
from santral.review.label import Label, Value, agreed
from santral.review.queue import Progress, Queue
from santral.review.rating.gold import Accuracy, accuracies, is_surely_low
from santral.review.report.agreement import agreement_of, with_others
from santral.review.report.rates import Rate, weighted_mean, weighted_share
from santral.statistics.agreement import Agreement
from santral.tenants.permission import Principal

#: Items of one report, and disagreements it names. Chosen.
_MOST_ITEMS, _MOST_DISPUTES = 20_000, 20
#: Items that no rule drew: they stand for nothing but themselves.
_BY_HAND = ("manual", "pairwise", "held")


class LabelReport(Struct, frozen=True, kw_only=True):
    """What was said under one label."""

    name: str
    kind: str
    counts: Mapping[str, int]  # outcomes, by value
    agreement: Sequence[Agreement]  # empty: too few items with several raters
    rates: Mapping[str, Rate]  # of traffic, by value; of a scale its mean, under an empty name


class RaterReport(Struct, frozen=True, kw_only=True):
    """What one rater did."""

    rater: str
    done: int
    skipped: int
    median_s: float
    accuracy: Accuracy | None  # on gold
    is_paused: bool
    agreement: Mapping[str, Agreement]  # with the others, by label


class Dispute(Struct, frozen=True, kw_only=True):
    """An item on which raters disagree, or did."""

    item_id: str
    trace_id: str
    state: str
    labels: Sequence[str]  # on which
    said: Mapping[str, Mapping[str, Value]]  # by rater
    outcome: Mapping[str, Value] | None


class Report(Struct, frozen=True, kw_only=True):
    """What a queue has come to."""

    queue: str
    states: Mapping[str, int]
    gold: int
    progress: Progress
    #: Whether every request could have come in: only then are rates those of all traffic.
    covers_all: bool
    labels: Sequence[LabelReport]
    raters: Sequence[RaterReport]
    disputes: Sequence[Dispute]
    orders: Mapping[str, int] = field(default_factory=dict[str, int])  # pairs: first, second, tie


async def report_of(
    engine: Engine, tenant: str, name: str, *, by: Principal, rng: np.random.Generator
) -> Report:
    """Return the report of a queue.

    Raises:
        NotFound: no such queue.
        NotAllowed: no role that may write it: it shows gold and who said what.
    """
    async with reading(engine) as conn:
        queue = await known_queue(conn, tenant, name, "review.write", by=by)
        items = await store.list_items(conn, queue.tenant_id, name, (), limit=_MOST_ITEMS)
        tasks = await store.tasks_of_queue(conn, queue.tenant_id, name)
        known = await accuracies(conn, queue)
    plain = [item for item in items if item.gold is None]
    ratings = {label.name: _ratings(label, plain, tasks) for label in queue.settings.labels}
    return Report(
        queue=name,
        states=Counter(item.state for item in plain),
        gold=len(items) - len(plain),
        progress=queue.progress,
        covers_all=any(rule.kind == "random" and not rule.route for rule in queue.settings.rules),
        labels=[_label(label, plain, ratings[label.name], rng) for label in queue.settings.labels],
        raters=_raters(queue, tasks, known, ratings, rng),
        disputes=_disputes(queue, plain, tasks),
        orders=_orders(queue, tasks),
    )


def _label(
    label: Label, items: Sequence[Item], ratings: list[dict[str, Value]], rng: np.random.Generator
) -> LabelReport:
    said = [(i, i.outcome[label.name]) for i in items if i.outcome and label.name in i.outcome]
    drawn = [(item, value) for item, value in said if item.rule not in _BY_HAND]
    chances = [item.probability for item, _ in drawn]
    rates: dict[str, Rate] = {}
    if label.kind == "scale":
        mean = weighted_mean([float(value) for _, value in drawn], chances)
        rates = {"": mean} if mean else {}
    elif label.kind != "text":
        for value in label.values:
            share = weighted_share([found == value for _, found in drawn], chances)
            rates |= {str(value): share} if share else {}
    return LabelReport(
        name=label.name,
        kind=label.kind,
        counts=Counter(str(value) for _, value in said),
        agreement=agreement_of(label, ratings, rng),
        rates=rates,
    )


def _ratings(
    label: Label, items: Sequence[Item], tasks: Mapping[str, list[Task]]
) -> list[dict[str, Value]]:
    """Return what raters said under a label, of each item; the adjudicator is none of them."""
    return [
        {
            task.rater: task.labels[label.name]
            for task in tasks.get(item.id, ())
            if task.slot > ADJUDICATOR and task.labels and label.name in task.labels
        }
        for item in items
    ]


def _raters(
    queue: Queue,
    tasks: Mapping[str, list[Task]],
    known: Mapping[str, Accuracy],
    ratings: Mapping[str, list[dict[str, Value]]],
    rng: np.random.Generator,
) -> list[RaterReport]:
    mine: dict[str, list[Task]] = {}
    for task in (one for found in tasks.values() for one in found if one.slot != ADJUDICATOR):
        mine.setdefault(task.rater, []).append(task)
    agree = {
        label.name: with_others(label, ratings[label.name], rng) for label in queue.settings.labels
    }
    return [
        RaterReport(
            rater=rater,
            done=sum(task.state == "done" for task in found),
            skipped=sum(task.state == "skipped" for task in found),
            median_s=median([t.seconds for t in found if t.state == "done"] or [0.0]),
            accuracy=known.get(rater),
            is_paused=is_surely_low(queue, known.get(rater)),
            agreement={name: by[rater] for name, by in agree.items() if rater in by},
        )
        for rater, found in sorted(mine.items())
        if any(task.state != "leased" for task in found)
    ]


def _disputes(
    queue: Queue, items: Sequence[Item], tasks: Mapping[str, list[Task]]
) -> list[Dispute]:
    found: list[Dispute] = []
    for item in reversed(items):
        said = {
            task.rater: task.labels
            for task in tasks.get(item.id, ())
            if task.slot > ADJUDICATOR and task.labels
        }
        _, labels = agreed(queue.settings.labels, list(said.values()), queue.settings.beyond)
        if labels and len(found) < _MOST_DISPUTES:
            found.append(
                Dispute(
                    item_id=item.id, trace_id=item.trace_id, state=item.state, labels=labels,
                    said=said, outcome=item.outcome,
                )
            )  # fmt: skip
    return found


def _orders(queue: Queue, tasks: Mapping[str, list[Task]]) -> dict[str, int]:
    """Return how often the answer shown first was preferred: raters may favour a place."""
    name = next((one.name for one in queue.settings.labels if one.kind == "preference"), "")
    counted: Counter[str] = Counter()
    for task in (one for found in tasks.values() for one in found):
        value = (task.labels or {}).get(name)
        if value and task.shown:
            first = "ab"[task.shown[0]]
            counted["tie" if value == "tie" else "first" if value == first else "second"] += 1
    return dict(counted)
