"""What a look found, in a sentence for people."""

from __future__ import annotations

from datetime import UTC, datetime

from santral.evals.drift.look import Found, Look


def said(look: Look) -> list[str]:
    """Return what may be concluded from a look, a sentence for each signal that says something."""
    lines = [_signal(found) for found in look.signals if found.verdict != "steady"]
    lines += [
        f"{step.signal}: since {_hour(step.at_us)} it lies {'above' if step.alarm == 'up' else 'below'} "
        f"what is usual ({step.mean:.4g}, usually {step.usual:.4g})."
        for step in look.steps
    ]
    steady = [found.signal for found in look.signals if found.verdict == "steady"]
    if steady:
        lines.append(f"No drift that matters in: {', '.join(steady)}.")
    return lines


def _signal(found: Found) -> str:
    if found.verdict == "not_enough_data":
        return (
            f"{found.signal}: not enough data to say ({found.n} requests before, {found.m} now; words "
            "count where payloads are kept)."
        )
    how = {
        "number": f"median {_told(found.before)} before, {_told(found.after)} now",
        "class": f"'{found.grown}' {_share(found.before)} before, {_share(found.after)} now",
        "meaning": f"a classifier tells the two windows apart (AUC {found.effect:.2f})",
    }[found.kind]
    where = "" if found.slice is None else f", mostly {found.slice.part} {found.slice.value}"
    state = "drifts" if found.verdict == "drift" else "may drift: the next window decides"
    return f"{found.signal} {state}: {how}; corrected p {found.p_adjusted:.3f}{where}."


def _hour(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:00} UTC"


def _told(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _share(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.0%}"
