"""Experiments of the route: which arm the request's unit sees, and what that changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from santral.experiments.assign import assign, place
from santral.experiments.experiment import HOLDOUT, Experiment
from santral.gateway.context import RequestContext
from santral.gateway.stages.trace import session_of, user_of
from santral.gateway.trial import Arm, Trial
from santral.traces.record import ExposureRecord

#: Digits of the hash that stands for a unit: 64 bits, two of ten million share one by a chance of
#: 1 to 400 000.
_DIGITS = 16


class Assign:
    """Notes every exposure, and puts what the arms change in place of what the route does."""

    def __call__(self, ctx: RequestContext) -> None:
        trials = ctx.snapshot.trials.get(ctx.route.name)
        if trials is None or ctx.task is not None:
            return
        parts: dict[str, Any] = {}
        hashes: dict[str, str] = {}  # experiments of one request mostly share its unit
        for trial in trials:
            if _takes_part(ctx, trial):
                arm = _exposed(ctx, trial, hashes)
                if arm is not None:
                    _change(ctx, arm, parts)
        if parts:
            ctx.route = replace(ctx.route, **parts)


def unit_of(ctx: RequestContext, experiment: Experiment) -> str:
    """Return what the experiment assigns: user, session, key, request or tenant.

    The key stands in where a request names no user or session.
    """
    kind, named = experiment.unit, ""
    if kind == "user":
        named = user_of(ctx)
    elif kind == "session":
        named = session_of(ctx)
    elif kind == "request":
        named = ctx.request_id
    elif kind == "tenant":
        return ctx.caller.tenant.id
    return f"{ctx.caller.tenant.id}/{named or ctx.caller.key.id}"


def _takes_part(ctx: RequestContext, trial: Trial) -> bool:
    """Whether the request is one that the experiment is about; the arm has no say in it."""
    extras, changes = ctx.call.extras, trial.changes
    if trial.tenants and ctx.caller.tenant.id not in trial.tenants:
        return False
    if trial.tags and any(extras.tags.get(name) != value for name, value in trial.tags):
        return False
    if "prompt" in changes and extras.prompt is not None:
        return False
    if "retrieval" in changes and extras.retrieval is not None and extras.retrieval.collection:
        return False
    if "cache" in changes and extras.cache is False:
        return False
    if trial.setting_names and not trial.setting_names.isdisjoint(ctx.call.fields):
        return False
    models = ctx.caller.key.models
    return models is None or trial.models <= models


def _exposed(ctx: RequestContext, trial: Trial, hashes: dict[str, str]) -> Arm | None:
    """Note what the request's unit sees; return the arm, None where nothing changes."""
    experiment = trial.experiment
    unit = unit_of(ctx, experiment)
    where = place(experiment, unit)
    if where == "out":
        return None
    named = f"{experiment.unit} {unit}"
    hashed = hashes.get(named)
    if hashed is None:
        found = ctx.snapshot.pseudonyms.of_text(ctx.caller.tenant.id, named)
        hashed = hashes[named] = found[:_DIGITS]
    if where == "holdout":
        _note(ctx, experiment, HOLDOUT, hashed, experiment.layer.holdout, is_holdout=True)
        return None
    chosen = assign(experiment, unit)
    _note(ctx, experiment, chosen.variant.name, hashed, chosen.propensity)
    if not ctx.experiment:
        ctx.experiment, ctx.variant = experiment.name, chosen.variant.name
    return trial.arms[chosen.variant.name]


def _note(
    ctx: RequestContext,
    experiment: Experiment,
    variant: str,
    unit: str,
    propensity: float,
    *,
    is_holdout: bool = False,
) -> None:
    ctx.exposures.append(
        ExposureRecord(
            experiment=experiment.name,
            variant=variant,
            unit=unit,
            propensity=propensity,
            is_holdout=is_holdout,
        )
    )


def _change(ctx: RequestContext, arm: Arm, parts: dict[str, Any]) -> None:
    """Put together what the arms of several experiments change; they never change the same."""
    parts.update(arm.parts)
    if arm.prompt is not None:
        ctx.arm_prompt = arm.prompt
    if arm.settings:
        ctx.arm_settings = {**ctx.arm_settings, **arm.settings}
    if arm.search:
        ctx.arm_search = {**ctx.arm_search, **arm.search}
