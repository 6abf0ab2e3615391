from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from santral.traces.frame import decode_frame
from santral.traces.question import Progress
from santral.traces.record import TraceRecord, encode_record
from santral.traces.removal import store as removal
from santral.traces.scores.score import ScoreRecord
from santral.traces.scores.store import RateFilters
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio

START_US = 1_760_000_000_000_000
NOW_US = START_US + 60_000_000
NONE = Progress(segment="")
ALWAYS = RateFilters(since_us=0, until_us=2**60)


@pytest.fixture
async def store() -> Any:
    moments = count(NOW_US, 6_000_000)  # later at every look
    store = TraceStore(Path(":memory:"), clock=lambda: next(moments))
    yield store
    await store.close()


def score(number: int, **changes: Any) -> ScoreRecord:
    fields: dict[str, Any] = {
        "id": f"{number:032x}",
        "tenant_id": "acme",
        "trace_id": f"{1:032x}",
        "name": "thumbs",
        "source": "user",
        "at_us": START_US + number * 1000,
        "value": 1.0,
    }
    return ScoreRecord(**{**fields, **changes})


def trace(make_record: Any, number: int, **changes: Any) -> TraceRecord:
    return make_record(number, **{"tenant_id": "acme", "trace_id": f"{number:032x}", **changes})


async def test_a_score_is_stored_once_however_often_it_is_delivered(store: TraceStore) -> None:
    assert await store.insert_scores([score(1), score(1), score(2, name="rating")]) == 2
    assert await store.insert_scores([score(1), score(3, name="comment", comment="iyi")]) == 1
    found = await store.scores_of("acme", f"{1:032x}")
    assert [s.name for s in found] == ["thumbs", "rating", "comment"]


async def test_the_newest_of_a_rater_is_in_force_and_can_be_taken_back(store: TraceStore) -> None:
    await store.insert_scores([score(1, rater="a"), score(2, rater="b", value=0.0)])
    await store.insert_scores([score(3, rater="a", value=0.0)])
    assert {s.rater: s.value for s in await store.scores_of(None, f"{1:032x}")} == {"a": 0, "b": 0}
    await store.insert_scores([score(4, rater="a", value=None, is_retracted=True)])
    assert [s.rater for s in await store.scores_of(None, f"{1:032x}")] == ["b"]


async def test_another_tenants_scores_are_not_seen(store: TraceStore) -> None:
    await store.insert_scores([score(1)])
    assert await store.scores_of("globex", f"{1:032x}") == []
    assert await store.list_scores("globex", (0, 2**60)) == []


@pytest.mark.parametrize("named", ["request:req_7", "response:chatcmpl-x"])
async def test_a_score_finds_its_trace_by_the_ids_of_the_answer(
    store: TraceStore, make_record: Any, named: str
) -> None:
    """Also where the trace comes after it: another worker's segment."""
    await store.insert_scores([score(1, trace_id=named)])
    assert await store.scores_of("acme", f"{7:032x}") == []
    mine = trace(
        make_record, 7, response_id="chatcmpl-x", started_at_us=START_US, user="u1", session="s1"
    )
    foreign = make_record(7, tenant_id="globex", trace_id=f"{9:032x}", response_id="chatcmpl-x")
    await store.insert([mine, foreign], NONE)
    found = await store.scores_of(None, f"{7:032x}")
    assert [(s.id, s.user, s.session) for s in found] == [(f"{1:032x}", "u1", "s1")]
    assert await store.scores_of(None, f"{9:032x}") == []


async def test_an_id_of_any_length_finds_its_trace(store: TraceStore, make_record: Any) -> None:
    """With "response:" before it, an id of 23 characters, as Gemini's are, is as long as a trace's."""
    for number, length in enumerate((1, 22, 23, 24, 200), start=1):
        named = "x" * length
        await store.insert_scores([score(number, trace_id=f"response:{named}")])
        await store.insert(
            [trace(make_record, number, response_id=named, started_at_us=START_US)], NONE
        )
        assert len(await store.scores_of("acme", f"{number:032x}")) == 1


