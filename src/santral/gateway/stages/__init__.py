"""The stages of a request, each a thin adapter between the request context and one folder."""

from __future__ import annotations

from dataclasses import dataclass

from santral.gateway.stages.assign import Assign
from santral.gateway.stages.attempt import Attempts
from santral.gateway.stages.cite import Cite
from santral.gateway.stages.compose import Compose
from santral.gateway.stages.generate import Generate
from santral.gateway.stages.input_guard import InputGuard
from santral.gateway.stages.perform import Perform
from santral.gateway.stages.quota import Quota
from santral.gateway.stages.retrieve import Retrieve
from santral.gateway.stages.task_guard import TaskGuard
from santral.gateway.stages.through_cache import ThroughCache
from santral.gateway.stages.trace import Trace
from santral.gateway.stages.validate_output import ValidateOutput

__all__ = [
    "Assign",
    "Attempts",
    "Cite",
    "Compose",
    "Generate",
    "InputGuard",
    "Perform",
    "Quota",
    "Retrieve",
    "Stages",
    "TaskGuard",
    "ThroughCache",
    "Trace",
    "ValidateOutput",
]


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages, built once by app and shared by all requests."""

    trace: Trace
    assign: Assign
    quota: Quota
    input_guard: InputGuard
    compose: Compose
    retrieve: Retrieve
    generate: Generate
    validate_output: ValidateOutput
    cite: Cite
    task_guard: TaskGuard
    perform: Perform
