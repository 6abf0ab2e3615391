"""One look of a monitor: sample both windows, compare every signal, correct, and say what drifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct, field

from santral.evals.drift.compare import Moved, compare
from santral.evals.drift.exemplars import Slice, exemplars_of, slice_of
from santral.evals.drift.monitor import MonitorSettings, Windows, windows_of
from santral.evals.drift.requests.sample import sample_of
from santral.evals.drift.requests.seen import Seen
from santral.evals.drift.signals import LEAST_EFFECT, signal_named
from santral.evals.drift.streams import Step, steps_of
from santral.statistics.multiple import benjamini_hochberg
from santral.traces.store import TraceStore

#: What a look says of a signal. A drift was a suspect in a window before, too, that had no request in
#: common with this one.
Verdict: TypeAlias = Literal["steady", "suspect", "drift", "not_enough_data"]


#: Verdicts, the gravest first.
_GRAVEST: tuple[Verdict, ...] = ("drift", "suspect", "steady")


class State(Struct, frozen=True, kw_only=True):
    """What a monitor remembers from look to look."""

    suspects: dict[str, int] = field(
        default_factory=dict[str, int]
    )  # since the window that ended then
    p: dict[str, float] = field(default_factory=dict[str, float])  # of the last look
    streams: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


class Found(Struct, frozen=True, kw_only=True):
    """What was found of one signal. Requests are named by their trace, never by their words."""

    signal: str
    verdict: Verdict
    kind: str
    n: int
    m: int
    effect: float
    least_effect: float
    p: float
    p_adjusted: float
    before: float | str
    after: float | str
    grown: str
    psi: float
    psi_threshold: float
    mmd2: float
    exemplars: list[str] = field(default_factory=list[str])
    slice: Slice | None = None


class Look(Struct, frozen=True, kw_only=True):
    """Everything a look found, and what the next one goes on from."""

    windows: Windows
    requests: tuple[int, int]  # of the reference, of now
    signals: list[Found]
    steps: list[Step]
    tests: int  # that were corrected for, those of other monitors too
    state: State

    @property
    def verdict(self) -> Verdict:
        """The gravest of any signal."""
        said = {found.verdict for found in self.signals}
        for verdict in _GRAVEST:
            if verdict in said:
                return verdict
        return "not_enough_data"


async def look(
    traces: TraceStore,
    tenant_id: str,
    settings: MonitorSettings,
    state: State,
    others: Sequence[float],
    now_us: int,
    rng: np.random.Generator,
) -> Look:
    """Compare the current window with the reference.

    ``others`` are the p-values of the tenant's other monitors: the more is watched, the more a finding
    has to show.

    Raises:
        StoreError: the telemetry cannot be asked, or an extra is not installed.
    """
    windows = windows_of(settings, now_us)
    sample = partial(sample_of, traces, tenant_id, route=settings.route, prompt=settings.prompt)
    reference = await sample(windows.reference_since_us, windows.reference_until_us)
    current = await sample(windows.since_us, windows.until_us)
    return judge(settings, state, others, windows, reference, current, rng)


def judge(
    settings: MonitorSettings,
    state: State,
    others: Sequence[float],
    windows: Windows,
    reference: Sequence[Seen],
    current: Sequence[Seen],
    rng: np.random.Generator,
) -> Look:
    """Return what two samples say; see ``look``."""
    moved = [_moved(settings, name, reference, current, rng) for name in settings.signals]
    tested = [one for one in moved if one.is_enough]
    adjusted = benjamini_hochberg([*(one.p for one in tested), *others])
    corrected = {one.signal: p for one, p in zip(tested, adjusted, strict=False)}
    found = [_found(one, corrected, settings.alpha, state, windows, current) for one in moved]
    steps, streams = _steps(settings, state.streams, windows, reference, current)
    suspects = {
        one.signal: state.suspects.get(one.signal, windows.until_us)
        for one in found
        if one.verdict in ("suspect", "drift")
    }
    remembered = State(suspects=suspects, p={one.signal: one.p for one in tested}, streams=streams)
    return Look(
        windows=windows,
        requests=(len(reference), len(current)),
        signals=found,
        steps=steps,
        tests=len(tested) + len(others),
        state=remembered,
    )


def state_from(stored: Mapping[str, Any]) -> State:
    """Return what a row remembers."""
    return msgspec.convert(stored, State)


def _moved(
    settings: MonitorSettings,
    name: str,
    reference: Sequence[Seen],
    current: Sequence[Seen],
    rng: np.random.Generator,
) -> Moved:
    signal = signal_named(name)
    least_effect = settings.effects.get(name, LEAST_EFFECT[signal.kind])
    return compare(signal, reference, current, settings.least, least_effect, rng)


def _found(
    moved: Moved,
    corrected: Mapping[str, float],
    alpha: float,
    state: State,
    windows: Windows,
    current: Sequence[Seen],
) -> Found:
    p = corrected.get(moved.signal, 1.0)
    verdict: Verdict = "not_enough_data"
    if moved.is_enough:
        is_far = moved.effect >= moved.least_effect and p <= alpha
        verdict = _grade(state.suspects.get(moved.signal), windows) if is_far else "steady"
    is_named = verdict in ("suspect", "drift")
    facts = {name: getattr(moved, name) for name in Found.__struct_fields__ if hasattr(moved, name)}
    return Found(
        **facts,
        verdict=verdict,
        p_adjusted=p,
        exemplars=exemplars_of(moved, current) if is_named else [],
        slice=slice_of(moved, current) if is_named else None,
    )


def _grade(suspect_since_us: int | None, windows: Windows) -> Verdict:
    if suspect_since_us is not None and suspect_since_us <= windows.since_us:
        return "drift"
    return "suspect"


def _steps(
    settings: MonitorSettings,
    streams: Mapping[str, dict[str, Any]],
    windows: Windows,
    reference: Sequence[Seen],
    current: Sequence[Seen],
) -> tuple[list[Step], dict[str, dict[str, Any]]]:
    steps: list[Step] = []
    states: dict[str, dict[str, Any]] = {}
    for name in settings.signals:
        signal = signal_named(name)
        if signal.kind == "number":
            seen, states[name] = steps_of(signal, reference, current, windows, streams.get(name))
            steps += seen
    return steps, states
