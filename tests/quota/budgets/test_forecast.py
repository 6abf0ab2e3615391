"""When a budget will be used up, with an honest range."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.quota.budgets.forecast import Burn, forecast, rates
from santral.quota.rule import Rule, Scope

NOW = 1_795_348_800  # 2026-11-22 12:00 UTC
HOUR = 3600


def rule(amount: int = 1000, **changes: object) -> Rule:
    fields: dict[str, object] = {
        "id": "lim_1",
        "tenant_id": "acme",
        "scope": Scope("tenant", "acme"),
        "measure": "usd",
        "window": "day",
        "amount": amount,
    }
    return Rule(**(fields | changes))  # pyright: ignore[reportArgumentType]


def burn(spent: int, *hours: int, **changes: object) -> Burn:
    return Burn(rule=rule(**changes), scope_id="acme", spent=spent, start_s=0, hours=hours)  # pyright: ignore[reportArgumentType]


def test_a_steady_rate_has_a_narrow_range() -> None:
    found = forecast(burn(500, *[100] * 24), NOW)
    assert (found.per_hour, found.low_per_hour, found.high_per_hour) == (100, 100, 100)
    assert found.likely_s == found.earliest_s == found.latest_s == NOW + 5 * HOUR
    assert (found.outlook, found.left, found.last_hour, found.last_day) == (
        "before the end",
        500,
        100,
        2400,
    )
    assert found.end_s == NOW + 12 * HOUR


def test_hours_that_differ_widen_the_range() -> None:
    found = forecast(burn(500, *([0, 200] * 12)), NOW)
    assert found.per_hour == 100
    assert found.earliest_s is not None
    assert found.likely_s is not None
    assert found.earliest_s < found.likely_s < (found.latest_s or math.inf)


def test_the_last_hour_counts_where_it_is_beyond() -> None:
    found = forecast(burn(0, 5000, *[10] * 23, amount=50_000), NOW)
    assert found.high_per_hour >= 5000
    assert found.outlook in ("perhaps", "before the end")


def test_what_began_an_hour_ago_is_not_spread_over_a_day_and_says_little() -> None:
    found = forecast(burn(60, 60, *[0] * 23, amount=1000), NOW)
    assert (found.low_per_hour, found.per_hour, found.high_per_hour) == (0, 60, 120)
    assert found.latest_s is None
    assert found.outlook == "perhaps"


def test_a_slow_budget_outlasts_its_window_and_a_spent_one_is_spent() -> None:
    assert forecast(burn(10, *[1] * 24), NOW).outlook == "not before the end"
    assert forecast(burn(1000, *[1] * 24), NOW).outlook == "spent"
    assert forecast(burn(1000, *[1] * 24), NOW).likely_s == NOW
    nothing = forecast(burn(10, *[0] * 24), NOW)
    assert (nothing.outlook, nothing.likely_s) == ("nothing is spent", None)


def test_a_rolling_window_gives_back_what_leaves_it() -> None:
    steady = burn(2400, *[100] * 24, amount=2500, is_rolling=True)
    assert forecast(steady, NOW).likely_s is None
    growing = burn(1200, *[100] * 24, amount=2500, is_rolling=True)
    assert forecast(growing, NOW).likely_s == NOW + 26 * HOUR


def test_the_window_ends_where_its_zone_says() -> None:
    found = forecast(burn(0, time_zone="Europe/Istanbul"), NOW)
    assert found.end_s == NOW + 9 * HOUR


@given(hours=st.lists(st.integers(0, 10**12), max_size=24), ahead_s=st.integers(0, 10**7))
def test_the_likely_rate_lies_in_its_range(hours: list[int], ahead_s: int) -> None:
    low, mean, high = rates(hours, ahead_s)
    assert 0 <= low <= mean * 1.000001
    assert mean <= high * 1.000001
    assert (high == 0) == (not any(hours))


@pytest.mark.parametrize("window", ["hour", "day", "week", "month"])
def test_every_window_has_a_forecast(window: str) -> None:
    found = forecast(burn(1, *[1] * 24, window=window), NOW)
    assert found.end_s is not None
    assert found.end_s > NOW
