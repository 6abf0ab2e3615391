"""The pool tells how the keys of each provider fare, for the metric."""

from __future__ import annotations

import random
import time

import pytest

from santral.app.providers import ProviderPool
from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig


def test_keys_of_the_providers_in_force_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_POOL_KEY_1", "sk-one")
    monkeypatch.setenv("TEST_POOL_KEY_2", "sk-two")
    keys = [SecretRef("env:TEST_POOL_KEY_1"), SecretRef("env:TEST_POOL_KEY_2")]
    pool = ProviderPool(time.monotonic, time.time, random.Random(1))
    pool.build({"main": ProviderConfig(api_keys=keys), "local": ProviderConfig(kind="local")})
    assert pool.key_states() == {}, "what is not in force is not shown"
    pool.keep()
    assert pool.key_states() == {"main": {"living": 2, "busy": 0, "dead": 0}}
    pool.build({"local": ProviderConfig(kind="local")})
    pool.keep()
    assert pool.key_states() == {}
