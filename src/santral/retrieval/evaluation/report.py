"""What a run says: a table for people, and the same as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from santral.retrieval.evaluation.estimate import Estimate
from santral.retrieval.evaluation.run import REFUSED, Run
from santral.retrieval.evaluation.tune import TARGET, Recommendation, changes_of
from santral.retrieval.search.options import SearchOptions

#: What each measure says, for people who do not know its name.
MEANINGS: Mapping[str, str] = {
    "ndcg@10": "how early the answers stand among ten chunks",
    "recall@1": "answers in the first chunk",
    "recall@5": "answers among five chunks",
    "recall@10": "answers among ten chunks",
    "precision@5": "of five chunks those that answer",
    "mrr@10": "1 over the place of the first answer",
    "map": "precision at every answer, on average",
    "context_precision": "how early the passages that help stand among those given",
    "context_recall": "answers in the passages that a model is given",
    REFUSED: "unanswerable questions for which nothing was given",
}


def rows_of(run: Run) -> list[tuple[str, str, str, str, str]]:
    """Return (measure, mean, interval, questions, meaning) of every measure, for a table."""
    found = run.estimates()
    ordered = [name for name in MEANINGS if name in found]
    return [
        (
            name,
            f"{100 * found[name].mean:.1f}",
            f"{100 * found[name].low:.1f} to {100 * found[name].high:.1f}",
            str(found[name].n),
            MEANINGS[name],
        )
        for name in ordered
    ]


def as_json(run: Run) -> dict[str, Any]:
    """Return everything that a run measured, without its questions."""
    return {
        "questions": run.questions,
        "measures": {name: asdict(one) for name, one in run.estimates().items()},
        "latency_ms": run.latency_ms(),
        "tokens": run.tokens,
        "settings": settings_of(run.options),
    }


def settings_of(options: SearchOptions) -> dict[str, Any]:
    """Return what differs from the defaults, as plain JSON."""
    return msgspec.to_builtins(changes_of(SearchOptions(), options))


def misses_of(run: Run, most: int) -> list[tuple[str, str]]:
    """Return (question, document that answers) of the questions whose answer was not given."""
    missed = [
        (one.case.question, ", ".join(dict.fromkeys(answer.document for answer in one.missed)))
        for one in run.asked
        if one.missed
    ]
    return missed[:most]


def verdict(found: Recommendation) -> str:
    """Return what a tuning found, in a sentence or two."""
    if not found.changes:
        return "No setting that was tried did better than those in force."
    gain = found.gain
    said = f"{TARGET} {_points(gain)} on the {gain.n} questions that chose nothing"
    if found.is_better:
        return f"Worth changing: {said}."
    return (
        f"Not proven: the best try gives {said}, and the interval reaches 0. Keep the settings in "
        "force, or ask more questions."
    )


def _points(gain: Estimate) -> str:
    return f"{100 * gain.mean:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
