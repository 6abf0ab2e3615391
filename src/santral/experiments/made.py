"""Experiments that people make while Santral runs: as they are kept, and as workers read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from pydantic import ValidationError

from santral.config.experiments import ExperimentConfig
from santral.errors import BadRequest

State: TypeAlias = Literal["draft", "running", "paused", "stopped"]

#: Faults of settings that one answer names. Chosen.
_MOST_FAULTS = 10


class Now(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a ramp and a bandit have made of the settings."""

    share: float = 1.0
    step: int = 0  # of the ramp, from 0
    step_at_s: float = 0.0  # when it began, seconds since 1970
    weights: dict[str, float] | None = None  # those of the bandit; None: as the settings say
    moved_at_s: float = 0.0  # when the bandit moved them


class StoredExperiment(Struct, frozen=True, kw_only=True):
    """An experiment as its row says."""

    tenant_id: str  # ``*``: requests of every tenant
    name: str
    state: State
    config: ExperimentConfig
    now: Now
    description: str
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    is_declared: bool = False  # it stands in santral.toml


class ExperimentEvent(Struct, frozen=True, kw_only=True):
    """One decision about an experiment, and what it rested on."""

    id: str
    number: int
    kind: str  # created, started, ramped, paused, resumed, stopped, weighted, decided
    evidence: dict[str, Any]
    actor: str
    at: datetime


class Running(Struct, frozen=True, kw_only=True):
    """A running experiment, as the parent process publishes it to workers."""

    tenant_id: str
    name: str
    settings: dict[str, Any]
    share: float
    weights: dict[str, float] | None = None


def parse_settings(settings: Mapping[str, Any]) -> ExperimentConfig:
    """Read the settings of an experiment, as under ``[experiments.NAME]`` in santral.toml.

    Raises:
        BadRequest: names every setting that means nothing, and its place.
    """
    try:
        return ExperimentConfig.model_validate(dict(settings))
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in item['loc']) or 'experiment'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)[:_MOST_FAULTS]
        ]
        raise BadRequest("; ".join(faults), code="bad_experiment", param="settings") from None


def written(config: ExperimentConfig) -> dict[str, Any]:
    """Return settings as they are kept: only what was said."""
    return config.model_dump(mode="json", exclude_defaults=True)
