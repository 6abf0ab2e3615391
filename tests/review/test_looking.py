"""Rules send traces to review: each once, with the probability by which it came."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.review.people import NOW, OPERATOR, make_queue, rater

from santral.db.engine import Engine, reading
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.review import store
from santral.review.add import send_trace
from santral.review.change import change_queue
from santral.review.deliver import Delivery
from santral.review.item import Item
from santral.review.looking.look import Looker
from santral.review.rating.submit import submit
from santral.review.rating.take import take_next
from santral.review.rule import Rule, combined, is_drawn
from santral.traces.question import Progress
from santral.traces.record import Payload, TraceRecord, VerdictRecord
from santral.traces.scores.score import ScoreRecord
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio
NOW_US = int(NOW.timestamp() * 1e6)


@pytest.fixture
async def traces(engine: Engine) -> AsyncGenerator[TraceStore]:
    made = TraceStore(Path(":memory:"), clock=lambda: NOW_US)
    await made.open()
    yield made
    await made.close()


def record(number: int, *found: str, **fields: Any) -> TraceRecord:
    known: dict[str, Any] = {
        "route": "docs", "requested_model": "docs", "started_at_us": NOW_US + number,
        "duration_us": 1000, "status": 200, "user": f"user-{number}",
        "payload": Payload(request='[{"role": "user", "content": "What?"}]', response="That."),
        "verdicts": [
            VerdictRecord(check=check, place="output", verdict="found", action="report")
            for check in found
        ],
        **fields,
    }  # fmt: skip
    return TraceRecord(
        trace_id=f"{number:032x}",
        request_id=f"req_{number}",
        tenant_id="acme",
        key_id="key",
        **known,
    )


def score(number: int, name: str, value: float, source: Any, at_us: int = NOW_US) -> ScoreRecord:
    return ScoreRecord(
        id=f"{number:016x}{abs(hash((name, value, source))) % 16**16:016x}", tenant_id="acme",
        trace_id=f"{number:032x}", name=name, source=source, value=value, at_us=at_us,
    )  # fmt: skip


async def items(engine: Engine, queue: str = "daily") -> dict[int, Item]:
    async with reading(engine) as conn:
        found = await store.list_items(conn, "acme", queue, (), limit=1000)
    return {int(one.trace_id, 16): one for one in found}


def looker(engine: Engine, traces: TraceStore) -> Looker:
    return Looker(engine, traces, lambda: NOW)


async def insert(traces: TraceStore, *records: TraceRecord) -> None:
    await traces.insert(records, Progress(segment=""))


async def test_a_share_of_all_comes_in_and_looking_again_changes_nothing(
    engine: Engine, traces: TraceStore
) -> None:
    queue = await make_queue(engine, rules=[{"kind": "random", "probability": 0.2}], daily_cap=9999)
    await insert(traces, *(record(n) for n in range(1, 1201)))
    made = await looker(engine, traces).look()
    assert 190 <= made <= 290
    assert await looker(engine, traces).look() == 0
    found = await items(engine)
    rule = queue.settings.rules[0]
    assert set(found) == {
        n for n in range(1, 1201) if is_drawn(queue.settings.salt, rule, f"{n:032x}")
    }
    one = next(iter(found.values()))
    assert one.probability == 0.2
    assert one.content.shown is not None
    assert one.content.shown.answers == ["That."]
    assert one.subject.startswith("user-")
    async with reading(engine) as conn:
        kept = await store.find_queue(conn, "acme", "daily")
    assert kept is not None
    assert (kept.progress.seen, kept.progress.taken) == (1200, made)


async def test_what_nobody_could_judge_is_left_out_and_counted(
    engine: Engine, traces: TraceStore
) -> None:
    await make_queue(engine, rules=[{"kind": "random"}])
    await insert(
        traces, record(1), record(2, payload=None), record(3, status=502),
        record(4, is_cancelled=True), record(5, route="docs#shadow"),
        record(6, started_at_us=NOW_US - 1),
    )  # fmt: skip
    await looker(engine, traces).look()
    assert set(await items(engine)) == {1}
    async with reading(engine) as conn:
        kept = await store.find_queue(conn, "acme", "daily")
    assert kept is not None
    assert (kept.progress.seen, kept.progress.without_payload) == (2, 1)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"kind": "found", "check": "pii"}, {2}),
        ({"kind": "refusal"}, {3, 4}),
        ({"kind": "low_confidence", "score": "groundedness", "below": 0.6}, {5, 6}),
        ({"kind": "thumbs_down"}, {7}),
        ({"kind": "disagreement", "score": "faithful", "check": "pii", "below": 0.5}, {2, 9}),
        ({"kind": "random", "route": "other"}, {1}),
    ],
)
async def test_each_rule_takes_what_it_means(
    engine: Engine, traces: TraceStore, rule: dict[str, Any], expected: set[int]
) -> None:
    await make_queue(engine, rules=[rule])
    await insert(
        traces, record(1, route="other"), record(2, "pii"), record(3, "refusal"),
        record(4, finish_reason="content_filter"), record(5, "groundedness"), record(6), record(7),
        record(8), record(9),
    )  # fmt: skip
    await looker(engine, traces).look()
    await traces.insert_scores(
        [
            score(2, "faithful", 0.9, "judge"),  # the guardrail found something
            score(6, "groundedness", 0.4, "judge"),
            score(7, "thumbs", 0, "user"),
            score(8, "thumbs", 1, "user"),
            score(9, "faithful", 0.1, "judge"),  # no check did
            score(8, "faithful", 0.9, "judge"),
        ]
    )
    await looker(engine, traces).look()
    await looker(engine, traces).look()
    assert set(await items(engine)) == expected


async def test_a_trace_that_several_rules_mean_counts_with_their_chance_together(
    engine: Engine, traces: TraceStore
) -> None:
    rules = [
        {"kind": "random", "probability": 0.999999},
        {"kind": "thumbs_down", "probability": 0.5},
    ]
    await make_queue(engine, rules=rules)
    await insert(traces, record(1))
    await looker(engine, traces).look()
    assert (await items(engine))[1].probability == pytest.approx(0.999999)
    await traces.insert_scores([score(1, "thumbs", 0, "user")])
    assert await looker(engine, traces).look() == 0, "it is there"
    assert (await items(engine))[1].probability == pytest.approx(combined([0.999999, 0.5]))


async def test_a_days_cap_holds_and_what_it_keeps_out_is_counted(
    engine: Engine, traces: TraceStore
) -> None:
    await make_queue(engine, rules=[{"kind": "random"}], daily_cap=3)
    await insert(traces, *(record(n) for n in range(1, 6)))
    await looker(engine, traces).look()
    assert len(await items(engine)) == 3
    await insert(traces, record(9))
    tomorrow = Looker(engine, traces, lambda: NOW + timedelta(days=1))
    assert await tomorrow.look() == 1
    async with reading(engine) as conn:
        kept = await store.find_queue(conn, "acme", "daily")
    assert kept is not None
    assert kept.progress.over_cap == 2


def test_a_higher_probability_takes_all_that_a_lower_one_did() -> None:
    def taken(probability: float) -> set[int]:
        rule = Rule(kind="random", probability=probability)
        return {n for n in range(5000) if is_drawn("salt", rule, f"{n:032x}")}

    few, many = taken(0.01), taken(0.05)
    assert few < many
    assert 30 <= len(few) <= 72
    assert (
        len(
            {
                n
                for n in many
                if is_drawn("other", Rule(kind="random", probability=0.05), f"{n:032x}")
            }
        )
        < 60
    )


async def test_a_trace_is_sent_by_hand_and_its_sender_does_not_rate_it(
    engine: Engine, traces: TraceStore
) -> None:
    await make_queue(engine)
    await insert(traces, record(1), record(2, payload=None))
    ada = rater("ada")

    async def send(number: int, who: Any = ada) -> Item:
        return await send_trace(
            engine, traces, "acme", "daily", f"{number:032x}", NOW, by=who, reason="odd"
        )

    made = await send(1)
    assert made.rule == "manual"
    with pytest.raises(Conflict, match="already"):
        await send(1)
    with pytest.raises(NotFound):
        await send(7)
    with pytest.raises(BadRequest, match="Nothing was kept"):
        await send(2)
    with pytest.raises(NotAllowed):
        await send(1, rater("watcher", "viewer"))
    assert await take_next(engine, None, "acme", "daily", NOW, by=ada, chance=lambda: 0.5) is None


async def test_an_outcome_becomes_one_score_however_often_it_is_delivered(
    engine: Engine, traces: TraceStore
) -> None:
    labels = [{"name": "correct"}, {"name": "kind", "kind": "category", "choices": ["x", "y"]},
              {"name": "why", "kind": "text"}]  # fmt: skip
    await make_queue(engine, labels=labels, rules=[{"kind": "random", "probability": 0.999999}])
    await insert(traces, record(1))
    await looker(engine, traces).look()
    ada = rater("ada")
    taken = await take_next(engine, None, "acme", "daily", NOW, by=ada, chance=lambda: 0.5)
    assert taken is not None
    said = {"correct": 0, "kind": "y", "why": "wrong year"}
    await submit(engine, "acme", "daily", taken.item_id, said, NOW, by=ada)
    delivery = Delivery(engine, traces.insert_scores, lambda: NOW)
    assert await delivery.deliver() == 1
    assert await delivery.deliver() == 0
    async with reading(engine) as conn:
        (closed,) = await store.list_items(conn, "acme", "daily", (), limit=9)
    assert closed.scored_at == NOW
    given = {one.name: one for one in await traces.scores_of("acme", f"{1:032x}")}
    assert set(given) == {"correct", "kind"}, "texts stay in review"
    assert (given["correct"].value, given["kind"].label) == (0, "y")
    assert given["correct"].source == "reviewer"
    assert given["correct"].probability == pytest.approx(0.999999)
    await change_queue(engine, "acme", "daily", {"rules": None}, by=OPERATOR, now=NOW)
