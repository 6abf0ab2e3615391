"""A breaker opens on what keeps failing, waits as told, and lets one probe through."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.parts import Clock

from santral.errors import (
    ContentPolicyRefused,
    ContextWindowExceeded,
    ModelNotFound,
    ParameterNotSupported,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderUnreachable,
)
from santral.routing.health import BREAKER_STATES, Health, HealthSettings, State

SETTINGS = HealthSettings(last=10, window_s=60, at_least=3, failure_share=0.5, open_s=10)


def opened(clock: Clock) -> Health:
    health = Health(clock, SETTINGS)
    fail(health, 3)
    assert health.state("d") == "open"
    return health


def fail(health: Health, times: int, error: ProviderError | None = None) -> None:
    for _ in range(times):
        health.failed("d", error or ProviderFailed("no"))


def test_an_unknown_deployment_is_admitted() -> None:
    assert Health(Clock()).admits("d")
    assert Health(Clock()).state("d") == "closed"


def test_a_single_failure_opens_nothing() -> None:
    health = Health(Clock(), SETTINGS)
    fail(health, 2)
    assert health.admits("d")


def test_a_share_of_failures_opens() -> None:
    health = Health(Clock(), SETTINGS)
    for _ in range(4):
        health.succeeded("d")
    fail(health, 3)
    assert health.admits("d"), "3 of 7 is below half"
    fail(health, 1)
    assert not health.admits("d")
    assert health.states() == {"d": "open"}


def test_old_failures_do_not_count() -> None:
    clock = Clock()
    health = Health(clock, SETTINGS)
    fail(health, 2)
    clock.now += 61
    fail(health, 2)
    assert health.admits("d")


def test_only_the_last_outcomes_count() -> None:
    health = Health(Clock(), SETTINGS)
    for _ in range(100):
        health.succeeded("d")
    fail(health, 5)
    assert not health.admits("d")


def test_the_callers_own_mistakes_are_no_failures() -> None:
    health = Health(Clock(), SETTINGS)
    for error in (ProviderRefusedRequest("no"), ContextWindowExceeded("too long")):
        fail(health, 10, error)
    assert health.admits("d")


def test_a_refused_key_opens_at_once() -> None:
    health = Health(Clock(), SETTINGS)
    fail(health, 1, ProviderRefusedKey("no"))
    assert not health.admits("d")


def test_a_hint_to_wait_is_kept_to_the_second() -> None:
    clock = Clock()
    health = Health(clock, SETTINGS)
    fail(health, 1, ProviderBusy("later", retry_after_s=2.5))
    clock.now += 2.4
    assert not health.admits("d")
    clock.now += 0.2
    assert health.admits("d")


def test_a_hint_to_wait_has_a_bound() -> None:
    clock = Clock()
    health = Health(clock, SETTINGS)
    fail(health, 1, ProviderBusy("tomorrow", retry_after_s=86_400))
    clock.now += SETTINGS.max_open_s
    assert health.admits("d")


def test_half_open_lets_one_probe_through() -> None:
    clock = Clock()
    health = opened(clock)
    clock.now += 10
    assert health.state("d") == "half_open"
    assert [health.admits("d") for _ in range(3)] == [True, False, False]
    health.succeeded("d")
    assert health.state("d") == "closed"
    assert health.admits("d")


def test_a_failed_probe_opens_for_twice_as_long_up_to_a_bound() -> None:
    clock = Clock()
    health = opened(clock)
    waits: list[float] = []
    for _ in range(8):
        start = clock.now
        while not health.admits("d"):
            clock.now += 1
        waits.append(clock.now - start)
        fail(health, 1)
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_probe_nobody_reported_on_is_given_back() -> None:
    clock = Clock()
    health = opened(clock)
    clock.now += 10
    assert health.admits("d")
    health.abandoned("d")
    assert health.admits("d")
    clock.now += SETTINGS.probe_s
    assert health.admits("d"), "and after a while anyway"


def test_an_answer_from_before_the_opening_proves_nothing() -> None:
    health = opened(Clock())
    health.succeeded("d")
    assert health.state("d") == "open"


def test_a_full_window_forgets_its_oldest_failure() -> None:
    health = Health(Clock(), HealthSettings(last=4, at_least=4, failure_share=0.75))
    for outcome in ("fail", "fail", "ok", "ok", "ok", "ok"):
        if outcome == "ok":
            health.succeeded("d")
        else:
            fail(health, 1)
    fail(health, 2)
    assert health.admits("d"), "2 of the last 4"
    fail(health, 1)
    assert not health.admits("d")


def test_a_refused_key_does_not_prolong_an_open_breaker() -> None:
    clock = Clock()
    health = opened(clock)
    clock.now += 9
    fail(health, 1, ProviderRefusedKey("no"))
    clock.now += 1
    assert health.admits("d")


@given(
    st.lists(
        st.one_of(st.sampled_from(["ok", "fail", "busy", "ask", "abandon"]), st.floats(0.1, 100)),
        max_size=80,
    )
)
def test_under_any_history_the_counts_hold_and_an_open_breaker_opens_again(
    history: list[str | float],
) -> None:
    clock = Clock()
    health = Health(clock, SETTINGS)
    for step in history:
        if isinstance(step, float):
            clock.now += step
        elif step == "ok":
            health.succeeded("d")
        elif step == "fail":
            health.failed("d", ProviderUnreachable("no"))
        elif step == "busy":
            health.failed("d", ProviderBusy("no", retry_after_s=5))
        elif step == "ask":
            health.admits("d")
        else:
            health.abandoned("d")
        breaker = health._breakers.get("d")
        if breaker is not None:
            assert breaker.failures == sum(failed for _, failed in breaker.outcomes)
    clock.now += SETTINGS.max_open_s + SETTINGS.probe_s
    assert health.admits("d"), "no deployment stays shut out for ever"


@pytest.mark.parametrize(
    "error",
    [
        ModelNotFound("no"),
        ParameterNotSupported("no"),
        ContentPolicyRefused("no"),
        ContextWindowExceeded("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_nothing_about_the_deployment_opens_no_breaker(error: ProviderError) -> None:
    health = Health(Clock(), SETTINGS)
    fail(health, 50, error)
    assert health.state("d") == "closed"


def test_a_request_that_was_never_sent_closes_no_breaker() -> None:
    clock = Clock()
    health = opened(clock)
    clock.now += SETTINGS.open_s
    assert health.admits("d")
    health.failed("d", ParameterNotSupported("refused before anybody was asked"))
    assert health.state("d") == "half_open"
    assert health.admits("d"), "the probe is given back"


def test_every_state_has_a_number_for_the_metric() -> None:
    assert set(BREAKER_STATES) == set(get_args(State))
    assert sorted(BREAKER_STATES.values()) == [0, 1, 2]
