"""Pages of live experiments: who saw what, what may be concluded, and what was decided."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast, get_args
from urllib.parse import urlencode

from fastapi import Response
from msgspec import Struct

from santral.console.frame import Frame, Visit
from santral.console.pick import pick_tenant, tenant_choices
from santral.console.render import language_of
from santral.errors import BadRequest
from santral.experiments.analyse import Comparison
from santral.experiments.change import (
    decide_experiment,
    pause_experiment,
    ramp_experiment,
    start_experiment,
    stop_experiment,
)
from santral.experiments.conclude import Language, conclusions, number, percent, span
from santral.experiments.known import list_events, list_experiments, show_experiment
from santral.experiments.made import State, StoredExperiment
from santral.experiments.status import Status, read_status, shares_of
from santral.tenants.permission import Principal
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.traces.store import TraceStore

STATES: tuple[State, ...] = get_args(State)
VERDICTS = ("better", "worse", "different", "undecided", "too_few")
KINDS = (
    "created", "started", "resumed", "ramped", "paused", "stopped", "weighted", "decided",
)  # fmt: skip
#: How grave a verdict is, for the badge.
TONE: Mapping[str, str] = {"better": "good", "worse": "bad", "different": "", "undecided": "dim"}
#: Width of an interval's picture; its middle is no difference.
_WIDTH = 200


class Line(Struct, frozen=True, kw_only=True):
    """A comparison as it is written and drawn."""

    comparison: Comparison
    value: str
    control: str
    low: str
    high: str
    left: float  # of the drawn interval, from 0 to _WIDTH
    width: float


class ExperimentPages:
    """The pages over experiments."""

    def __init__(self, frame: Frame, traces: TraceStore) -> None:
        self._config = frame.config
        self._traces = traces
        frame.show("/experiments", self.list)
        frame.show("/experiments/one", self.one)
        for act in ("start", "ramp", "pause", "stop", "decide"):
            frame.act(f"/experiments/{act}", self._act(act))

    async def list(self, visit: Visit) -> Response:
        """The experiments about the requests of one tenant."""
        choices = await tenant_choices(visit, "experiments.read")
        tenant = pick_tenant(visit, choices, "experiments.read")
        found = await list_experiments(visit.engine, self._config, tenant, by=visit.principal)
        return visit.page(
            "experiments.html",
            choices=choices,
            tenant=tenant,
            lines=[(one, _address(tenant, one.name), shares_of(one)) for one in found],
        )

    async def one(self, visit: Visit) -> Response:
        """One experiment: arms, sample ratio, intervals, and the decision log."""
        tenant, name = visit.asked("tenant"), visit.asked("name")
        language = cast(Language, language_of(visit.request).language)
        stored = await show_experiment(visit.engine, self._config, tenant, name, by=visit.principal)
        status = await read_status(
            visit.engine, self._config, self._traces, tenant, name, visit.now, by=visit.principal
        )
        events = await list_events(visit.engine, self._config, tenant, name, by=visit.principal)
        return visit.page(
            "experiment.html",
            tenant=tenant,
            stored=stored,
            shown=status,
            words=conclusions(status, language),
            lines=_lines(status, language),
            shares={arm: percent(share, language) for arm, share in status.weights.items()},
            taking_part=percent(status.share, language),
            p=None
            if status.analysis.mismatch_p is None
            else number(status.analysis.mismatch_p, language),
            events=events,
            tone=TONE,
            chart_width=_WIDTH,
            may_write=_may_write(visit.principal, stored, tenant),
        )

    def _act(self, act: str) -> Callable[[Visit], Awaitable[Response]]:
        """Return what does ``act`` and goes back to the page of the experiment."""

        async def do(visit: Visit) -> Response:
            tenant, name = visit.form("tenant"), visit.form("name")
            await self._do(act, visit, tenant, name)
            return visit.done("done_changed", "/experiments/one", tenant=tenant, name=name)

        return do

    async def _do(self, act: str, visit: Visit, tenant: str, name: str) -> None:
        engine, config = visit.engine, self._config
        by, now = visit.principal, visit.now
        if act == "start":
            await start_experiment(engine, config, tenant, name, now, by=by)
        elif act == "pause":
            await pause_experiment(engine, config, tenant, name, now, by=by)
        elif act == "ramp":
            await ramp_experiment(
                engine, config, tenant, name, _share(visit.form("share")), now, by=by
            )
        elif act == "stop":
            await stop_experiment(engine, config, tenant, name, visit.form("reason"), now, by=by)
        else:
            status = await read_status(engine, config, self._traces, tenant, name, now, by=by)
            evidence = {"conclusions": conclusions(status)}
            arm, reason = visit.form("arm"), visit.form("reason")
            await decide_experiment(
                engine, config, tenant, name, arm, reason, now, by=by, evidence=evidence
            )


def _lines(status: Status, language: Language) -> list[Line]:
    """Return every comparison with its interval, drawn on a scale that holds them all."""
    if not status.analysis.is_readable:
        return []
    lines: list[Line] = []
    for one in status.analysis.comparisons:
        reach = max(abs(one.low), abs(one.high)) or 1.0
        low, high = span(one, language)
        begin = (one.low / reach + 1.0) * _WIDTH / 2.0
        lines.append(
            Line(
                comparison=one,
                value=_value(one, one.value, language),
                control=_value(one, one.control, language),
                low=low,
                high=high,
                left=round(begin, 1),
                width=round(max((one.high - one.low) / reach * _WIDTH / 2.0, 2.0), 1),
            )
        )
    return lines


def _value(one: Comparison, value: float, language: Language) -> str:
    if one.is_rate:
        return percent(value, language)
    return f"{number(value, language)} {one.unit}".rstrip()


def _may_write(principal: Principal, stored: StoredExperiment, tenant: str) -> bool:
    owner = stored.tenant_id if tenant != EVERYWHERE else EVERYWHERE
    is_own = owner == tenant
    return not stored.is_declared and is_own and principal.may("experiments.write", TenantId(owner))


def _share(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text.replace(",", ".").rstrip("% ")) / 100.0
    except ValueError:
        raise BadRequest("A share is a number of percent, as 50.", param="share") from None


def _address(tenant: str, name: str) -> str:
    return f"/experiments/one?{urlencode({'tenant': tenant, 'name': name})}"
