"""What every format of a report says in the same words."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence

from santral.evals.run import RunHead
from santral.evals.verdict.amount import change, dollars
from santral.evals.verdict.comparison import (
    Comparison,
    MeasureChange,
    Outcome,
    Said,
    SliceChange,
    Tier,
)

TIERS: dict[Tier, str] = {
    "regression": "regression",
    "soft": "soft",
    "noise": "noise",
    "improvement": "improvement",
    "not_enough_data": "not enough data",
    "unreliable_baseline": "unreliable baseline",
    "new_series": "new series",
    "shown": "shown only",
}

OUTCOMES: dict[Outcome, str] = {
    "pass": "Passed",
    "regression": "Regression",
    "infrastructure": "Could not be measured",
    "not_enough_data": "Not enough data",
}

#: Longest text and most lines of an answer that is shown. Chosen: five of them fit a comment.
_MOST_LETTERS = 1200
_MOST_LINES = 24
#: Order of control letters that turn text around: Unicode Standard Annex 9.
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def worst_outcome(comparisons: Sequence[Comparison]) -> Outcome:
    """Return the outcome that all targets together have."""
    worst: Outcome = "pass"
    for outcome in reversed(_WORST_FIRST):
        worst = outcome if any(one.outcome == outcome for one in comparisons) else worst
    return worst


def sentence(comparison: Comparison) -> str:
    """Return the verdict in one sentence."""
    deciding = [one for one in comparison.measures if one.decides]
    worse = [one.measure.name for one in deciding if one.tier == "regression"]
    unsure = [one for one in deciding if one.tier in _UNSURE]
    match comparison.outcome:
        case "regression" if worse:
            return f"{_listed(worse)} became worse by more than a change may cost."
        case "regression":
            return "There are more errors than the gate allows."
        case "infrastructure":
            return (
                "At least half of the answers of one run failed: nothing is said of their quality."
            )
        case "not_enough_data" if unsure:
            return f"{len(unsure)} of {len(deciding)} measures that decide allow no conclusion."
        case "not_enough_data":
            return "No conclusion: see the notes."
        case "pass":
            return f"{len(deciding)} of {len(deciding)} measures that decide hold."


def interval(one: MeasureChange | SliceChange) -> str:
    """Return a difference with its interval."""
    return change(one.measure, one.difference, one.low, one.high)


def probability(p: float | None) -> str:
    """Return a p-value with as many digits as matter."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def inconclusive(comparison: Comparison) -> list[tuple[str, str]]:
    """Return the measures of which nothing, or not all, can be concluded, and why."""
    return [
        (one.measure.name, one.words)
        for one in comparison.measures
        if one.words and one.tier in (*_UNSURE, "soft")
    ]


def remarks(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what a reader has to know of the instruments: their notes, errors and flips."""
    found: list[tuple[str, str]] = []
    for one in comparison.measures:
        name = one.measure.name
        if one.measure.note:
            found.append((name, one.measure.note))
        if counted := errors(one):
            found.append((name, f"scores without a value: {counted}"))
        if one.flipped:
            found.append((name, f"{one.flipped} judgements changed with the order of the answers"))
    return found


def errors(one: MeasureChange) -> str:
    """Return how many scores are errors, by class, base against head; empty where there are none."""
    if not (one.errors_base or one.errors_head):
        return ""
    return f"{_counts(one.errors_base)} in base, {_counts(one.errors_head)} in head"


def failures(comparison: Comparison) -> str:
    """Return how many answers failed, by code, base against head; empty where none did."""
    if not (comparison.failures_base or comparison.failures_head):
        return ""
    return (
        f"{_counts(comparison.failures_base)} in base, {_counts(comparison.failures_head)} in head"
    )


def moved_slices(comparison: Comparison) -> list[SliceChange]:
    """Return the slices that moved for more than chance, with all slices accounted for."""
    alpha = 1 - comparison.level
    return [one for one in comparison.slices if one.p_adjusted <= alpha][:10]


def spend(comparison: Comparison) -> str:
    """Return what the runs cost."""
    head, base = dollars(comparison.cost_head_nanousd), dollars(comparison.cost_base_nanousd)
    return f"head {head}, base {base}"


def origin(head: RunHead) -> str:
    """Return what a run was made with."""
    parts = [head.id, head.route, head.prompt, head.dataset, head.git_sha[:12]]
    return ", ".join(part for part in parts if part)


def difference(said: Said) -> str:
    """Return what base and head answered, as a unified diff without its head."""
    before, after = readable(said.base_answer), readable(said.head_answer)
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@"))) or (
        f" {before}"
    )


def readable(text: str, letters: int = _MOST_LETTERS, lines: int = _MOST_LINES) -> str:
    """Return text without control letters, and no longer than can be read."""
    clean = "".join(_clean(letter) for letter in text[:letters].replace("\r\n", "\n"))
    rows = clean.splitlines()
    is_whole = len(text) <= letters and len(rows) <= lines
    return "\n".join(rows) if is_whole else "\n".join(rows[:lines]) + " […]"


def _clean(letter: str) -> str:
    if letter in "\n\t":
        return letter
    is_control = unicodedata.category(letter) in ("Cc", "Cs", "Co") or ord(letter) in _TURNING
    return "\N{REPLACEMENT CHARACTER}" if is_control else letter


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


_UNSURE: tuple[Tier, ...] = ("not_enough_data", "unreliable_baseline", "new_series")
_WORST_FIRST: tuple[Outcome, ...] = ("regression", "infrastructure", "not_enough_data")
