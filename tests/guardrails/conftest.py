"""Policies that the tests of guardrails share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from santral.config.policies import PolicyConfig
from santral.guardrails.policy import Outcome, Policy, compile_policy, inspect


def policy_of(**lists: list[dict[str, Any]]) -> Policy:
    return compile_policy("tested", PolicyConfig.model_validate(lists))


EVERYTHING = policy_of(
    input=[{"check": "pii"}, {"check": "secrets"}, {"check": "injection"}, {"check": "length"}],
    output=[{"check": "pii"}, {"check": "secrets"}],
)


@pytest.fixture(scope="session")
def everything() -> Policy:
    return EVERYTHING


@pytest.fixture(scope="session")
def mask() -> Callable[[str], str]:
    """Mask one text with every kind of entity."""
    return lambda text: inspected(EVERYTHING, text, "output").texts[0]


@pytest.fixture(scope="session")
def make_policy() -> Callable[..., Policy]:
    return policy_of


def inspected(policy: Policy, text: str, place: str) -> Outcome:
    checks = policy.input if place == "input" else policy.output
    return asyncio.run(inspect(checks, (text,), place))


@pytest.fixture(scope="session")
def look() -> Callable[[Policy, str, str], Outcome]:
    return inspected
