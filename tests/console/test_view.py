from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from santral.console.view import MOST_ROWS, WIDTH, columns, mark_at, pieces, waterfall
from santral.traces.question import Bucket
from santral.traces.record import AttemptRecord, SpanRecord

ANY_TIME = st.integers(-(10**9), 10**12)


@given(
    st.lists(st.tuples(ANY_TIME, ANY_TIME), max_size=20),
    st.lists(st.tuples(ANY_TIME, ANY_TIME), max_size=3),
    ANY_TIME,
    st.none() | ANY_TIME,
)
def test_no_clock_draws_outside_the_chart(
    make_sample: Any,
    spans: list[tuple[int, int]],
    attempts: list[tuple[int, int]],
    duration_us: int,
    ttft_us: int | None,
) -> None:
    record = make_sample(
        1,
        0,
        duration_us=duration_us,
        spans=[
            SpanRecord(id=f"{n}", parent_id=f"{n - 1}", name="x", start_us=s, duration_us=d)
            for n, (s, d) in enumerate(spans)
        ],
        attempts=[
            AttemptRecord(
                number=n, deployment="d", provider="p", model="m", start_us=s, duration_us=d
            )
            for n, (s, d) in enumerate(attempts)
        ],
    )
    bars = waterfall(record)
    assert len(bars) == len(spans) + len(attempts)
    for bar in bars:
        assert bar.x >= 0
        assert bar.width > 0
        assert bar.x + bar.width <= WIDTH + 0.2
    mark = mark_at(ttft_us, record)
    assert mark is None if ttft_us is None else (mark is not None and 0 <= mark <= WIDTH)


def test_a_trace_of_30000_steps_shows_the_first_and_says_so(make_sample: Any) -> None:
    spans = [
        SpanRecord(id=f"{n}", parent_id=f"{n - 1}", name="x", start_us=n, duration_us=1)
        for n in range(30_000)
    ]
    assert len(waterfall(make_sample(1, 0, spans=spans))) == MOST_ROWS


def test_attempts_stand_below_the_step_that_made_them(make_sample: Any) -> None:
    names = [bar.name for bar in waterfall(make_sample(6, 0, "ok"))]
    assert names.index("generate") + 1 == names.index("1. gpt-main")
    assert names[0] == "request"


@given(st.text(alphabet="ab[]0123456789 ", max_size=60), st.frozensets(st.integers(0, 20)))
def test_cutting_an_answer_at_its_citations_loses_nothing(
    answer: str, known: frozenset[int]
) -> None:
    cut = pieces(answer, known)
    assert "".join(piece.text for piece in cut) == answer
    for piece in cut:
        if piece.source is not None:
            assert piece.source in known
            assert piece.text.strip("[]").isdigit()


def test_only_passages_that_were_given_are_linked() -> None:
    cut = pieces("So it is [1], not [7]. [1]", frozenset({1, 2}))
    assert [piece.source for piece in cut] == [None, 1, None, 1, None]


def test_columns_fill_the_chart_and_nothing_more() -> None:
    history = [
        Bucket(start_us=n, n=n, errors=n // 2, p50_us=n * 10, p95_us=n * 20) for n in range(9)
    ]
    drawn = columns([*history, Bucket(start_us=9)])
    assert max(column.ok_height + column.error_height for column in drawn) == 100
    assert drawn[-1].p50_y is None
    assert all(column.x + column.width <= WIDTH for column in drawn)
    assert columns([]) == []
