from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.traces.ids import format_traceparent, new_span_id, new_trace_id, parse_traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


class Zero:
    def getrandbits(self, k: int, /) -> int:
        return 0


@given(st.randoms(use_true_random=False), st.booleans())
def test_a_new_header_is_read_back_as_it_was_written(rng: Random, is_sampled: bool) -> None:
    trace_id, span_id = new_trace_id(rng), new_span_id(rng)
    assert parse_traceparent(format_traceparent(trace_id, span_id, is_sampled=is_sampled)) == (
        trace_id,
        span_id,
    )


def test_ids_are_never_all_zero() -> None:
    assert int(new_trace_id(Zero()), 16) == 1
    assert int(new_span_id(Zero()), 16) == 1


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}-01\n",
        f"01-{TRACE}-{SPAN}-01more",
    ],
)
def test_an_invalid_header_is_no_parent(header: str | None) -> None:
    assert parse_traceparent(header) is None


@pytest.mark.parametrize("header", [f"01-{TRACE}-{SPAN}-01-more", f" 00-{TRACE}-{SPAN}-00\t"])
def test_a_later_version_and_outer_blanks_are_read(header: str) -> None:
    assert parse_traceparent(header) == (TRACE, SPAN)


@given(st.text(max_size=80))
def test_no_text_breaks_the_parser(header: str) -> None:
    parse_traceparent(header)
