from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.traces.conftest import START_US, build_record

from santral.config.feedback import FeedbackConfig
from santral.feedback.implicit import ImplicitSignals
from santral.traces.question import Progress
from santral.traces.record import Payload, TraceRecord
from santral.traces.scores.score import ScoreRecord
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio

MINUTE_US = 60_000_000


def asked(number: int, question: str, at_minute: float = 0, **changes: Any) -> TraceRecord:
    said = [
        {"role": "user", "content": "Something before"},
        {"role": "assistant", "content": "…"},
        {"role": "user", "content": question},
    ]
    fields: dict[str, Any] = {
        "tenant_id": "acme", "trace_id": f"{number:032x}", "route": "support", "session": "s1",
        "started_at_us": START_US + int(at_minute * MINUTE_US), "status": 200,
        "payload": Payload(request=json.dumps(said), response="We open at nine on every weekday."),
    }  # fmt: skip
    return build_record(number, **{**fields, **changes})


@pytest.fixture
async def store() -> Any:
    store = TraceStore(Path(":memory:"), clock=lambda: START_US + 30 * MINUTE_US)
    yield store
    await store.close()


async def signals(store: TraceStore, *records: TraceRecord) -> list[tuple[str, float]]:
    await store.insert(records, Progress(segment=""))
    await ImplicitSignals(store, FeedbackConfig()).look()
    found = await store.list_scores(None, (0, 2**60))
    given = ((one.trace_id[-1], -1.0 if one.value is None else one.value) for one in found)
    return sorted(given)


async def test_the_first_answer_gets_the_score_when_the_same_is_asked_again(
    store: TraceStore,
) -> None:
    found = await signals(
        store,
        asked(1, "When do you open on Monday?"),
        asked(2, "when do you open on monday??", 1),
        asked(3, "And on Sunday?", 2),
    )
    assert found == [("1", 1.0)]
    (score,) = await store.list_scores(None, (0, 2**60))
    assert (score.name, score.source, score.session) == ("retry", "implicit", "s1")


@pytest.mark.parametrize(
    "changes",
    [
        {"session": "s2"},
        {"tenant_id": "globex"},
        {"route": "search"},
        {"session": "", "user": ""},
        {"at_minute": 6},
        {"status": 429},
        {"payload": None},
    ],
)
async def test_what_is_no_retry(store: TraceStore, changes: dict[str, Any]) -> None:
    question = "When do you open on Monday?"
    at = changes.pop("at_minute", 1)
    assert await signals(store, asked(1, question), asked(2, question, at, **changes)) == []


async def test_users_without_sessions_are_told_apart(store: TraceStore) -> None:
    question = "When do you open on Monday?"
    found = await signals(
        store,
        asked(1, question, 0, session="", user="u1"),
        asked(2, question, 1, session="", user="u2"),
        asked(3, question, 2, session="", user="u1"),
    )
    assert found == [("1", 1.0)]


async def test_a_pass_that_is_made_again_adds_nothing(store: TraceStore) -> None:
    question = "When do you open on Monday?"
    await store.insert([asked(1, question), asked(2, question, 1)], Progress(segment=""))
    passes = [ImplicitSignals(store, FeedbackConfig()) for _ in range(2)]
    assert [await passes[0].look(), await passes[0].look(), await passes[1].look()] == [1, 0, 0]


@pytest.mark.parametrize("name", ["correction", "final_text"])
async def test_a_correction_is_compared_with_the_answer(store: TraceStore, name: str) -> None:
    correction = ScoreRecord(
        id="c" * 32, tenant_id="acme", trace_id=f"{1:032x}", name=name, source="user",
        at_us=START_US + 10 * MINUTE_US, comment="We open at ten on every weekday.", rater="u1",
    )  # fmt: skip
    await store.insert_scores([correction])
    found = await signals(store, asked(1, "When do you open?"))
    assert found == [("1", -1.0), ("1", round(1 - 1 / 7, 4))]
    await ImplicitSignals(store, FeedbackConfig()).look()
    assert len(await store.list_scores(None, (0, 2**60))) == 2


async def test_an_answer_that_was_cut_is_not_compared(store: TraceStore) -> None:
    payload = Payload(request="[]", response="We open… [cut: 99999 bytes in all]")
    correction = ScoreRecord(
        id="c" * 32, tenant_id="acme", trace_id=f"{1:032x}", name="correction", source="user",
        at_us=START_US + 10 * MINUTE_US, comment="We open at ten.",
    )  # fmt: skip
    await store.insert_scores([correction])
    assert await signals(store, asked(1, "When?", payload=payload)) == [("1", -1.0)]
