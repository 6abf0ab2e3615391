"""Routes are compiled once; what was learnt about an unchanged deployment is kept over a reload."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.routing.parts import Silent, compiled, configured

from santral.config.schema import Config
from santral.errors import ConfigError
from santral.providers.catalogue.facts import ModelFacts
from santral.providers.provider import Provider
from santral.routing.compile import compile_deployments, compile_route

PLAIN: dict[str, Any] = {"ladder": [{"deployments": {"a": 3, "b": 1}}]}


def deployments(config: Config, provider: Provider, before: Any = None) -> Any:
    return compile_deployments(config, {"p": provider}, lambda kind, model: None, before)


def test_a_route_that_says_nothing_has_no_rules() -> None:
    assert compiled(PLAIN, {"a": {}, "b": {}}).rules is None


@pytest.mark.parametrize(
    ("route", "settings"),
    [
        ({"sticky": True}, {}),
        ({"strategy": "least_busy"}, {}),
        ({"allowed_regions": ["eu"]}, {}),
        ({"shadow": {"deployments": ["b"]}}, {}),
        ({}, {"capabilities": {"tools": False}}),
        ({}, {"context_tokens": 8000}),
        ({}, {"max_output_tokens": 8000}),
    ],
)
def test_a_route_that_says_something_has_rules(
    route: dict[str, Any], settings: dict[str, Any]
) -> None:
    assert compiled(PLAIN | route, {"a": settings, "b": {}}).rules is not None


def test_what_deployments_lack_alone_leaves_most_requests_unlooked_at() -> None:
    rules = compiled(PLAIN, {"a": {"capabilities": {"tools": False}}, "b": {}}).rules
    assert rules is not None
    assert rules.only_limits
    assert rules.lacked == {"tools"}


def test_a_setting_is_over_the_catalogue() -> None:
    config = configured(PLAIN, {"a": {"capabilities": {"tools": True}}, "b": {}})
    known = ModelFacts(capabilities={"tools": False, "vision": False}, context_tokens=100)
    made = compile_deployments(config, {"p": Silent()}, lambda kind, model: known)
    assert (made["a"].lacks, made["b"].lacks) == ({"vision"}, {"tools", "vision"})
    assert made["a"].facts.context_tokens == 100


def test_load_is_kept_over_a_reload_and_goes_with_its_deployment() -> None:
    provider = Silent()
    before = deployments(configured(PLAIN, {"a": {}, "b": {}, "gone": {}}), provider)
    before["a"].load.begin()
    changed = configured(PLAIN, {"a": {"region": "eu"}, "b": {"model": "another"}})
    after = deployments(changed, provider, before)
    assert after["a"].load is before["a"].load
    assert after["b"].load is not before["b"].load
    assert set(after) == {"a", "b"}
    assert deployments(changed, Silent(), after)["a"].load is not after["a"].load
    before["a"].load.end(1.0, is_streaming=True, waited_s=1.0, first_s=0.3, failed=False)
    assert after["a"].load.in_flight == 0, "a call that began before the reload ends in it"


@pytest.mark.parametrize(
    ("route", "says"),
    [
        ({"ladder": [{"deployments": {"a": 1}, "canary": {"b": 60, "c": 50}}]}, "more than 100"),
        ({"ladder": [{"deployments": {"a": 1}, "canary": {"a": 5}}]}, "canary and in deployments"),
        (PLAIN | {"complexity": {"tiers": ["x", "y"]}}, "names 'x', and 0 rungs"),
        (PLAIN | {"strategy": "fastest"}, "lowest_latency"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(route: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        configured(route, {"a": {}, "b": {}, "c": {}})


@pytest.mark.parametrize(
    ("complexity", "says"),
    [
        ({"thresholds": [0.1, 0.2]}, "needs 1 numbers"),
        ({"thresholds": [1.5]}, "from 0 to 1"),
    ],
)
def test_thresholds_must_fit_the_tiers(complexity: dict[str, Any], says: str) -> None:
    rungs = [{"name": name, "deployments": {name: 1}} for name in ("a", "b")]
    with pytest.raises(ValidationError, match=says):
        configured(
            {"ladder": rungs, "complexity": {"tiers": ["a", "b"]} | complexity}, {"a": {}, "b": {}}
        )


def test_a_classifier_that_cannot_be_read_refuses_the_configuration() -> None:
    rungs = [{"name": name, "deployments": {name: 1}} for name in ("a", "b")]
    complexity = {"tiers": ["a", "b"], "model": "/nowhere/model.toml"}
    config = configured({"ladder": rungs, "complexity": complexity}, {"a": {}, "b": {}})
    with pytest.raises(ConfigError, match="classifier cannot be used"):
        compile_route("r", config.routes["r"], deployments(config, Silent()), {})


def test_what_only_a_detour_or_a_shadow_lacks_is_looked_for_too() -> None:
    known = {"a": {}, "b": {"capabilities": {"vision": False}}, "c": {"context_tokens": 9000}}
    plain = {"ladder": [{"deployments": {"a": 1}}]}
    assert compiled(plain, known).rules is None
    detour = compiled(plain | {"on_timeout": ["b"]}, known).rules
    assert detour is not None
    assert detour.lacked == {"vision"}
    shadow = compiled(plain | {"shadow": {"deployments": ["c"]}}, known).rules
    assert shadow is not None
    assert shadow.least_context == 9000
