"""The outcome of a comparison: what of all measures together decides, and what has to be said."""

from __future__ import annotations

from collections.abc import Sequence

from santral.evals.judges.family import family_warnings
from santral.evals.run import Run
from santral.evals.verdict.comparison import MeasureChange, Outcome
from santral.evals.verdict.gate import Gate

#: Share of answers that failed from which the target, and not its quality, is the news. Chosen.
_MOSTLY_FAILED = 0.5


def outcome_of(base: Run, head: Run, measures: Sequence[MeasureChange], gate: Gate) -> Outcome:
    """Return what two runs come to; nothing passes that could not be measured."""
    if _failed_share(head) >= _MOSTLY_FAILED or _failed_share(base) >= _MOSTLY_FAILED:
        return "infrastructure"
    deciding = [one for one in measures if one.decides]
    if any(one.tier == "regression" for one in deciding) or _more_errors(
        base, head, deciding, gate
    ):
        return "regression"
    unsure = {"not_enough_data", "unreliable_baseline", "new_series"}
    if not deciding or any(one.tier in unsure for one in deciding):
        return "not_enough_data"
    return "pass" if base.head.is_complete and head.head.is_complete else "not_enough_data"


def notes_of(base: Run, head: Run, measures: Sequence[MeasureChange], gate: Gate) -> list[str]:
    """Return what a reader has to know besides the measures."""
    deciding = [one for one in measures if one.decides]
    notes = _more_errors(base, head, deciding, gate)
    for name, run in (("Base", base), ("Head", head)):
        if not run.head.is_complete:
            notes.append(f"{name} was not finished{_because(run.head.stop_reason)}.")
        if failed := sum(failures_of(run).values()):
            notes.append(f"{name}: {failed} of {len(run.samples)} answers failed.")
    notes += family_warnings(head)
    if not deciding:
        notes.append("No measure decides: name one in [gate.measures.NAME] with gates = true.")
    gone = {m.name for m in base.head.measures} - {m.name for m in head.head.measures}
    if gone:
        notes.append(f"No longer measured: {', '.join(sorted(gone))}.")
    return notes


def failures_of(run: Run) -> dict[str, int]:
    """Return how many answers of a run failed, by code."""
    found: dict[str, int] = {}
    for sample in run.samples:
        if sample.answer.error:
            found[sample.answer.error] = found.get(sample.answer.error, 0) + 1
    return found


def _more_errors(base: Run, head: Run, deciding: Sequence[MeasureChange], gate: Gate) -> list[str]:
    """Return what has more errors in head than the gate allows, in words."""
    if gate.max_more_errors is None:
        return []
    shares = {"answers": (_failed_share(base), _failed_share(head))}
    for one in deciding:
        counts = (sum(one.errors_base.values()), sum(one.errors_head.values()))
        shares[f"scores of {one.measure.name}"] = (
            counts[0] / max(1, len(base.samples)),
            counts[1] / max(1, len(head.samples)),
        )
    return [
        f"{100 * after:.1f} % of {what} are errors, {100 * before:.1f} % were: more than the "
        f"{100 * gate.max_more_errors:.1f} points the gate allows."
        for what, (before, after) in shares.items()
        if after - before > gate.max_more_errors
    ]


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _failed_share(run: Run) -> float:
    return sum(failures_of(run).values()) / len(run.samples) if run.samples else 1.0
