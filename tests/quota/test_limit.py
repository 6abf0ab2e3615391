"""Which limits a caller has: its own, then those of the configuration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.config.schema import LimitsConfig
from santral.quota.answer import duration
from santral.quota.limit import LimitBook, Limits, Scope, limits_from

DEFAULT = limits_from(LimitsConfig(requests_per_second=10, burst=20, tokens_per_day=1000))


def test_a_tenant_without_limits_has_those_of_the_configuration() -> None:
    assert LimitBook({}, DEFAULT).of("acme", "k1") == ((Scope("tenant", "acme"), DEFAULT),)


def test_what_a_tenant_does_not_set_comes_from_the_configuration() -> None:
    book = LimitBook({Scope("tenant", "acme"): Limits(requests_per_second=2.0)}, DEFAULT)
    assert book.tenant("acme") == Limits(2.0, None, 1000)
    book = LimitBook({Scope("tenant", "acme"): Limits(tokens_per_day=5)}, DEFAULT)
    assert book.tenant("acme") == Limits(10, 20, 5)


def test_a_key_has_its_own_limits_besides_those_of_its_tenant() -> None:
    own = Limits(tokens_per_day=5)
    book = LimitBook({Scope("key", "k1"): own}, DEFAULT)
    assert book.of("acme", "k1") == ((Scope("tenant", "acme"), DEFAULT), (Scope("key", "k1"), own))
    assert book.of("acme", "k2") == ((Scope("tenant", "acme"), DEFAULT),)


def test_without_any_limit_nothing_is_counted() -> None:
    assert LimitBook({}, Limits()).of("acme", "k1") == ()


def test_a_tenant_and_a_key_of_one_name_are_two_scopes() -> None:
    book = LimitBook({Scope("key", "acme"): Limits(tokens_per_day=5)}, DEFAULT)
    assert book.tenant("acme") == DEFAULT


@pytest.mark.parametrize(
    ("limits", "capacity"),
    [
        (Limits(5.0), 5.0),
        (Limits(5.0, 20), 20.0),
        (Limits(0.1), 1.0),
        (Limits(2.5), 2.5),
        (Limits(), 1.0),
    ],
)
def test_a_bucket_holds_the_burst_or_a_second_but_at_least_one(
    limits: Limits, capacity: float
) -> None:
    assert limits.capacity == capacity


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.02, "20ms"),
        (0.9995, "1s"),
        (1, "1s"),
        (59.6, "1m0s"),
        (360, "6m0s"),
        (43_200, "12h0m0s"),
        (19_400, "5h23m20s"),
    ],
)
def test_times_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 90_000))
def test_a_written_time_is_never_short_and_less_than_a_second_long(seconds: float) -> None:
    text, total = duration(seconds), 0.0
    if text.endswith("ms"):
        total = float(text[:-2]) / 1000
    else:
        for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
            before, found, after = text.partition(unit)
            if found:
                total += int(before) * size
                text = after
    assert -1e-5 <= total - seconds < 1