async def test_an_answer_of_last_week_is_found_too(store: TraceStore, make_record: Any) -> None:
    week_us = 7 * 86_400_000_000
    await store.insert([trace(make_record, 7, started_at_us=START_US - week_us)], NONE)
    await store.insert_scores([score(1, trace_id="request:req_7")])
    assert len(await store.scores_of("acme", f"{7:032x}")) == 1


async def test_rates_carry_their_denominators(store: TraceStore, make_record: Any) -> None:
    records = [
        trace(make_record, n, route="support", prompt="p", prompt_version="2") for n in range(1, 9)
    ]
    failed = trace(make_record, 20, route="support", status=502)
    shadow = trace(make_record, 21, route="support#shadow")
    await store.insert([*records, failed, shadow], NONE)
    await store.insert_scores(
        [
            score(1, trace_id=f"{1:032x}"),
            score(2, trace_id=f"{2:032x}", value=0.0),
            score(3, trace_id=f"{3:032x}", rater="other"),
            score(4, trace_id=f"{99:032x}"),  # of no request that is known
        ]
    )
    (row,) = await store.score_rates("acme", ALWAYS, "prompt")
    assert (row.part, row.responses, row.rated, row.valued, row.positive) == ("p@2", 8, 3, 3, 2)
    assert (row.total, row.squares) == (2.0, 2.0)
    assert await store.responses("acme", ALWAYS, "route") == {"support": 8}
    assert await store.score_rates("globex", ALWAYS) == []


async def test_pages_of_a_list_hold_every_score_once(store: TraceStore) -> None:
    many = [score(n, trace_id=f"{n:032x}", at_us=START_US + n // 3) for n in range(20)]
    await store.insert_scores(many)
    seen: list[str] = []
    before = None
    while page := await store.list_scores(None, (0, 2**60), before=before, limit=6):
        seen += [s.id for s in page]
        before = (page[-1].at_us, page[-1].id)
    assert sorted(seen) == sorted(s.id for s in many)
    assert len(seen) == 20


async def test_no_score_outlives_its_trace(store: TraceStore, make_record: Any) -> None:
    await store.insert([trace(make_record, 1, started_at_us=START_US)], NONE)
    await store.insert_scores([score(5), score(6, trace_id=f"{2:032x}")])
    gone = await store.change(lambda conn: removal.delete_before(conn, "acme", START_US + 1000))
    assert (gone["traces"], gone["scores"]) == (1, 1)
    assert await store.scores_of(None, f"{1:032x}") == []
    assert len(await store.scores_of(None, f"{2:032x}")) == 1


async def test_scores_stay_when_the_store_is_written_anew(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "telemetry.duckdb")
    await store.insert_scores([score(1)])
    await store.compact()
    assert len(await store.scores_of(None, f"{1:032x}")) == 1
    await store.close()


def test_a_frame_shows_what_it_holds(make_record: Any) -> None:
    given, record = score(1), make_record(1)
    assert decode_frame(encode_record(given)) == given
    assert decode_frame(encode_record(record)) == record


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_cannot_be_averaged_is_no_score(value: float) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_frame(encode_record(score(1, value=value)))


async def test_signals_say_how_many_answers_users_rated(
    store: TraceStore, make_record: Any
) -> None:
    records = [trace(make_record, n, route="support", started_at_us=START_US) for n in range(1, 6)]
    await store.insert(records, NONE)
    await store.insert_scores(
        [
            score(1, trace_id=f"{1:032x}", value=0.0),
            score(2, trace_id=f"{1:032x}", value=1.0),  # they thought better of it
            score(3, trace_id=f"{2:032x}", name="comment", value=None, comment="fine"),
            score(4, trace_id=f"{3:032x}", source="judge", name="faithfulness"),
            score(5, trace_id=f"{4:032x}", value=0.0),
            score(6, trace_id=f"{4:032x}", value=None, is_retracted=True),
        ]
    )
    quality = (await store.signals(None, 0, 2**60)).by_route["support"].quality
    assert (quality.answered, quality.rated, quality.thumbs, quality.thumbs_up) == (5, 2, 1, 1)
