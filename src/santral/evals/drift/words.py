"""What a look found, in a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from santral.evals.drift.look import Found, Look
from santral.evals.drift.signals import signal_named
from santral.evals.drift.streams import Step
from santral.traces.readable import dollars, duration


def said(look: Look) -> list[str]:
    """Return what may be concluded from a look, a sentence for each signal that says something."""
    lines = [_signal(found) for found in look.signals if found.verdict != "steady"]
    lines += _steps(look.steps)
    steady = [found.signal for found in look.signals if found.verdict == "steady"]
    if steady:
        lines.append(f"No drift that matters in: {', '.join(steady)}.")
    return lines


def told(signal: str, value: float | str) -> str:
    """Return a value of a signal in its unit."""
    if isinstance(value, str):
        return value
    unit = signal_named(signal).unit
    if unit == "us":
        return duration(int(value))
    return dollars(int(value)) if unit == "nanousd" else f"{value:.4g}"


def _signal(found: Found) -> str:
    if found.verdict == "not_enough_data":
        return (
            f"{found.signal}: not enough data to say ({found.n} requests before, {found.m} now; words "
            "count where payloads are kept)."
        )
    how = {
        "number": f"median {told(found.signal, found.before)} before, {told(found.signal, found.after)} now",
        "class": f"'{found.grown}' {_share(found.before)} before, {_share(found.after)} now",
        "meaning": f"a classifier tells the two windows apart (AUC {found.effect:.2f})",
    }[found.kind]
    where = "" if found.slice is None else f", mostly {found.slice.part} {found.slice.value}"
    state = "drifts" if found.verdict == "drift" else "may drift: the next window decides"
    return f"{found.signal} {state}: {how}; corrected p {found.p_adjusted:.3f}{where}."


def _steps(steps: Sequence[Step]) -> list[str]:
    """Return a sentence for each signal and direction: when it began, and how often it was seen."""
    runs: dict[tuple[str, str], list[Step]] = {}
    for step in steps:
        runs.setdefault((step.signal, step.alarm), []).append(step)
    lines: list[str] = []
    for (signal, alarm), seen in runs.items():
        side = "above" if alarm == "up" else "below"
        hours = "" if len(seen) == 1 else f", in {len(seen)} alarms since"
        lines.append(
            f"{signal}: since {_hour(seen[0].at_us)} hourly means lie {side} what is usual "
            f"(last {told(signal, seen[-1].mean)}, usually {told(signal, seen[-1].usual)}){hours}."
        )
    return lines


def _hour(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:00} UTC"


def _share(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.0%}"
