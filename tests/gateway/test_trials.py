"""What experiments change about requests, through a real gateway with scripted providers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.gateway.worker import Worker

from santral.experiments.made import Running
from santral.gateway.trial import compile_trials


@pytest.fixture
def running_here(worker: Worker) -> Iterator[Callable[..., None]]:
    """Return what puts experiments in force, and takes them out after the test."""
    current = worker.process.current
    before = current.snapshot.trials

    def put(*experiments: Running) -> None:
        current.put_trials(compile_trials(current.snapshot, experiments))

    yield put
    current.put_trials(before)


def made(name: str, new: dict[str, Any], tenant: str = "*", **changes: Any) -> Running:
    settings: dict[str, Any] = {
        "salt": "s",
        "unit": "session",
        "routes": ["plain"],
        "variants": {"old": {"weight": 1}, "new": {"weight": 1, **new}},
        **changes,
    }
    return Running(tenant_id=tenant, name=name, settings=settings, share=changes.get("share", 1.0))


def arms(worker: Worker, sessions: int = 40, **fields: Any) -> dict[str, str]:
    """Ask once for each session; return the arm of each."""
    found: dict[str, str] = {}
    for number in range(sessions):
        worker.ask("plain", santral={"session": f"s{number}"}, **fields)
        exposures = worker.records[-1].exposures
        found[f"s{number}"] = exposures[0].variant if exposures else ""
    return found


def test_an_arm_asks_other_models_and_the_route_stays_what_was_asked_for(
    worker: Worker, running_here: Callable[..., None]
) -> None:
    running_here(made("models", {"route": "two"}))
    seen = arms(worker)
    assert set(seen.values()) == {"old", "new"}
    for record in worker.records:
        wanted = "two" if record.variant == "new" else "one"
        assert (record.deployment, record.route) == (wanted, "plain")
        assert (record.experiment, record.exposures[0].propensity) == ("models", 0.5)
    units = {record.exposures[0].unit for record in worker.records}
    assert len(units) == 40
    assert all(len(unit) == 16 and int(unit, 16) >= 0 for unit in units)
    assert arms(worker) == seen  # a unit stays where it is


def test_settings_of_an_arm_reach_the_provider_unless_the_request_names_them(
    worker: Worker, running_here: Callable[..., None]
) -> None:
    running_here(made("warmth", {"settings": {"temperature": 0.9}}))
    seen = arms(worker)
    told = [asked.fields.get("temperature") for asked in worker.provider.asked]
    assert told == [0.9 if arm == "new" else None for arm in seen.values()]
    assert set(arms(worker, 6, temperature=0.1).values()) == {""}  # it takes no part


def test_an_arm_never_raises_the_most_output_that_was_reserved(
    worker: Worker, running_here: Callable[..., None]
) -> None:
    running_here(made("long", {"settings": {"max_completion_tokens": 100_000}}))
    assert set(arms(worker, 6, max_tokens=10).values()) == {""}  # it takes no part
    assert all("max_completion_tokens" not in a.fields for a in worker.provider.asked)
    assert set(arms(worker).values()) == {"old", "new"}


def test_answers_of_one_arm_are_never_served_to_another(
    worker: Worker, running_here: Callable[..., None]
) -> None:
    running_here(made("models", {"route": "two"}, routes=["cached"]))
    for number in range(30):
        worker.ask("cached", "The same question", santral={"session": f"s{number}"})
        record = worker.records[-1]
        if record.cache != "hit":
            assert record.deployment == ("two" if record.variant == "new" else "one")
    misses = [record.variant for record in worker.records if record.cache == "miss"]
    assert sorted(misses) == ["new", "old"]  # one answer was made for each arm


def test_an_arm_may_go_without_the_cache(worker: Worker, running_here: Callable[..., None]) -> None:
    running_here(made("fresh", {"cache": "off"}, routes=["cached"]))
    for number in range(20):
        worker.ask("cached", "Once more", santral={"session": f"s{number}"})
    assert {r.cache for r in worker.records if r.variant == "new"} == {"off"}
    assert {r.cache for r in worker.records if r.variant == "old"} == {"miss", "hit"}


def test_a_request_is_in_experiments_of_several_layers_and_in_one_of_each(
    worker: Worker, running_here: Callable[..., None]
) -> None:
    running_here(
        made("first", {"route": "two"}, layer="models", segment=[0.0, 0.5]),
        made("second", {"route": "two"}, layer="models", segment=[0.5, 1.0]),
        made("warmth", {"settings": {"temperature": 0.9}}, layer="settings"),
    )
    arms(worker, 60)
    for record in worker.records:
        names = [exposure.experiment for exposure in record.exposures]
        assert names in (["first", "warmth"], ["second", "warmth"])
        chosen = {exposure.experiment: exposure.variant for exposure in record.exposures}
        asked = worker.provider.asked[worker.records.index(record)].fields
        assert ("temperature" in asked) == (chosen["warmth"] == "new")
        assert record.deployment == ("two" if "new" in list(chosen.values())[:1] else "one")
    assert len({tuple(e.variant for e in r.exposures) for r in worker.records}) == 4


def test_only_requests_that_are_meant_take_part(
    worker: Worker, running_here: Callable[..., None]
) -> None:
    running_here(made("others", {"route": "two"}, tenant="somebody-else"))
    assert set(arms(worker, 5).values()) == {""}
    running_here(made("tagged", {"route": "two"}, tags={"team": "a"}))
    assert set(arms(worker, 5).values()) == {""}
    worker.ask("plain", santral={"session": "s", "tags": {"team": "a", "more": "b"}})
    assert len(worker.records[-1].exposures) == 1
    running_here(made("few", {"route": "two"}, share=0.3))
    share = sum(1 for arm in arms(worker, 100).values() if arm) / 100
    assert 0.15 < share < 0.45


def test_what_names_something_that_is_gone_is_left_out_and_the_rest_goes_on(
    worker: Worker, running_here: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    running_here(made("gone", {"route": "nobody"}), made("there", {"route": "two"}))
    arms(worker, 3)
    assert {e.experiment for r in worker.records for e in r.exposures} == {"there"}
    assert "experiment_not_used" in caplog.messages


def test_passages_of_a_route_without_any_cannot_be_changed(worker: Worker) -> None:
    snapshot = worker.process.current.snapshot
    assert compile_trials(snapshot, [made("p", {"retrieval": {"top_k": 2}})]).get("plain") is None
