"""What a route does about failures comes from its settings, and what they name exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.routing.parts import deployment

from santral.config.failure import LastResortConfig
from santral.config.load import load
from santral.config.routes import RouteConfig
from santral.errors import ConfigError
from santral.routing.recovery import compile_recovery, with_retries
from santral.routing.route import LADDER_ALONE, Recovery

DEPLOYMENTS = {name: deployment(name) for name in ("one", "two", "three", "long")}
LADDER: list[dict[str, Any]] = [
    {"deployments": {"one": 1}},
    {"deployments": {"two": 1, "three": 1}, "name": "small"},
]


def compiled(**settings: Any) -> Recovery:
    config = RouteConfig.model_validate({"ladder": LADDER, **settings})
    return compile_recovery(config, DEPLOYMENTS)


def test_a_route_that_says_nothing_has_its_ladder_alone() -> None:
    assert compiled() == LADDER_ALONE


def test_a_detour_names_deployments_and_rungs_each_once() -> None:
    recovery = compiled(on_timeout=["long", "small", "two"], on_content_policy=[])
    names = {kind: [d.name for d in found] for kind, found in recovery.detours.items()}
    assert names == {"timeout": ["long", "two", "three"], "content_policy": []}
    assert {d.name for d in recovery.deployments()} == {"long", "two", "three"}


def test_a_hedge_begins_after_seconds_or_after_the_measured_p95() -> None:
    measured, fixed = compiled(hedge={}).hedge, compiled(hedge={"after": 2}).hedge
    assert measured is not None
    assert fixed is not None
    assert (measured.after_s, measured.max_extra_share, fixed.after_s) == (None, 0.05, 2.0)


def test_a_last_resort_is_a_text_texts_by_language_or_a_deployment() -> None:
    assert compiled(last_resort={"message": "Sorry."}).messages == {"": "Sorry."}
    texts = {"tr": "Özür dileriz.", "en": "Sorry."}
    assert compiled(last_resort={"message": texts}).messages == texts
    resort = compiled(last_resort={"deployment": "long"})
    assert resort.last_resort is DEPLOYMENTS["long"]
    assert [d.name for d in resort.deployments()] == ["long"]


@pytest.mark.parametrize(
    "settings", [{}, {"message": "Sorry.", "deployment": "long"}, {"message": {"fr": "Pardon."}}]
)
def test_a_last_resort_that_is_none_or_two_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LastResortConfig.model_validate(settings)


def test_the_retries_of_a_route_replace_those_of_its_deployments() -> None:
    assert with_retries(DEPLOYMENTS, None) is DEPLOYMENTS
    changed = with_retries(DEPLOYMENTS, 5)["one"]
    assert changed.retry.retries == 5
    assert changed.load is DEPLOYMENTS["one"].load, "its load is one, whoever asks it"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("on_timeout = ['extractiv']", "on_timeout"),
        ("last_resort = { deployment = 'extractiv' }", "last_resort"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest(
    tmp_path: Path, line: str, told: str
) -> None:
    file = tmp_path / "santral.toml"
    file.write_text(f"[routes.a]\nladder = [{{ deployments = {{ extractive = 1 }} }}]\n{line}\n")
    with pytest.raises(ConfigError, match="Did you mean 'extractive'") as caught:
        load(file, {})
    assert f"{file}:3" in caught.value.message or told in caught.value.message
