"""The limiter in memory: nobody gets past a limit, and who is refused is told why and till when."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.quota.clock import DAY_S, START, Clock, at_once
from tests.quota.rules import claim, claims, limit

from santral.errors import Overloaded, QuotaExceeded
from santral.quota.book import LimitBook
from santral.quota.claim import Claim, Need, Used
from santral.quota.limiter import Hold
from santral.quota.limits import Limits
from santral.quota.memory import MemoryLimiter
from santral.quota.rule import Rule, Scope

HOLD_S = 600.0
DAY = limit("tokens", "day", 100)
MINUTE = limit("tokens", "minute", 100, is_rolling=True)
AT_ONCE = limit("concurrent", "", 2)


def rate(per_second: float, burst: int | None = None) -> Rule:
    return limit("requests", "second", rate=per_second, burst=burst)


def reserve(limiter: MemoryLimiter, *rules: Rule, need: int = 1, nanousd: int = 0) -> Hold:
    return at_once(limiter.reserve([claim(rule) for rule in rules], Need(need, nanousd)))


def spend(limiter: MemoryLimiter, *rules: Rule, need: int = 1, nanousd: int = 0) -> None:
    hold = reserve(limiter, *rules, need=need, nanousd=nanousd)
    at_once(limiter.settle(hold, Need(need, nanousd)))


def refused(limiter: MemoryLimiter, *rules: Rule, need: int = 1, nanousd: int = 0) -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as caught:
        reserve(limiter, *rules, need=need, nanousd=nanousd)
    return caught.value


async def admitted(limiter: MemoryLimiter, calls: int, rule: Rule, need: Need) -> int:
    count = 0

    async def call() -> None:
        nonlocal count
        try:
            hold = await limiter.reserve([claim(rule)], need)
        except QuotaExceeded:
            return
        count += 1
        await asyncio.sleep(0)  # the provider answers
        await limiter.settle(hold, need)

    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(call())
    return count


@given(st.integers(2, 60), st.integers(1, 1000))
@settings(max_examples=20)
def test_of_n_calls_at_once_on_a_budget_worth_one_exactly_one_is_admitted(
    calls: int, amount: int
) -> None:
    need, worth_one = Need(amount, amount), amount * 2 - 1
    for rule in (
        limit("tokens", "day", worth_one),
        limit("tokens", "minute", worth_one, is_rolling=True),
        limit("usd", "month", worth_one, time_zone="Europe/Istanbul"),
        limit("usd", "hour", worth_one, is_rolling=True),
        limit("requests", "minute", 1, is_rolling=True),
        rate(1.0, 1),
    ):
        assert asyncio.run(admitted(MemoryLimiter(Clock()), calls, rule, need)) == 1
    held = asyncio.run(admitted(MemoryLimiter(Clock()), calls, limit("concurrent", "", 1), need))
    assert held == 1, "all ask before the first is answered"


@given(
    st.floats(0.2, 50),
    st.none() | st.integers(1, 20),
    st.lists(st.floats(0, 3), min_size=1, max_size=80),
)
def test_no_stretch_of_time_admits_more_than_burst_and_rate(
    per_second: float, burst: int | None, gaps: list[float]
) -> None:
    clock, rule = Clock(), rate(per_second, burst)
    limiter = MemoryLimiter(clock)
    admissions: list[float] = []
    for gap in gaps:
        clock.now += gap
        try:
            spend(limiter, rule)
        except QuotaExceeded:
            continue
        admissions.append(clock.now)
    for i, first in enumerate(admissions):
        for j in range(i, len(admissions)):
            allowed = rule.capacity + (admissions[j] - first) * per_second
            assert j - i + 1 <= allowed + 2e-3


@given(
    st.integers(1, 100),
    st.lists(st.tuples(st.floats(0, 40), st.integers(0, 60)), min_size=1, max_size=60),
)
def test_a_rolling_window_lets_no_more_pass_in_any_stretch_of_its_length(
    amount: int, asked: list[tuple[float, int]]
) -> None:
    clock, rule = Clock(), limit("tokens", "minute", amount, is_rolling=True)
    limiter = MemoryLimiter(clock)
    passed: list[tuple[float, int]] = []
    for gap, need in asked:
        clock.now += gap
        try:
            spend(limiter, rule, need=need)
        except QuotaExceeded:
            continue
        passed.append((clock.now, need))
    for end, _ in passed:
        assert sum(need for at, need in passed if end - 60 < at <= end) <= amount


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_a_rolling_window_has_room_again_a_part_after_its_length(needs: list[int]) -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    for need in needs:
        try:
            spend(limiter, MINUTE, need=need)
        except QuotaExceeded:
            break
        clock.now += 1
    clock.now += 62
    reserve(limiter, MINUTE, need=100)


@given(st.floats(0.5, 50), st.integers(1, 20), st.floats(0, 100))
def test_a_quiet_time_earns_no_more_than_the_burst(
    per_second: float, burst: int, quiet_s: float
) -> None:
    clock, rule = Clock(), rate(per_second, burst)
    limiter = MemoryLimiter(clock)
    reserve(limiter, rule)
    clock.now += quiet_s
    for _ in range(min(burst, int(burst - 1 + quiet_s * per_second))):
        reserve(limiter, rule)
    if quiet_s * per_second >= 1:
        refused(limiter, rule)


def test_a_full_bucket_holds_its_burst_and_no_more() -> None:
    limiter = MemoryLimiter(Clock())
    for _ in range(3):
        reserve(limiter, rate(1.0, 3))
    assert refused(limiter, rate(1.0, 3)).detail_code == "requests_per_second_exceeded"


@given(st.sampled_from(["rate", "day", "minute", "zone"]), st.floats(0.01, 1000), st.integers(1, 5))
def test_who_waits_as_long_as_told_is_admitted(kind: str, per_second: float, burst: int) -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    rules = {
        "rate": rate(per_second, burst),
        "day": limit("tokens", "day", 1),
        "minute": limit("tokens", "minute", 1, is_rolling=True),
        "zone": limit("tokens", "month", 1, time_zone="Asia/Kolkata"),
    }
    rule = rules[kind]
    for _ in range(rule.limit if rule.rate is None else int(rule.capacity)):
        spend(limiter, rule)
    error = refused(limiter, rule)
    clock.now += (error.retry_after_s or 0) * 0.5
    refused(limiter, rule)
    clock.now += (error.retry_after_s or 0) * 0.5
    reserve(limiter, rule)


def test_all_or_nothing_over_the_rules() -> None:
    limiter = MemoryLimiter(Clock())
    rules = [rate(10.0, 10), limit("tokens", "day", 1000), MINUTE, AT_ONCE]
    full = limit("usd", "day", 5)
    for _ in range(30):  # more often than the bucket is deep
        error = refused(limiter, *rules, full, need=6, nanousd=6)
        assert error.detail_code == "budget_exceeded"
    assert [limiter.used(claim(rule)) for rule in rules] == [0, 0, 0, 0]
    assert limiter.open_holds == 0
    assert reserve(limiter, *rules).headers()["x-ratelimit-remaining-requests"] == "9"


def test_requests_held_at_once_are_free_when_they_end() -> None:
    limiter = MemoryLimiter(Clock())
    first, _ = reserve(limiter, AT_ONCE), reserve(limiter, AT_ONCE)
    error = refused(limiter, AT_ONCE)
    assert (error.detail_code, error.retry_after_s) == ("concurrent_requests_exceeded", 1.0)
    assert error.message == (
        "The tenant 'acme' may have 2 requests running at once, and has. Try again in 1s."
    )
    at_once(limiter.release(first))
    reserve(limiter, AT_ONCE)


def test_a_spent_day_is_said_with_the_time_to_midnight() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    at_once(limiter.settle(reserve(limiter, DAY, need=80), Need(70)))
    error = refused(limiter, DAY, need=40)
    assert error.detail_code == "tokens_per_day_exceeded"
    assert error.message == (
        "The tenant 'acme' may use 100 tokens per UTC day; 30 are left, and this request needs up "
        "to 40. They begin anew in 12h0m0s. Send a smaller max_tokens, or ask for a higher limit."
    )
    assert error.retry_after_s == 12 * 3600
    assert error.headers == {
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "30",
        "x-ratelimit-reset-tokens": "12h0m0s",
        "x-should-retry": "false",
    }
    clock.now += error.retry_after_s or 0
    reserve(limiter, DAY, need=100)


def test_a_spent_budget_is_said_in_dollars_with_all_digits() -> None:
    limiter = MemoryLimiter(Clock())
    budget = limit("usd", "month", 1_500_000_000, time_zone="Europe/Istanbul", warn_at=(0.5, 0.9))
    spend(limiter, budget, nanousd=1_499_999_985)
    error = refused(limiter, budget, nanousd=16)
    assert error.detail_code == "budget_exceeded"
    assert error.message == (
        "The tenant 'acme' may use $1.5 per month (Europe/Istanbul); $0.000000015 are left, and "
        "this request needs up to $0.000000016. They begin anew in 201h0m0s. Send a smaller "
        "max_tokens, or ask for a higher limit."
    )
    assert error.headers == {
        "x-santral-budget-remaining-usd": "0.000000015",
        "x-santral-limit-warning": "tenant acme: 100% of usd/month",
        "x-should-retry": "false",
    }


def test_a_request_larger_than_the_window_has_its_own_sentence() -> None:
    for rule in (DAY, MINUTE):
        error = refused(MemoryLimiter(Clock()), rule, need=101)
        assert "this request alone needs up to 101" in error.message
        assert error.headers["x-should-retry"] == "false"


def test_when_only_running_requests_are_in_the_way_a_retry_is_soon() -> None:
    for rule in (DAY, MINUTE):
        limiter = MemoryLimiter(Clock())
        hold = reserve(limiter, rule, need=80)
        error = refused(limiter, rule, need=40)
        assert "requests that are running hold 80" in error.message
        assert error.retry_after_s == 1.0
        assert "x-should-retry" not in error.headers
        at_once(limiter.settle(hold, Need(10)))
        reserve(limiter, rule, need=40)


def test_what_yesterdays_requests_hold_is_not_in_todays_way() -> None:
    clock = Clock(START + 12 * 3600 - 1)
    limiter = MemoryLimiter(clock)
    reserve(limiter, DAY, need=90)
    clock.now += 2
    spend(limiter, DAY, need=100)
    assert refused(limiter, DAY).retry_after_s == DAY_S - 1, "no running request holds any of it"


def test_of_two_full_limits_the_one_that_opens_last_is_named() -> None:
    limiter = MemoryLimiter(Clock())
    rules = rate(1.0, 1), limit("tokens", "day", 10), limit("tokens", "minute", 10, is_rolling=True)
    spend(limiter, *rules, need=10)
    assert refused(limiter, *rules, need=10).detail_code == "tokens_per_day_exceeded"


def test_headers_name_the_tightest_limit_of_each_kind() -> None:
    limiter = MemoryLimiter(Clock())
    rules = [
        rate(100.0, 100),
        limit("requests", "day", 3),
        limit("tokens", "day", 1000),
        limit("tokens", "minute", 50, is_rolling=True),
        limit("usd", "day", 10_000_000_000),
        limit("usd", "month", 2_000_000_000),
        limit("tokens", "hour", 1, is_rolling=True, is_dry_run=True),
    ]
    assert reserve(limiter, *rules, need=20, nanousd=1_000_000).headers() == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "12h0m0s",
        "x-ratelimit-limit-tokens": "50",
        "x-ratelimit-remaining-tokens": "30",
        "x-ratelimit-reset-tokens": "1m0s",
        "x-santral-budget-remaining-usd": "1.999",
    }


def test_a_bucket_is_full_again_when_its_header_says() -> None:
    headers = reserve(MemoryLimiter(Clock()), rate(2.0, 3)).headers()
    assert headers == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "500ms",
    }


def test_without_limits_there_are_no_headers_and_no_refusals() -> None:
    limiter = MemoryLimiter(Clock())
    assert reserve(limiter, need=10**12, nanousd=10**15).headers() == {}


@pytest.mark.parametrize(
    ("used", "warning"),
    [(49, None), (50, "50%"), (79, "79%"), (80, "80%"), (100, "100%")],
)
def test_warnings_come_at_their_fractions(used: int, warning: str | None) -> None:
    rule = limit("tokens", "day", 100, warn_at=(0.5, 0.8))
    headers = reserve(MemoryLimiter(Clock()), rule, need=used).headers()
    expected = None if warning is None else f"tenant acme: {warning} of tokens/day"
    assert headers.get("x-santral-limit-warning") == expected


def test_a_warning_carries_no_word_of_the_caller_that_breaks_a_header() -> None:
    rule = limit("concurrent", "", 1, binds="user:*", warn_at=(1.0,))
    limiter = MemoryLimiter(Clock())
    held = claim(rule, "Zoë\r\nset-cookie: a=1, b" + "x" * 500)
    warning = at_once(limiter.reserve([held], Need())).headers()["x-santral-limit-warning"]
    assert warning.startswith("user Zo???set-cookie?")
    assert len(warning) < 120
    assert warning.isascii()
    assert warning.isprintable()


def test_a_dry_run_counts_and_refuses_nothing() -> None:
    limiter = MemoryLimiter(Clock())
    rules = [
        replace(rule, is_dry_run=True)
        for rule in (
            limit("tokens", "day", 5),
            limit("tokens", "minute", 5, is_rolling=True),
            limit("concurrent", "", 1),
            rate(0.001, 1),
        )
    ]
    for _ in range(4):
        assert reserve(limiter, *rules, need=10).headers() == {}
    assert [limiter.used(claim(rule)) for rule in rules[:3]] == [40, 40, 4]


def test_a_dry_run_of_a_rate_owes_nothing_when_it_becomes_real() -> None:
    clock = Clock()
    limiter, tried = MemoryLimiter(clock), replace(rate(1.0, 1), is_dry_run=True)
    for _ in range(1000):
        spend(limiter, tried)
    clock.now += 1
    reserve(limiter, rate(1.0, 1))


def test_a_dry_run_of_a_rolling_window_counts_where_it_was_used() -> None:
    clock = Clock()
    limiter, tried = MemoryLimiter(clock), replace(MINUTE, is_dry_run=True)
    spend(limiter, tried, need=90)
    clock.now += 50
    spend(limiter, tried, need=90)
    clock.now += 20
    assert limiter.used(claim(tried)) == 90


def test_a_limit_that_falls_to_another_deployment_names_it_and_takes_nothing() -> None:
    limiter = MemoryLimiter(Clock())
    falls = limit("usd", "day", 10, fall_to="small")
    other = limit("usd", "month", 100)
    assert reserve(limiter, falls, other, nanousd=10).fall_to == ""
    hold = reserve(limiter, falls, other, nanousd=7)
    assert hold.fall_to == "small"
    assert [limiter.used(claim(rule)) for rule in (falls, other)] == [10, 17]
    at_once(limiter.settle(hold, Need(0, 3)))
    assert [limiter.used(claim(rule)) for rule in (falls, other)] == [10, 13]
    assert refused(limiter, falls, other, nanousd=88).account == claim(other).account


def test_of_two_that_fall_the_first_is_named() -> None:
    limiter = MemoryLimiter(Clock())
    rules = [
        limit("usd", "day", 1, fall_to="small"),
        limit("usd", "month", 1, fall_to="smaller"),
    ]
    assert reserve(limiter, *rules, nanousd=2).fall_to == "small"


def test_who_waits_learns_for_how_long_and_for_what() -> None:
    limiter = MemoryLimiter(Clock())
    patient, short = replace(AT_ONCE, wait_s=30.0), limit("requests", "day", 2, wait_s=5.0)
    for _ in range(2):
        reserve(limiter, patient, short)
    error = refused(limiter, patient)
    assert (error.account, error.patience_s) == (claim(patient).account, 30.0)
    assert refused(limiter, patient, short).patience_s == 5.0
    assert refused(limiter, patient, replace(short, wait_s=0.0)).patience_s == 0.0


def test_a_hold_grows_for_another_attempt_or_stays_as_it_is() -> None:
    limiter = MemoryLimiter(Clock())
    rules = DAY, MINUTE, AT_ONCE, rate(1.0, 1), limit("usd", "day", 100)
    hold = reserve(limiter, *rules, need=40, nanousd=60)
    at_once(limiter.extend(hold, Need(60, 40)))
    assert [limiter.used(claim(rule)) for rule in rules] == [100, 100, 1, 1, 100]
    with pytest.raises(QuotaExceeded) as caught:
        at_once(limiter.extend(hold, Need(0, 1)))
    assert caught.value.detail_code == "budget_exceeded"
    assert hold.need == Need(100, 100)
    at_once(limiter.settle(hold, Need(30, 20)))
    assert [limiter.used(claim(rule)) for rule in rules] == [30, 30, 0, 1, 20]
    at_once(limiter.extend(hold, Need(1000, 1000)))
    assert limiter.used(claim(DAY)) == 30, "it is closed"


def test_a_limit_that_would_fall_refuses_to_let_a_hold_grow() -> None:
    limiter, falls = MemoryLimiter(Clock()), limit("usd", "day", 10, fall_to="small")
    hold = reserve(limiter, falls, nanousd=6)
    with pytest.raises(QuotaExceeded):
        at_once(limiter.extend(hold, Need(0, 5)))
    tried = replace(falls, fall_to="", is_dry_run=True, id="tried")
    hold = reserve(limiter, tried, nanousd=6)
    at_once(limiter.extend(hold, Need(0, 5)))
    assert limiter.used(claim(tried)) == 11


def test_a_hold_grows_in_the_day_it_began() -> None:
    clock = Clock(START + 12 * 3600 - 1)
    limiter = MemoryLimiter(clock)
    hold = reserve(limiter, DAY, need=90)
    clock.now += 2
    spend(limiter, DAY, need=100)
    at_once(limiter.extend(hold, Need(90)))
    assert limiter.used(claim(DAY)) == 100


def test_an_expired_hold_gives_its_room_back_and_still_counts_when_it_is_settled() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock, hold_s=HOLD_S)
    lost = reserve(limiter, DAY, AT_ONCE, need=100)
    clock.now += HOLD_S
    reserve(limiter, DAY, AT_ONCE, need=60)
    at_once(limiter.extend(lost, Need(500)))
    at_once(limiter.settle(lost, Need(30)))
    assert [limiter.used(claim(rule)) for rule in (DAY, AT_ONCE)] == [90, 1]
    assert limiter.open_holds == 1


def test_a_hold_over_midnight_counts_on_the_day_it_began() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock, hold_s=DAY_S)
    hold = reserve(limiter, DAY, need=90)
    clock.now += DAY_S / 2
    new = reserve(limiter, DAY, need=100)
    at_once(limiter.settle(hold, Need(90)))
    assert limiter.used(claim(DAY)) == 100
    at_once(limiter.settle(new, Need(50)))
    assert limiter.used(claim(DAY)) == 50


def test_a_clock_that_goes_back_gives_nothing_away_and_locks_nobody_out() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    rules = rate(10.0, 1), DAY, MINUTE
    spend(limiter, *rules, need=60)
    clock.now -= 2 * DAY_S
    assert refused(limiter, *rules).detail_code == "requests_per_second_exceeded"
    clock.now += 0.25
    with pytest.raises(QuotaExceeded, match="40 are left"):
        reserve(limiter, *rules, need=50)
    clock.now += 0.25
    spend(limiter, *rules, need=40)
    assert [limiter.used(claim(rule)) for rule in (DAY, MINUTE)] == [100, 100]


def test_a_clock_that_goes_far_ahead_begins_windows_and_nothing_worse() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    rules = rate(0.001, 2), DAY, MINUTE, AT_ONCE
    hold = reserve(limiter, *rules, need=100)
    clock.now += 400 * DAY_S
    spend(limiter, *rules, need=100)
    at_once(limiter.settle(hold, Need(100)))
    assert [limiter.used(claim(rule)) for rule in (DAY, MINUTE)] == [100, 100]


def seeded(rule: Rule, start: float, amount: int) -> Claim:
    return claim(rule, seeds={claim(rule).account: Used(int(start), amount)})


def test_a_seed_never_lowers_what_is_known() -> None:
    limiter, midnight = MemoryLimiter(Clock()), START - DAY_S / 2

    def used(amount: int, start: float = midnight) -> int:
        return limiter.used(seeded(DAY, start, amount))

    hold = at_once(limiter.reserve([seeded(DAY, midnight, 70)], Need(20)))
    at_once(limiter.settle(hold, Need(20)))
    assert used(80) == 90
    assert used(95) == 95
    assert used(1000, midnight - DAY_S) == 95, "what was used yesterday"


def test_a_seed_knows_nothing_of_requests_that_run() -> None:
    for rule, start in ((DAY, START - DAY_S / 2), (MINUTE, START - 60)):
        limiter = MemoryLimiter(Clock())
        hold = reserve(limiter, rule, need=30)
        assert limiter.used(seeded(rule, start, 70)) == 100
        at_once(limiter.settle(hold, Need(10)))
        assert limiter.used(seeded(rule, start, 70)) == 80


def test_a_seed_of_a_rolling_window_is_not_counted_again_when_it_leaves() -> None:
    """The ledger was read some seconds before a part left that was in it."""
    clock, hour = Clock(), limit("usd", "hour", 100, is_rolling=True)
    limiter = MemoryLimiter(clock)
    clock.now += 119  # late in a part
    spend(limiter, hour, nanousd=100)
    clock.now += 3590
    read_at = clock.now
    clock.now += 15  # now it has left
    late = seeded(hour, read_at - 3600, 100)
    assert limiter.used(late) == 0
    at_once(limiter.reserve([late], Need(0, 100)))


def test_idle_accounts_are_forgotten_and_busy_ones_are_not() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    key = limit("tokens", "day", 100, binds="key:*")
    fast = limit("requests", "second", rate=5.0, burst=5, binds="key:*")
    held = reserve(limiter, DAY, need=60)
    spend(limiter, key, need=60)
    for number in range(5000):
        clock.now += 0.5
        pair = [claim(key, f"k{number}"), claim(fast, f"k{number}"), claim(MINUTE, f"k{number}")]
        at_once(limiter.release(at_once(limiter.reserve(pair, Need(1)))))
    assert limiter.known_accounts < 150
    assert limiter.used(claim(DAY)) == 60
    assert limiter.used(claim(key)) == 60
    at_once(limiter.settle(held, Need(60)))
    assert limiter.used(claim(DAY)) == 60


def test_an_empty_bucket_is_not_forgotten_by_way_of_others() -> None:
    limiter, slow = MemoryLimiter(Clock()), rate(0.001, 1)
    spend(limiter, slow)
    for number in range(500):
        at_once(limiter.release(at_once(limiter.reserve([claim(slow, str(number))], Need()))))
    assert refused(limiter, slow).detail_code == "requests_per_second_exceeded"


def test_open_holds_are_bounded() -> None:
    limiter = MemoryLimiter(Clock(), max_holds=3)
    for _ in range(3):
        reserve(limiter)
    with pytest.raises(Overloaded):
        reserve(limiter, DAY, need=5)
    assert limiter.used(claim(DAY)) == 0


def test_a_higher_amount_holds_at_once_and_what_was_used_stays() -> None:
    limiter = MemoryLimiter(Clock())
    spend(limiter, DAY, need=100)
    refused(limiter, DAY)
    more = replace(DAY, amount=150)
    reserve(limiter, more, need=50)
    refused(limiter, more)
    refused(limiter, replace(DAY, amount=10))


def test_a_tenant_and_its_key_are_asked_together() -> None:
    limiter = MemoryLimiter(Clock())
    both = claims(DAY, limit("tokens", "day", 30, binds="key:k1"))
    assert len(both) == 2
    with pytest.raises(QuotaExceeded, match="The key 'k1' may use 30 tokens"):
        at_once(limiter.reserve(both, Need(31)))
    assert limiter.used(both[0]) == 0


def test_who_sent_all_requests_of_a_window_is_told_to_wait_and_of_no_tokens() -> None:
    limiter = MemoryLimiter(Clock())
    tenant = Scope("tenant", "acme")
    found = LimitBook(Limits(requests_per_minute=1).rules("acme", tenant)).of("acme", "k1")
    at_once(limiter.reserve(found, Need(5)))
    with pytest.raises(QuotaExceeded) as caught:
        at_once(limiter.reserve(found, Need(5)))
    assert caught.value.message.startswith(
        "The tenant 'acme' may send 1 requests in any 60 seconds, and has. Try again in 1m"
    )
    assert "max_tokens" not in caught.value.message
