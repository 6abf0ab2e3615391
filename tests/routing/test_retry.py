"""What follows an error is decided by its class; further calls are paid from a budget."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.parts import Clock

from santral import errors
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
    ProviderTimeout,
    ProviderUnreachable,
)
from santral.routing.budget import BudgetSettings, RetryBudget
from santral.routing.retry import CLASSES, TREATMENTS, RetrySettings, class_of, treatment_of


@pytest.mark.parametrize(
    ("error", "treatment"),
    [
        (ProviderUnreachable("x"), "again"),
        (ProviderFailed("x"), "again"),
        (ProviderBusy("x"), "wait"),
        (ProviderTimeout("x", phase="connect"), "elsewhere"),
        (ProviderRefusedKey("x"), "elsewhere"),
        (ContextWindowExceeded("x"), "elsewhere"),
        (ContentPolicyRefused("x"), "elsewhere"),
        (ModelNotFound("x"), "elsewhere"),
        (ParameterNotSupported("x"), "elsewhere"),
        (ProviderRefusedRequest("x"), "never"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_error_is_treated_by_its_class(error: ProviderError, treatment: str) -> None:
    assert treatment_of(error) == treatment


def test_every_error_of_a_provider_has_a_treatment_that_agrees_with_retryable() -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, ProviderError)
    ]
    assert set(kinds) == set(TREATMENTS)
    assert {kind for kind in kinds if not kind.retryable} == {
        kind for kind, treatment in TREATMENTS.items() if treatment == "never"
    }


def test_a_class_names_the_setting_that_speaks_of_it() -> None:
    assert class_of(ProviderBusy("x")) == "rate_limit"
    assert class_of(ProviderRefusedKey("x")) == ""
    assert set(CLASSES) == {
        "context_window",
        "content_policy",
        "rate_limit",
        "timeout",
        "server_error",
    }


@given(
    st.integers(1, 10),
    st.floats(0.01, 60),
    st.floats(0.01, 600),
    st.floats(0, 1, exclude_max=True),
)
def test_a_pause_is_never_longer_than_the_bound(
    retry: int, backoff_s: float, max_backoff_s: float, draw: float
) -> None:
    settings = RetrySettings(backoff_s=backoff_s, max_backoff_s=max_backoff_s)
    pause_s = settings.pause_s(retry, draw)
    assert 0 <= pause_s <= min(max_backoff_s, backoff_s * 2**retry)
    assert settings.pause_s(retry, 0.0) == 0, "full jitter begins at nothing"


def test_a_hint_is_kept_to_its_end_and_a_long_one_is_not_waited_for() -> None:
    settings = RetrySettings(max_backoff_s=5)
    assert settings.hinted_pause_s(4.0, 0.0) == 4.0
    assert settings.hinted_pause_s(4.0, 0.5) == pytest.approx(4.2)
    assert settings.hinted_pause_s(5.1, 0.0) is None


def test_a_quiet_deployment_can_be_retried_and_a_storm_cannot() -> None:
    clock = Clock()
    budget = RetryBudget(clock, BudgetSettings(share=0.25, per_second=1.0, burst=2.0))
    assert [budget.spend("d") for _ in range(3)] == [True, True, False]
    for _ in range(4):
        budget.earn("d")
    assert [budget.spend("d") for _ in range(2)] == [True, False], "a quarter of four calls"
    clock.now += 1
    assert budget.spend("d"), "and one a second"
    assert budget.spend("other"), "deployments have budgets of their own"
    assert budget.refused() == {"d": 2, "other": 0}


@given(st.lists(st.sampled_from(["call", "retry", "second"]), max_size=300))
def test_retries_stay_a_share_of_calls_under_any_history(history: list[str]) -> None:
    clock = Clock()
    settings = BudgetSettings(share=0.2, per_second=2.0, burst=10.0)
    budget = RetryBudget(clock, settings)
    calls = retries = 0
    start = clock.now
    for step in history:
        if step == "second":
            clock.now += 1
        elif step == "call":
            calls += 1
            budget.earn("d")
        elif budget.spend("d"):
            retries += 1
    elapsed_s = clock.now - start
    assert retries <= settings.burst + 0.2 * calls + 2.0 * elapsed_s + 1e-6
