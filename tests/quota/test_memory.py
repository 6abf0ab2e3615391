"""The limiter in memory: whatever happens in whatever order, nobody gets past a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from santral.errors import Overloaded, QuotaExceeded
from santral.quota.limit import Limits, Scope
from santral.quota.limiter import Hold
from santral.quota.memory import MemoryLimiter

T = TypeVar("T")

TENANT, KEY, OTHER = Scope("tenant", "acme"), Scope("key", "k1"), Scope("key", "k2")
DAY_S = 86_400
START = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
HOLD_S = 600.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a decision that must not pause: a pause would let another one in between."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the limiter paused in the middle of a decision")


def reserve(limiter: MemoryLimiter, limits: Limits, tokens: int = 1, *scopes: Scope) -> Hold:
    return at_once(limiter.reserve([(scope, limits) for scope in scopes or (TENANT,)], tokens))


def refused(limiter: MemoryLimiter, limits: Limits, tokens: int = 1) -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as caught:
        reserve(limiter, limits, tokens)
    return caught.value


async def admitted(limiter: MemoryLimiter, calls: int, limits: Limits, tokens: int) -> int:
    count = 0

    async def call() -> None:
        nonlocal count
        try:
            hold = await limiter.reserve([(TENANT, limits), (KEY, Limits())], tokens)
        except QuotaExceeded:
            return
        count += 1
        await asyncio.sleep(0)  # the provider answers
        await limiter.settle(hold, tokens)

    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(call())
    return count


@given(st.integers(2, 60), st.integers(1, 1000))
@settings(max_examples=30)
def test_of_n_calls_at_once_on_a_budget_worth_one_exactly_one_is_admitted(
    calls: int, tokens: int
) -> None:
    limits = Limits(tokens_per_day=tokens * 2 - 1)
    assert asyncio.run(admitted(MemoryLimiter(Clock()), calls, limits, tokens)) == 1
    one_request = Limits(requests_per_second=1.0, burst=1)
    assert asyncio.run(admitted(MemoryLimiter(Clock()), calls, one_request, tokens)) == 1


class Model:
    """What the rules say: a plain list of holds and sums by scope and day."""

    def __init__(self) -> None:
        self.spent: dict[tuple[Scope, int], int] = {}
        self.holds: dict[int, tuple[Hold, float]] = {}
        self.excess: dict[tuple[Scope, int], int] = {}

    def reserved(self, scope: Scope, now: float) -> int:
        day = int(now // DAY_S)
        return sum(
            hold.tokens
            for hold, until in self.holds.values()
            if until > now and hold.day == day and scope in {s for s, _ in hold.scopes}
        )

    def used(self, scope: Scope, now: float) -> int:
        return self.spent.get((scope, int(now // DAY_S)), 0) + self.reserved(scope, now)


class Interleavings(RuleBasedStateMachine):
    """Any order of reserve, settle, release, expiry, change of limits and passing of time."""

    holds: Bundle[Hold] = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.limiter = MemoryLimiter(self.clock, hold_s=HOLD_S)
        self.model = Model()
        self.limits = {scope: Limits(tokens_per_day=100) for scope in (TENANT, KEY, OTHER)}
        self.highest: dict[tuple[Scope, int], int] = {}

    @rule(
        target=holds,
        scopes=st.sampled_from([(TENANT, KEY), (TENANT, OTHER), (TENANT,), (OTHER,)]),
        tokens=st.integers(0, 120),
    )
    def reserve(self, scopes: tuple[Scope, ...], tokens: int) -> Hold | Any:
        now, pairs = self.clock.now, [(scope, self.limits[scope]) for scope in scopes]
        fits = all(
            limits.tokens_per_day is None
            or self.model.used(scope, now) + tokens <= limits.tokens_per_day
            for scope, limits in pairs
        )
        before = [self.limiter.used_today(scope) for scope in scopes]
        if not fits:
            with pytest.raises(QuotaExceeded) as caught:
                at_once(self.limiter.reserve(pairs, tokens))
            assert 0 < (caught.value.retry_after_s or 0) <= DAY_S
            assert [self.limiter.used_today(scope) for scope in scopes] == before
            return multiple()
        hold = at_once(self.limiter.reserve(pairs, tokens))
        self.model.holds[hold.id] = (hold, now + HOLD_S)
        return hold

    @rule(hold=holds, share=st.floats(0, 1))
    def settle(self, hold: Hold, share: float) -> None:
        self._close(hold, int(hold.tokens * share))

    @rule(hold=holds, extra=st.integers(1, 30))
    def settle_for_more_than_was_reserved(self, hold: Hold, extra: int) -> None:
        self._close(hold, hold.tokens + extra)

    @rule(hold=consumes(holds))
    def release(self, hold: Hold) -> None:
        known = self.model.holds.pop(hold.id, None)
        at_once(self.limiter.release(hold))
        at_once(self.limiter.release(hold))
        assert known is None or hold.is_closed

    @rule(seconds=st.sampled_from([0.0, 1.0, 30.0, HOLD_S - 1, HOLD_S, 5000.0, 40_000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(
        scope=st.sampled_from([TENANT, KEY, OTHER]),
        tokens=st.none() | st.integers(1, 200),
    )
    def change_limit(self, scope: Scope, tokens: int | None) -> None:
        self.limits[scope] = Limits(tokens_per_day=tokens)

    @precondition(lambda self: self.model.holds)
    @rule()
    def settle_twice(self) -> None:
        hold, _ = next(iter(self.model.holds.values()))
        self._close(hold, hold.tokens)
        at_once(self.limiter.settle(hold, 999))
        at_once(self.limiter.release(hold))

    @invariant()
    def what_is_counted_is_what_happened(self) -> None:
        now = self.clock.now
        for scope in self.limits:
            spent, reserved = self.limiter.used_today(scope)
            assert reserved == self.model.reserved(scope, now)
            assert spent == self.model.spent.get((scope, int(now // DAY_S)), 0)

    @invariant()
    def no_limit_is_passed(self) -> None:
        """Beyond the highest limit of the day lies only what providers billed above the hold."""
        day = int(self.clock.now // DAY_S)
        for scope, limits in self.limits.items():
            most = limits.tokens_per_day if limits.tokens_per_day is not None else 10**9
            self.highest[scope, day] = max(most, self.highest.get((scope, day), 0))
            used = sum(self.limiter.used_today(scope))
            assert used - self.model.excess.get((scope, day), 0) <= self.highest[scope, day]

    def _close(self, hold: Hold, tokens: int) -> None:
        at_once(self.limiter.settle(hold, tokens))
        known = self.model.holds.pop(hold.id, None)
        if known is None:
            return
        is_late = known[1] <= self.clock.now
        for scope, _ in hold.scopes:
            place = scope, hold.day
            self.model.spent[place] = self.model.spent.get(place, 0) + tokens
            over = tokens if is_late else max(0, tokens - hold.tokens)
            self.model.excess[place] = self.model.excess.get(place, 0) + over


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(
    st.floats(0.2, 50),
    st.none() | st.integers(1, 20),
    st.lists(st.floats(0, 3), min_size=1, max_size=80),
)
def test_no_window_of_time_admits_more_than_burst_and_rate(
    rate: float, burst: int | None, gaps: list[float]
) -> None:
    clock = Clock()
    limiter, limits = MemoryLimiter(clock), Limits(rate, burst)
    admissions: list[float] = []
    for gap in gaps:
        clock.now += gap
        try:
            at_once(limiter.settle(reserve(limiter, limits), 1))
        except QuotaExceeded:
            continue
        admissions.append(clock.now)
    for i, first in enumerate(admissions):
        for j in range(i, len(admissions)):
            allowed = limits.capacity + (admissions[j] - first) * rate
            assert j - i + 1 <= allowed + 2e-3


@given(st.floats(0.5, 50), st.integers(1, 20), st.floats(0, 100))
def test_a_quiet_time_earns_no_more_than_the_burst(rate: float, burst: int, quiet_s: float) -> None:
    clock = Clock()
    limiter, limits = MemoryLimiter(clock), Limits(rate, burst)
    reserve(limiter, limits)
    clock.now += quiet_s
    for _ in range(min(burst, int(burst - 1 + quiet_s * rate))):
        reserve(limiter, limits)
    if quiet_s * rate >= 1:
        refused(limiter, limits)


@given(st.floats(0.01, 1000), st.integers(1, 5))
def test_who_waits_as_long_as_told_is_admitted(rate: float, burst: int) -> None:
    clock = Clock()
    limiter, limits = MemoryLimiter(clock), Limits(rate, burst)
    for _ in range(int(limits.capacity)):
        reserve(limiter, limits)
    error = refused(limiter, limits)
    assert error.detail_code == "requests_per_second_exceeded"
    assert "x-should-retry" not in error.headers
    clock.now += error.retry_after_s or 0
    reserve(limiter, limits)


def test_all_or_nothing_over_the_scopes() -> None:
    limiter = MemoryLimiter(Clock())
    roomy, full = Limits(10.0, 10, 1000), Limits(tokens_per_day=5)
    for _ in range(30):  # more often than the bucket of the first scope is deep
        with pytest.raises(QuotaExceeded):
            at_once(limiter.reserve([(TENANT, roomy), (KEY, full)], 6))
    assert limiter.used_today(TENANT) == (0, 0)
    assert reserve(limiter, roomy).headers()["x-ratelimit-remaining-requests"] == "9"
    assert limiter.open_holds == 1


def test_a_spent_day_is_said_with_the_time_to_midnight() -> None:
    clock = Clock()
    limiter, limits = MemoryLimiter(clock), Limits(tokens_per_day=100)
    at_once(limiter.settle(reserve(limiter, limits, 80), 70))
    error = refused(limiter, limits, 40)
    assert error.detail_code == "tokens_per_day_exceeded"
    assert "30 are left, and this request needs up to 40" in error.message
    assert error.retry_after_s == 12 * 3600
    assert error.headers == {
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "30",
        "x-ratelimit-reset-tokens": "12h0m0s",
        "x-should-retry": "false",
    }
    clock.now += error.retry_after_s or 0
    reserve(limiter, limits, 100)


def test_a_request_larger_than_the_day_has_its_own_sentence() -> None:
    error = refused(MemoryLimiter(Clock()), Limits(tokens_per_day=100), 101)
    assert "this request alone needs up to 101" in error.message
    assert error.headers["x-should-retry"] == "false"


def test_when_only_running_requests_are_in_the_way_a_retry_is_soon() -> None:
    limiter, limits = MemoryLimiter(Clock()), Limits(tokens_per_day=100)
    hold = reserve(limiter, limits, 80)
    error = refused(limiter, limits, 40)
    assert "requests that are running hold 80" in error.message
    assert error.retry_after_s == 1.0
    assert "x-should-retry" not in error.headers
    at_once(limiter.settle(hold, 10))
    reserve(limiter, limits, 40)


def test_of_two_full_scopes_the_one_that_opens_last_is_named() -> None:
    limiter = MemoryLimiter(Clock())
    fast, daily = Limits(1.0, 1), Limits(tokens_per_day=10)
    at_once(limiter.reserve([(TENANT, fast), (KEY, daily)], 10))
    with pytest.raises(QuotaExceeded) as caught:
        at_once(limiter.reserve([(TENANT, fast), (KEY, daily)], 10))
    assert (
        caught.value.detail_code == "tokens_per_day_exceeded" or "running" in caught.value.message
    )


def test_headers_name_the_tightest_scope_of_each_kind() -> None:
    limiter = MemoryLimiter(Clock())
    pairs = [(TENANT, Limits(100.0, 100, 50)), (KEY, Limits(2.0, 3, 1000))]
    headers = at_once(limiter.reserve(pairs, 20)).headers()
    assert headers == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "500ms",
        "x-ratelimit-limit-tokens": "50",
        "x-ratelimit-remaining-tokens": "30",
        "x-ratelimit-reset-tokens": "12h0m0s",
    }


def test_without_limits_there_are_no_headers_and_no_refusals() -> None:
    limiter = MemoryLimiter(Clock())
    assert reserve(limiter, Limits(), 10**12).headers() == {}
    assert at_once(limiter.reserve([], 10**12)).headers() == {}


def test_an_expired_hold_gives_its_room_back_and_still_counts_when_it_is_settled() -> None:
    clock = Clock()
    limiter, limits = MemoryLimiter(clock, hold_s=HOLD_S), Limits(tokens_per_day=100)
    lost = reserve(limiter, limits, 100)
    clock.now += HOLD_S
    reserve(limiter, limits, 60)
    at_once(limiter.settle(lost, 30))
    assert limiter.used_today(TENANT) == (30, 60)
    assert limiter.open_holds == 1


def test_a_hold_over_midnight_counts_on_the_day_it_began() -> None:
    clock = Clock()
    limiter, limits = MemoryLimiter(clock, hold_s=DAY_S), Limits(tokens_per_day=100)
    hold = reserve(limiter, limits, 90)
    clock.now += DAY_S / 2
    new = reserve(limiter, limits, 100)
    at_once(limiter.settle(hold, 90))
    assert limiter.used_today(TENANT) == (0, 100)
    at_once(limiter.settle(new, 50))
    assert limiter.used_today(TENANT) == (50, 0)


def test_a_clock_that_goes_back_gives_nothing_away_and_locks_nobody_out() -> None:
    clock = Clock(START)
    limiter, limits = MemoryLimiter(clock), Limits(10.0, 1, 100)
    at_once(limiter.settle(reserve(limiter, limits, 60), 60))
    clock.now -= 2 * DAY_S
    assert refused(limiter, limits, 1).detail_code == "requests_per_second_exceeded"
    clock.now += 0.25
    with pytest.raises(QuotaExceeded, match="40 are left"):
        reserve(limiter, limits, 50)
    clock.now += 0.25
    at_once(limiter.settle(reserve(limiter, limits, 40, TENANT, OTHER), 40))
    assert limiter.used_today(TENANT) == (100, 0)
    assert limiter.used_today(OTHER) == (40, 0)


def test_a_seed_never_lowers_what_is_known() -> None:
    limiter, today = MemoryLimiter(Clock()), date(2026, 11, 22)
    limits = Limits(tokens_per_day=100)
    limiter.seed(TENANT, today, 70)
    at_once(limiter.settle(reserve(limiter, limits, 20), 20))
    limiter.seed(TENANT, today, 80)
    limiter.seed(TENANT, date(2026, 11, 21), 1000)
    assert limiter.used_today(TENANT) == (90, 0)


def test_idle_scopes_are_forgotten_and_busy_ones_are_not() -> None:
    clock = Clock()
    limiter, limits = MemoryLimiter(clock), Limits(5.0, 5, 100)
    held = reserve(limiter, limits, 60, TENANT)
    at_once(limiter.settle(reserve(limiter, limits, 60, KEY), 60))
    for number in range(5000):
        clock.now += 0.5
        scope = Scope("key", f"k{number}-of-many")
        at_once(limiter.release(reserve(limiter, limits, 1, scope, TENANT)))
    assert limiter.known_scopes < 50
    assert limiter.used_today(TENANT) == (0, 60)
    assert limiter.used_today(KEY) == (60, 0)
    at_once(limiter.settle(held, 60))
    assert limiter.used_today(TENANT) == (60, 0)


def test_an_empty_bucket_is_not_forgotten_by_way_of_other_scopes() -> None:
    limiter, slow = MemoryLimiter(Clock()), Limits(0.001, 1)
    at_once(limiter.release(reserve(limiter, slow)))
    for number in range(500):
        at_once(limiter.release(reserve(limiter, slow, 1, Scope("key", str(number)))))
    assert refused(limiter, slow).detail_code == "requests_per_second_exceeded"


def test_open_holds_are_bounded() -> None:
    limiter = MemoryLimiter(Clock(), max_holds=3)
    for _ in range(3):
        reserve(limiter, Limits())
    with pytest.raises(Overloaded):
        reserve(limiter, Limits(tokens_per_day=10), 5)
    assert limiter.used_today(TENANT) == (0, 3)
