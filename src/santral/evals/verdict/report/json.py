"""A comparison for programs: everything that the other formats are made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from santral.evals.verdict.comparison import Comparison, exit_code
from santral.evals.verdict.report import words


def as_json(comparisons: Sequence[Comparison]) -> str:
    """Return the comparisons as JSON, with the outcome and exit code of all of them on top."""
    report = {
        "outcome": words.worst_outcome(comparisons),
        "exit_code": exit_code(*comparisons),
        "comparisons": list(comparisons),
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"
